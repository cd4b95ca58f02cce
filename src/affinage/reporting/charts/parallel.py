"""Parallel coordinates: each setting is a line over all parameters, up to its score."""

import math
from collections.abc import Sequence

from affinage.records.report import Axis, Parallel
from affinage.reporting.charts.scale import Scale, linear_scale, log_scale
from affinage.reporting.charts.svg import coordinate, element, fitted, picture, text
from affinage.reporting.words import number

WIDTH, HEIGHT = 640.0, 290.0
TOP, BOTTOM = 40.0, 262.0
SIZE = 12.5
MOST_LINES = 400
"""More are one grey area: the best of them are drawn, and so many of the rest."""


def parallel_chart(chart: Parallel, *, identity: str) -> str:
    """Return parallel coordinates as SVG: the best lines stand out, the others are faint.

    Args:
        chart: Rows with a value that is not finite are not drawn.
        identity: Prefix of the ids within the page.
    """
    rows = [row for row in chart.rows if all(math.isfinite(value) for value in row)]
    rows = _thinned(rows, chart.best)
    scales = [
        axis_scale(axis, [row[place] for row in rows], start=BOTTOM, end=TOP)
        for place, axis in enumerate(chart.axes)
    ]
    places = _across(len(chart.axes))
    parts = [_line(row, scales, places, best=False) for row in rows[: len(rows) - chart.best]]
    parts += [_line(row, scales, places, best=True) for row in rows[len(rows) - chart.best :]]
    parts += [
        _axis(axis, scale, x, room=_room(places))
        for axis, scale, x in zip(chart.axes, scales, places, strict=True)
    ]
    return picture(
        *parts,
        width=WIDTH,
        height=HEIGHT,
        title=chart.title,
        description=describe(chart),
        identity=identity,
        css="parallel",
    )


def describe(chart: Parallel) -> str:
    """Return what the plot says, for those who do not see it."""
    names = ", ".join(axis.name for axis in chart.axes)
    if not chart.rows:
        return f"Nothing was scored over {names}."
    best = "; ".join(
        f"{axis.name} {shown(axis, value)}"
        for axis, value in zip(chart.axes, chart.rows[-1], strict=True)
    )
    return f"{len(chart.rows):,} settings over {names}. The best: {best}."


def shown(axis: Axis, value: float) -> str:
    """Return a value of an axis in words."""
    if axis.labels:
        return axis.labels[min(len(axis.labels) - 1, max(0, round(value)))]
    return number(value)


def axis_scale(axis: Axis, values: Sequence[float], *, start: float, end: float) -> Scale:
    """Return the scale of an axis: logarithmic, linear, or one place for each label."""
    if axis.labels:
        last = max(1, len(axis.labels) - 1)
        ticks = tuple(float(place) for place in range(len(axis.labels)))
        return Scale(
            low=-0.3, high=last + 0.3, start=start, end=end, log=False, ticks=ticks,
            labels=axis.labels,
        )  # fmt: skip
    if axis.log:
        return log_scale([value for value in values if value > 0], start=start, end=end)
    return linear_scale(values, start=start, end=end, tight=True)


def _thinned(rows: list[tuple[float, ...]], best: int) -> list[tuple[float, ...]]:
    others = rows[: len(rows) - best]
    step = max(1, -(-len(others) // MOST_LINES))
    return [*others[::step], *rows[len(rows) - best :]]


def _across(axes: int) -> list[float]:
    left, right = 60.0, WIDTH - 70.0
    return [left + place * (right - left) / max(1, axes - 1) for place in range(axes)]


def _room(places: Sequence[float]) -> float:
    return (places[1] - places[0] if len(places) > 1 else WIDTH) - 12


def _line(
    row: Sequence[float], scales: Sequence[Scale], places: Sequence[float], *, best: bool
) -> str:
    moves = " ".join(
        f"{coordinate(x)},{coordinate(scale(value))}"
        for value, scale, x in zip(row, scales, places, strict=True)
    )
    return element("polyline", points=moves, css="strand best" if best else "strand")


def _axis(axis: Axis, scale: Scale, x: float, *, room: float) -> str:
    parts = [
        element("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, css="axis"),
        text(fitted(axis.name, room, SIZE), x, 18, text_anchor="middle", css="axis-name"),
    ]
    for value, name in zip(scale.ticks, scale.labels, strict=True):
        y = scale(value)
        parts.append(element("line", x1=x - 4, x2=x, y1=y, y2=y, css="axis"))
        label = fitted(name, min(room, 90), SIZE)
        parts.append(text(label, x + 5, y + 4, css="tick halo"))
    return "".join(parts)
