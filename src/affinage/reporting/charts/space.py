"""Points over three parameters, seen from a corner, each as dark as its score is good."""

import math

from affinage.records.report import Axis, Space
from affinage.reporting.charts.parallel import axis_scale, shown
from affinage.reporting.charts.scale import Scale
from affinage.reporting.charts.svg import element, fitted, picture, text
from affinage.reporting.words import number

WIDTH, HEIGHT = 440.0, 360.0
SIDE, RISE = 190.0, 170.0
"""Length of the cube's edges on paper, px: across, and upward."""

MIDDLE, FLOOR = 220.0, 292.0
SLANT = 0.42
"""How far an edge of the floor rises on paper for each pixel that it goes aside."""

SIZE = 12.5
SHADES = 6

Place = tuple[float, float]


def space_chart(chart: Space, *, identity: str) -> str:
    """Return the points as SVG, with a stem down to the floor, so that the eye finds their place.

    Args:
        chart: What is shown; points that failed are not drawn.
        identity: Prefix of the ids within the page.
    """
    points = [p for p in chart.points if all(map(math.isfinite, p[:4]))]
    scales = [
        axis_scale(axis, [float(p[place]) for p in points], start=0.04, end=0.96)
        for place, axis in enumerate((chart.x, chart.y, chart.z))
    ]
    values = [p[3] for p in points]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    parts = [_frame(chart, scales)]
    # Those in front are drawn last.
    for x, y, z, value, told in sorted(points, key=lambda p: -scales[0](p[0]) - scales[1](p[1])):
        share = (value - low) / (high - low) if high > low else 1.0
        share = share if chart.rising else 1 - share
        place = tuple(scale(v) for scale, v in zip(scales, (x, y, z), strict=True))
        parts.append(_point(place, 1 + round((SHADES - 1) * share), told))
    return picture(
        *parts, width=WIDTH, height=HEIGHT, title=chart.title, description=describe(chart),
        identity=identity, css="chart shaded",
    )  # fmt: skip


def describe(chart: Space) -> str:
    """Return what the plot says, for those who do not see it."""
    known = [point for point in chart.points if math.isfinite(point[3])]
    over = f"{chart.value} over {chart.x.name}, {chart.y.name} and {chart.z.name}"
    if not known:
        return f"{over}: nothing was scored."
    best = (max if chart.rising else min)(known, key=lambda point: point[3])
    axes = (chart.x, chart.y, chart.z)
    where = ", ".join(shown(axis, value) for axis, value in zip(axes, best[:3], strict=True))
    return f"{over}, {len(known):,} points: best {best[4] or number(best[3])} at {where}."


def on_paper(x: float, y: float, z: float) -> Place:
    """Return where a place in the unit cube is drawn: x goes right and back, y left and back."""
    return MIDDLE + (x - y) * SIDE, FLOOR - (x + y) * SIDE * SLANT - z * RISE * 0.7


def _frame(chart: Space, scales: list[Scale]) -> str:
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    floor = [
        _line(one, other) for one, other in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    posts = [_line((0, 1, 0), (0, 1, 1)), _line((1, 1, 0), (1, 1, 1)), _line((1, 0, 0), (1, 0, 1))]
    rim = [_line((0, 1, 1), (1, 1, 1)), _line((1, 1, 1), (1, 0, 1))]
    names = [
        _ends(chart.x, scales[0], (0, 0, 0), (1, 0, 0), below=18),
        _ends(chart.y, scales[1], (0, 0, 0), (0, 1, 0), below=18),
        _ends(chart.z, scales[2], (0, 1, 0), (0, 1, 1), below=0),
    ]
    legend = text(f"darker: better {chart.value}", 2, HEIGHT - 8, css="tick")
    return "".join([*floor, *posts, *rim, *names, legend])


def _line(one: tuple[int, int, int], other: tuple[int, int, int]) -> str:
    (x1, y1), (x2, y2) = on_paper(*one), on_paper(*other)
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, css="axis")


def _ends(
    axis: Axis,
    scale: Scale,
    one: tuple[int, int, int],
    other: tuple[int, int, int],
    *,
    below: float,
) -> str:
    """Return an axis' name at its middle, and its first and last tick at the ends."""
    (x1, y1), (x2, y2) = on_paper(*one), on_paper(*other)
    if not below:
        return text(fitted(axis.name, 200, SIZE), 2, 15, css="axis-name") + "".join(
            text(label, x1 + 6, y1 + scale(tick) * (y2 - y1) + 4, css="tick")
            for tick, label in _outer(scale)
        )
    side = "start" if x2 > x1 else "end"
    ticks = [
        text(
            label, x1 + scale(tick) * (x2 - x1), y1 + scale(tick) * (y2 - y1) + below,
            css="tick", text_anchor=side,
        )
        for tick, label in _outer(scale)
    ]  # fmt: skip
    name = text(
        fitted(axis.name, 200, SIZE), WIDTH - 2 if x2 > x1 else 2, FLOOR + 36, css="axis-name",
        text_anchor="end" if x2 > x1 else "start",
    )  # fmt: skip
    return "".join([*ticks, name])


def _outer(scale: Scale) -> list[tuple[float, str]]:
    """Return the first and the last tick."""
    found = list(zip(scale.ticks, scale.labels, strict=True))
    return found[:1] + found[-1:] if len(found) > 1 else found


def _point(place: tuple[float, ...], shade: int, told: str) -> str:
    x, y = on_paper(*place)
    _, floor = on_paper(place[0], place[1], 0.0)
    stem = element("line", x1=x, y1=y, x2=x, y2=floor, css="axis", stroke_opacity=0.35)
    dot = element("circle", cx=x, cy=y, r=5.0, css=f"dot d{shade}")
    return element("g", element("title", told), stem, dot)
