"""Line charts: a few series over one axis, told apart by colour, dash and marker."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from affinage.records.report import Chart, Line
from affinage.reporting.charts.scale import Scale, linear_scale, log_scale
from affinage.reporting.charts.svg import coordinate, element, fitted, picture, text, text_width
from affinage.reporting.words import number

WIDTH, HEIGHT = 440.0, 270.0
STYLES = 6
"""How many series differ in colour, dash and marker before they repeat."""
SIZE = 12.5
"""Of the type, in the picture's own units."""
_BOLD = 13.0
"""Of names: bold type of 12 is about as wide as plain type of 13."""
MOST_MARKED = 25
_LEADING = 15.0

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where the plot lies in the picture."""

    left: float
    top: float
    right: float
    bottom: float
    width: float
    height: float


def line_chart(chart: Chart, *, identity: str) -> str:
    """Return a chart as SVG.

    Args:
        chart: Points that are not finite, or not positive on a logarithmic axis, are not drawn.
        identity: Prefix of the ids within the page.
    """
    lines = [(line.name, _drawable(line, log_x=chart.log_x)) for line in chart.lines]
    lines = [(name, points) for name, points in lines if points]
    named = len(lines) > 1 or any(name != chart.y for name, _ in lines)
    frame = _frame(chart, [name for name, _ in lines] if named else [])
    every = list(itertools.chain.from_iterable(points for _, points in lines))
    across, up = _scales(chart, every, frame)
    parts = [_grid(across, up, frame, ticks=chart.ticks), _axis_names(chart, frame)]
    if not every:
        middle = ((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
        parts.append(text("No points were recorded.", *middle, text_anchor="middle", css="muted"))
    for index, (_, points) in enumerate(lines):
        marked = len(points) <= MOST_MARKED and (len(points) == 1 or not chart.unit_square)
        marked = marked or not chart.joined
        drawn = _series(
            points, across, up, style=index % STYLES + 1, marked=marked, joined=chart.joined
        )
        parts.append(drawn)
    if chart.unit_square:
        parts += [_legend(lines, frame), _point_labels(lines, across, up, frame)]
    elif named:
        parts.append(_labels(lines, across, up, frame))
    return picture(
        *parts,
        width=frame.width,
        height=frame.height,
        title=chart.title,
        description=describe(chart),
        identity=identity,
        css="chart",
    )


def describe(chart: Chart) -> str:
    """Return what the chart shows, for those who do not see it."""
    told = []
    for line in chart.lines:
        points = _drawable(line, log_x=chart.log_x)
        if not points:
            told.append(f"{line.name}: no points")
        elif len(points) == 1:
            told.append(f"{line.name}: {number(points[0][1])} at {number(points[0][0])}")
        elif len({x for x, _ in points}) == 1:
            low, high = (number(end(y for _, y in points)) for end in (min, max))
            place = f" at {number(points[0][0])}" if chart.ticks else ""
            told.append(f"{line.name}: {low} to {high}{place}")
        else:
            (x1, y1), (x2, y2) = points[0], points[-1]
            told.append(
                f"{line.name}: from {number(y1)} at {number(x1)} to {number(y2)} at {number(x2)}, "
                f"{len(points)} points"
            )
    return f"{chart.y} over {chart.x}. {'; '.join(told) or 'No lines'}."


def _drawable(line: Line, *, log_x: bool) -> list[tuple[float, float]]:
    return [
        (x, y)
        for x, y in line.points
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_x)
    ]


def _frame(chart: Chart, names: list[str]) -> _Frame:
    if chart.unit_square:
        side, top, left = 250.0, 30.0, 46.0
        rows = -(-len(names) // 2)
        height = top + side + 46 + 20 * rows
        return _Frame(
            left=left, top=top, right=left + side, bottom=top + side, width=left + side + 24,
            height=height,
        )  # fmt: skip
    room = max((text_width(part, _BOLD) for name in names for part in _folded(name)), default=4.0)
    left, right = 52.0, WIDTH - min(152.0, room + 14)
    return _Frame(left=left, top=30.0, right=right, bottom=HEIGHT - 40, width=WIDTH, height=HEIGHT)


def _scales(chart: Chart, points: list[tuple[float, float]], frame: _Frame) -> tuple[Scale, Scale]:
    if chart.unit_square:
        return (
            linear_scale((0.0, 1.0), start=frame.left, end=frame.right, most=6),
            linear_scale((0.0, 1.0), start=frame.bottom, end=frame.top, most=6),
        )
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across = (
        log_scale(xs, start=frame.left, end=frame.right)
        if chart.log_x
        else linear_scale(xs, start=frame.left, end=frame.right, tight=True)
    )
    whole = 100.0 if chart.y.endswith("%") else None
    return across, linear_scale(ys, start=frame.bottom, end=frame.top, largest=whole)


def _grid(across: Scale, up: Scale, frame: _Frame, *, ticks: bool) -> str:
    parts: list[str] = []
    for value, name in zip(up.ticks, up.labels, strict=True):
        y = up(value)
        parts.append(element("line", x1=frame.left, x2=frame.right, y1=y, y2=y, css="grid"))
        parts.append(text(name, frame.left - 8, y + 4, text_anchor="end", css="tick"))
    parts.append(
        element("line", x1=frame.left, x2=frame.right, y1=frame.bottom, y2=frame.bottom, css="axis")
    )
    free = -math.inf if ticks else math.inf
    for value, name in sorted(
        zip(across.ticks, across.labels, strict=True), key=lambda tick: tick[0]
    ):
        x, half = across(value), text_width(name, SIZE) / 2
        if ticks:
            parts.append(
                element("line", x1=x, x2=x, y1=frame.bottom, y2=frame.bottom + 4, css="axis")
            )
        if x - half > free:
            parts.append(text(name, x, frame.bottom + 18, text_anchor="middle", css="tick"))
            free = x + half + 8
    return "".join(parts)


def _axis_names(chart: Chart, frame: _Frame) -> str:
    return text(fitted(chart.y, frame.width - 20, SIZE), 2, 15, css="axis-name") + text(
        fitted(chart.x, frame.right - 4, SIZE),
        frame.right,
        frame.bottom + 35,
        text_anchor="end",
        css="axis-name",
    )


def _series(
    points: Points, across: Scale, up: Scale, *, style: int, marked: bool, joined: bool = True
) -> str:
    places = [(across(px), up(py)) for px, py in points]
    parts: list[str] = []
    thin = _thinned(places)
    if joined and len(thin) > 1:
        moves = " ".join(f"{coordinate(px)},{coordinate(py)}" for px, py in thin)
        parts.append(element("polyline", points=moves, css="line"))
    if marked:
        parts += [
            element("g", element("title", f"{number(px)}: {number(py)}"), _marker(style, *place))
            for (px, py), place in zip(points, places, strict=True)
        ]
    return element("g", *parts, css=f"series s{style}")


def _thinned(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that can be told apart at half a unit, and always the last."""
    kept: list[tuple[float, float]] = []
    for place in places:
        if not kept or abs(place[0] - kept[-1][0]) + abs(place[1] - kept[-1][1]) >= 0.5:
            kept.append(place)
    if kept and kept[-1] != places[-1]:
        kept.append(places[-1])
    return kept


