"""Points over two parameters, each as dark as its score is good."""

import math

from affinage.records.report import Shaded
from affinage.reporting.charts.parallel import axis_scale, shown
from affinage.reporting.charts.scale import Scale
from affinage.reporting.charts.svg import element, fitted, picture, text
from affinage.reporting.words import number

WIDTH, HEIGHT = 440.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 74.0, 412.0, 34.0, 240.0
SIZE = 12.5
SHADES = 6
MOST_NUMBERED = 20
"""Above so many points the shade alone is shown."""


def shaded_chart(chart: Shaded, *, identity: str) -> str:
    """Return the points as SVG; one that failed is a cross.

    Args:
        chart: What is shown.
        identity: Prefix of the ids within the page.
    """
    across = axis_scale(chart.x, [p[0] for p in chart.points], start=LEFT + 16, end=RIGHT - 16)
    up = axis_scale(chart.y, [p[1] for p in chart.points], start=BOTTOM - 14, end=TOP + 14)
    known = [p[2] for p in chart.points if math.isfinite(p[2])]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    parts = [_frame(chart, across, up)]
    numbered = len(chart.points) <= MOST_NUMBERED
    for x, y, value, told in chart.points:
        share = (value - low) / (high - low) if high > low else 1.0
        share = share if chart.rising else 1 - share
        parts.append(_point(across(x), up(y), share, told, numbered=numbered))
    return picture(
        *parts,
        width=WIDTH,
        height=HEIGHT,
        title=chart.title,
        description=describe(chart),
        identity=identity,
        css="chart shaded",
    )


def describe(chart: Shaded) -> str:
    """Return what the map says, for those who do not see it."""
    known = [point for point in chart.points if math.isfinite(point[2])]
    over = f"{chart.value} over {chart.x.name} and {chart.y.name}"
    if not known:
        return f"{over}: nothing was scored."
    ranked = sorted(known, key=lambda point: point[2], reverse=chart.rising)
    told = [
        f"{which} {point[3] or number(point[2])} at {shown(chart.x, point[0])} and {shown(chart.y, point[1])}"
        for which, point in (("best", ranked[0]), ("worst", ranked[-1]))
    ]
    return f"{over}, {len(chart.points):,} points: {'; '.join(told)}."


def _frame(chart: Shaded, across: Scale, up: Scale) -> str:
    parts = [
        text(fitted(chart.y.name, WIDTH - 20, SIZE), 2, 15, css="axis-name"),
        text(
            fitted(chart.x.name, RIGHT - LEFT, SIZE), RIGHT, BOTTOM + 36,
            text_anchor="end", css="axis-name",
        ),
        element("line", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM, css="axis"),
        element("line", x1=LEFT, x2=LEFT, y1=TOP, y2=BOTTOM, css="axis"),
    ]  # fmt: skip
    for value, name in zip(across.ticks, across.labels, strict=True):
        x = across(value)
        parts.append(element("line", x1=x, x2=x, y1=BOTTOM, y2=BOTTOM + 4, css="axis"))
        parts.append(_tick(fitted(name, 64, SIZE), x, BOTTOM + 18, anchor="middle"))
    for value, name in zip(up.ticks, up.labels, strict=True):
        y = up(value)
        parts.append(element("line", x1=LEFT - 4, x2=LEFT, y1=y, y2=y, css="axis"))
        parts.append(_tick(fitted(name, LEFT - 10, SIZE), LEFT - 8, y + 4, anchor="end"))
    parts.append(_tick(f"darker: better {chart.value}", 2, BOTTOM + 54, anchor=None))
    return "".join(parts)


def _tick(content: str, x: float, y: float, *, anchor: str | None) -> str:
    return text(content, x, y, text_anchor=anchor, css="tick")


def _point(x: float, y: float, share: float, told: str, *, numbered: bool) -> str:
    note = element("title", told or "failed")
    if not math.isfinite(share):
        arms = [((x - 5, y - 5), (x + 5, y + 5)), ((x - 5, y + 5), (x + 5, y - 5))]
        lines = [element("line", x1=a[0], y1=a[1], x2=b[0], y2=b[1], css="axis") for a, b in arms]
        return element("g", note, *lines)
    shade = 1 + round((SHADES - 1) * min(1.0, max(0.0, share)))
    dot = element("circle", cx=x, cy=y, r=8.0 if numbered else 4.5, css=f"dot d{shade}")
    label = text(told, x, y + 21, text_anchor="middle", css="tick halo") if numbered else ""
    return element("g", note, dot, label)
