"""Confusion matrices: numbers on a heat of row shares; a picture alone for many classes."""

import math

from affinage.records.report import Matrix
from affinage.reporting.charts.svg import (
    coordinate,
    element,
    fitted,
    picture,
    text,
    text_width,
    words,
)
from affinage.reporting.words import count

MOST_NUMBERED = 30
"""Above so many classes there are no numbers and no names."""
SIZE = 12.5
_LONGEST = 160.0
_SHADES = 6


def matrix_chart(matrix: Matrix, *, identity: str) -> str:
    """Return a confusion matrix as SVG: the diagonal in one colour, mistakes in another.

    Args:
        matrix: Rows are the truth.
        identity: Prefix of the ids within the page.
    """
    drawn = _numbered if len(matrix.names) <= MOST_NUMBERED else _pictured
    content, width, height = drawn(matrix)
    return picture(
        content,
        width=width,
        height=height,
        title=matrix.title,
        description=describe(matrix),
        identity=identity,
        css="matrix",
    )


def describe(matrix: Matrix) -> str:
    """Return what the matrix says, for those who do not see it."""
    right = sum(row[index] for index, row in enumerate(matrix.counts))
    total = sum(map(sum, matrix.counts))
    wrong = sorted(
        (
            (-n, matrix.names[truth], matrix.names[said])
            for truth, row in enumerate(matrix.counts)
            for said, n in enumerate(row)
            if n and truth != said
        ),
    )
    pairs = "; ".join(f"{truth} called {said}: {-n}" for n, truth, said in wrong[:5])
    return (
        f"{len(matrix.names)} classes, {count(right)} of {count(total)} on the diagonal. "
        f"{f'Most frequent confusions: {pairs}.' if pairs else 'No confusions.'}"
    )


def _numbered(matrix: Matrix) -> tuple[str, float, float]:
    names = matrix.names
    largest = max((n for row in matrix.counts for n in row), default=0)
    cell = max(26.0, text_width(count(largest), SIZE) + 10) if len(names) > 2 else 72.0
    side = max(((text_width(name, SIZE)) for name in names), default=0.0)
    left = max(64.0, min(_LONGEST, side) + 14)
    flat = max((text_width(name, SIZE) for name in names), default=0.0) <= cell - 4
    above = SIZE + 4 if flat else min(_LONGEST, side) * 0.72 + 14
    top = max(38.0, above)
    overhang = 0.0 if flat else min(_LONGEST, side) * 0.72
    width = left + cell * len(names) + max(8.0, overhang - cell / 2 + 8)
    height = top + cell * len(names) + 4
    parts = [
        text("called →", left - 10, top - 24, text_anchor="end", css="axis-name"),
        text("truth ↓", left - 10, top - 7, text_anchor="end", css="axis-name"),
    ]
    for index, name in enumerate(names):
        parts.append(_name(name, index, left=left, top=top, cell=cell, flat=flat))
    for truth, row in enumerate(matrix.counts):
        total = sum(row)
        for said, n in enumerate(row):
            x, y = left + said * cell, top + truth * cell
            parts.append(_cell(n, total, x, y, cell, right=truth == said))
    return "".join(parts), width, height


def _name(name: str, index: int, *, left: float, top: float, cell: float, flat: bool) -> str:
    short = fitted(name, _LONGEST, SIZE)
    full = element("title", words(name))
    middle = (index + 0.5) * cell
    row = element(
        "text",
        full,
        words(short),
        x=left - 10,
        y=top + middle + 4,
        text_anchor="end",
        css="name",
    )
    if flat:
        column = element(
            "text", full, words(short), x=left + middle, y=top - 8, text_anchor="middle", css="name"
        )
    else:
        place = f"translate({coordinate(left + middle + 3)} {coordinate(top - 7)}) rotate(-45)"
        column = element("text", full, words(short), transform=place, css="name")
    return row + column


def _cell(n: int, total: int, x: float, y: float, cell: float, *, right: bool) -> str:
    box = {"x": x + 1, "y": y + 1, "width": cell - 2, "height": cell - 2, "rx": 2}
    if not n:
        return element("rect", **box, css="none")
    share = n / total
    tone = "hit" if right else "miss"
    shade = _shade(share)
    strong = " strong" if shade > _SHADES / 2 else ""
    return element("rect", **box, css=f"{tone} h{shade}") + text(
        count(n), x + cell / 2, y + cell / 2 + 4.5, text_anchor="middle", css=f"count{strong}"
    )


def _shade(share: float) -> int:
    """Return a shade from 1 to 6; few wrong ones of many are still seen."""
    return min(_SHADES, max(1, math.ceil(_SHADES * math.pow(share, 0.6) - 0.5)))


def _pictured(matrix: Matrix) -> tuple[str, float, float]:
    """Return all classes as small squares, without numbers: one path per tone and shade."""
    size = len(matrix.names)
    cell = max(1.0, round(480 / size, 1))
    left, top = 20.0, 24.0
    paths: dict[str, list[str]] = {}
    for truth, row in enumerate(matrix.counts):
        total = sum(row)
        for said, n in enumerate(row):
            if n:
                key = f"{'hit' if truth == said else 'miss'} h{_shade(n / total)}"
                paths.setdefault(key, []).append(f"M{said} {truth}h1v1h-1z")
    drawing = "".join(element("path", d="".join(d), css=css) for css, d in sorted(paths.items()))
    place = f"translate({coordinate(left)} {coordinate(top)}) scale({coordinate(cell)})"
    edge = cell * size
    parts = (
        text("called →", left, 15, css="axis-name"),
        element(
            "text", words("← truth"), css="axis-name", text_anchor="end",
            transform=f"translate(13 {coordinate(top)}) rotate(-90)",
        ),
        element("rect", x=left, y=top, width=edge, height=edge, css="none"),
        element("g", drawing, transform=place, css="dense"),
    )  # fmt: skip
    return "".join(parts), left + edge + 4, top + edge + 4