def _marker(style: int, x: float, y: float) -> str:
    size = 3.6
    if style in (1, 4):
        return element("circle", cx=x, cy=y, r=size, css="mark")
    if style in (2, 5):
        return element("rect", x=x - 3.2, y=y - 3.2, width=6.4, height=6.4, css="mark")
    corners = ((x, y - 4.4), (x + 4.2, y + 3.4), (x - 4.2, y + 3.4))
    path = " ".join(f"{coordinate(px)},{coordinate(py)}" for px, py in corners)
    return element("polygon", points=path, css="mark")


def _folded(name: str) -> list[str]:
    """Return a label on one line, or on two at the bracket or the middle space."""
    if len(name) <= 14:
        return [name]
    head, bracket, tail = name.partition(" (")
    if bracket:
        return [head, f"({tail}"]
    spaces = [place for place, character in enumerate(name) if character == " "]
    if not spaces:
        return [name]
    middle = min(spaces, key=lambda place: abs(place - len(name) / 2))
    return [name[:middle], name[middle + 1 :]]


def _labels(lines: Sequence[tuple[str, Points]], across: Scale, up: Scale, frame: _Frame) -> str:
    """Return names beside the ends of their lines, pushed apart where they would overlap."""
    if not lines:
        return ""
    x = frame.right + 10
    room = frame.width - x
    wanted = sorted(
        (
            (up(points[-1][1]), index, [fitted(part, room, _BOLD) for part in _folded(name)])
            for index, (name, points) in enumerate(lines)
        ),
        key=lambda label: label[:2],
    )
    heights = [_LEADING * len(parts) for _, _, parts in wanted]
    tops = spread(
        [middle - height / 2 for (middle, _, _), height in zip(wanted, heights, strict=True)],
        [height + 4 for height in heights],
        low=frame.top - 12,
        high=frame.bottom + 6,
    )
    parts: list[str] = []
    for (_, index, rows), top in zip(wanted, tops, strict=True):
        parts.extend(
            text(row, x, top + _LEADING * (number_ + 0.8), css=f"name s{index % STYLES + 1}")
            for number_, row in enumerate(rows)
        )
    return "".join(parts)


