"""Which objects a view of an image shows: their boxes through its warp, cut off where it ends."""

import numpy as np
from numpy.typing import NDArray

from affinage.imaging.resize import Box

LEAST_SHARE = 0.5
"""Of a box's area that a view must show for its object to count: the half that tells what it is."""

SLACK = 0.01
"""Pixels by which a side may fall short, as where `affinage counts` counts: annotations are rounded."""

Floats = NDArray[np.float64]


def times_seen(
    boxes: Floats,
    matrix: Floats,
    *,
    frame: tuple[int, int],
    view: tuple[int, int],
    min_box: float = 0.0,
    covered: Box | None = None,
) -> NDArray[np.int64]:
    """Return how often a view shows each object, shape (n,).

    An object is shown where at least half of its box lies within the view and outside what is
    covered, and the shorter side of the box is `min_box` or more at the view's scale. A turned view
    reaches beyond the image, where `warp` shows it reflected: what is seen there counts again.

    Args:
        boxes: (left, top, right, bottom) in pixels of the image, within it, shape (n, 4).
        matrix: From the view's pixels to the image's, as `view_matrix` gives it, shape (2, 3).
        frame: Width and height of the image, pixels.
        view: Width and height of the view, pixels.
        min_box: Least shorter side, pixels of the view.
        covered: (left, top, right, bottom) in pixels of the view that show nothing of the image.
    """
    back = np.linalg.inv(matrix[:, :2])
    sides = np.stack(
        [
            (boxes[:, 2] - boxes[:, 0]) * np.hypot(*back[:, 0]),
            (boxes[:, 3] - boxes[:, 1]) * np.hypot(*back[:, 1]),
        ]
    )
    large = sides.min(axis=0) >= min_box - SLACK
    whole: Box = (0.0, 0.0, float(view[0]), float(view[1]))
    seen = np.zeros(len(boxes), dtype=np.int64)
    for tile in _tiles(matrix):
        corners = _corners(_reflected(boxes, tile, frame))
        quads = (corners - matrix[:, 2]) @ back.T
        for index in np.flatnonzero(large):
            full = _area(quads[index])
            shown = _area(_cut(quads[index], whole))
            if covered is not None:
                shown -= _area(_cut(quads[index], covered))
            seen[index] += full > 0 and shown >= (LEAST_SHARE - 1e-6) * full
    return seen


def _tiles(matrix: Floats) -> list[tuple[int, int]]:
    """Return the image, (0, 0), and where a turned view may reach: its eight reflections."""
    turned = bool(matrix[0, 1] or matrix[1, 0])
    return [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)] if turned else [(0, 0)]


def _reflected(boxes: Floats, tile: tuple[int, int], frame: tuple[int, int]) -> Floats:
    moved = boxes.copy()
    for axis, step in enumerate(tile):
        if step:
            border = 2.0 * frame[axis] if step > 0 else 0.0
            moved[:, axis], moved[:, axis + 2] = (
                border - boxes[:, axis + 2],
                border - boxes[:, axis],
            )
    return moved


def _corners(boxes: Floats) -> Floats:
    """Return the corners of boxes in order around them, shape (n, 4, 2)."""
    left, top, right, bottom = boxes.T
    around = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.stack([np.stack(pair, axis=1) for pair in around], axis=1)


def _cut(polygon: Floats, box: Box) -> Floats:
    """Return the part of a convex polygon, shape (m, 2), within a box.

    Source:
        Sutherland and Hodgman, Reentrant polygon clipping, 1974.
    """
    for axis, limit, sign in ((0, box[0], 1), (0, box[2], -1), (1, box[1], 1), (1, box[3], -1)):
        depth = sign * (polygon[:, axis] - limit)
        points = []
        for here, there, a, b in zip(
            polygon, np.roll(polygon, -1, axis=0), depth, np.roll(depth, -1), strict=True
        ):
            if a >= 0:
                points.append(here)
            if (a >= 0) != (b >= 0):
                points.append(here + (there - here) * (a / (a - b)))
        if len(points) < 3:
            return np.zeros((0, 2))
        polygon = np.array(points)
    return polygon


def _area(polygon: Floats) -> float:
    x, y = polygon.T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2