def spread(tops: list[float], heights: list[float], *, low: float, high: float) -> list[float]:
    """Return tops as near to the wanted ones as non-overlapping boxes within low..high allow.

    Args:
        tops: Wanted tops, ascending.
        heights: Of the boxes.
        low: Least top.
        high: Greatest bottom; given up where the boxes together are taller.
    """
    placed: list[float] = []
    free = low
    for top, height in zip(tops, heights, strict=True):
        placed.append(max(top, free))
        free = placed[-1] + height
    limit = max(high, low + sum(heights))
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], limit - heights[index])
        limit = placed[index]
    return placed


def _legend(lines: Sequence[tuple[str, Points]], frame: _Frame) -> str:
    """Return samples of the lines with their names, in two columns under the plot."""
    parts: list[str] = []
    listed = [(index, name) for index, (name, points) in enumerate(lines) if len(points) > 1]
    for place, (index, name) in enumerate(listed):
        style = index % STYLES + 1
        x = 8 + (place % 2) * (frame.width / 2)
        y = frame.bottom + 58 + 20 * (place // 2)
        ends = f"{coordinate(x)},{coordinate(y - 4)} {coordinate(x + 26)},{coordinate(y - 4)}"
        sample = element("polyline", points=ends, css="line")
        parts.append(element("g", sample, css=f"series s{style}"))
        name_ = fitted(name, frame.width / 2 - 44, SIZE)
        parts.append(text(name_, x + 34, y, css=f"name s{style}"))
    return "".join(parts)


def _point_labels(
    lines: Sequence[tuple[str, Points]], across: Scale, up: Scale, frame: _Frame
) -> str:
    """Return names beside series of a single point."""
    parts: list[str] = []
    for index, (name, points) in enumerate(lines):
        if len(points) != 1:
            continue
        x, y = across(points[0][0]), up(points[0][1])
        left = x > (frame.left + frame.right) / 2
        below = y < frame.top + 40
        parts.append(
            text(
                name,
                x - 10 if left else x + 10,
                y + 20 if below else y - 8,
                text_anchor="end" if left else None,
                css=f"name halo s{index % STYLES + 1}",
            )
        )
    return "".join(parts)
