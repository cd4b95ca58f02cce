"""Boxes in space, seen by a camera: which rectangle of the frame they cover, and how much is in it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

NEAR = 0.1
"""Metres before the lens: what is nearer is cut off, because it would be projected to anywhere."""

_EDGES = tuple((a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b) in (1, 2, 4))
_SIGNS = np.array([[1 - 2 * (n >> axis & 1) for axis in range(3)] for n in range(8)], np.float64)
_STEPS = (np.arange(5) + 0.5) / 5 * 2 - 1
_GRID = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(-1, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where a frame of reference stands in another one.

    Attributes:
        rotation: Matrix, shape (3, 3): turns vectors of this frame into the other.
        translation: Origin of this frame in the other, metres, shape (3,).
    """

    rotation: Numbers
    translation: Numbers

    def inverse(self, points: Numbers) -> Numbers:
        """Return points of the other frame, shape (..., 3), in this one."""
        return (points - self.translation) @ self.rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Boxes in space.

    Attributes:
        rotations: From each box's own frame (x ahead, y left, z up) into the world, shape (n, 3, 3).
        centres: Metres, shape (n, 3).
        sizes: Length along x, width along y, height along z, metres, shape (n, 3).
    """

    rotations: Numbers
    centres: Numbers
    sizes: Numbers

    def points(self, unit: Numbers, number: int | None = None) -> Numbers:
        """Return points given in half sides, shape (k, 3), in the world: shape (n, k, 3).

        Args:
            unit: From -1 to 1 along each axis.
            number: Of the one box to do it for; the shape is then (k, 3).
        """
        which = slice(None) if number is None else number
        local = unit * (self.sizes[which] / 2)[..., None, :]
        turned = local @ np.swapaxes(self.rotations[which], -1, -2)
        return np.asarray(turned + self.centres[which][..., None, :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a camera sees of a box.

    Attributes:
        edges: Left, upper, right and lower edge of its outline within the frame, px.
        visible: Share of its volume within the camera's view, 0 to 1; other objects hide nothing.
    """

    edges: tuple[float, float, float, float]
    visible: float


def rotation_of(quaternion: tuple[float, float, float, float]) -> Numbers:
    """Return the rotation matrix, shape (3, 3), of a quaternion (w, x, y, z) of any length but 0."""
    length = math.sqrt(sum(part * part for part in quaternion))
    w, x, y, z = (part / length for part in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def seen(
    boxes: Boxes, ego: Pose, camera: Pose, intrinsic: Numbers, frame: tuple[int, int]
) -> list[Seen | None]:
    """Return what a camera sees of each box in space; None where nothing of it is in the frame.

    The outline is the convex hull of the projected corners, cut off at `NEAR` and at the frame.

    Args:
        boxes: In the world.
        ego: The vehicle in the world.
        camera: The camera (x right, y down, z ahead) in the vehicle.
        intrinsic: Matrix of the camera, shape (3, 3).
        frame: Width and height, px.
    """
    corners = camera.inverse(ego.inverse(boxes.points(_SIGNS)))
    within = _in_view(corners, intrinsic, frame)
    possible = np.all(
        np.any(within, axis=1), axis=-1
    )  # Else all corners lie beyond one side of the view.
    found: list[Seen | None] = []
    for number in range(len(corners)):
        outline = (
            _clipped(_hull(_project(_before_lens(corners[number]), intrinsic)), frame)
            if possible[number]
            else []
        )
        if len(outline) < 3:
            found.append(None)
            continue
        inner = camera.inverse(ego.inverse(boxes.points(_GRID, number)))
        share = np.all(_in_view(inner, intrinsic, frame), axis=-1).mean()
        across, down = [x for x, _ in outline], [y for _, y in outline]
        found.append(
            Seen(edges=(min(across), min(down), max(across), max(down)), visible=float(share))
        )
    return found


def _in_view(points: Numbers, intrinsic: Numbers, frame: tuple[int, int]) -> NDArray[np.bool_]:
    """Return whether points of the camera's frame lie on the inner side of each side of its view.

    Args:
        points: Shape (..., 3), metres.
        intrinsic: Matrix of the camera, shape (3, 3).
        frame: Width and height, px.

    Returns:
        Shape (..., 5): left, right, top, bottom, and ahead of `NEAR`.
    """
    flat = points @ intrinsic.T
    x, y, z = flat[..., 0], flat[..., 1], flat[..., 2]
    inner = (x >= 0, x <= frame[0] * z, y >= 0, y <= frame[1] * z, points[..., 2] > NEAR)
    return np.stack(inner, axis=-1)


def _before_lens(corners: Numbers) -> Numbers:
    """Return the corners ahead of `NEAR`, and where edges of the box cross that plane."""
    ahead = corners[:, 2] > NEAR
    points = [corners[ahead]]
    for a, b in _EDGES:
        if ahead[a] != ahead[b]:
            share = (NEAR - corners[a, 2]) / (corners[b, 2] - corners[a, 2])
            points.append((corners[a] + share * (corners[b] - corners[a]))[None])
    return np.concatenate(points)


def _project(points: Numbers, intrinsic: Numbers) -> Numbers:
    """Return pixels, shape (n, 2), of points ahead of the camera, shape (n, 3)."""
    flat = points @ intrinsic.T
    return np.asarray(flat[:, :2] / flat[:, 2:])


def _hull(points: Numbers) -> list[tuple[float, float]]:
    """Return the convex hull of points, in order around it.

    Source:
        Andrew, Another efficient algorithm for convex hulls in two dimensions, 1979.
    """
    ordered = sorted({(float(x), float(y)) for x, y in points})
    if len(ordered) < 3:
        return ordered

    def chain(row: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for point in row:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return chain(ordered) + chain(ordered[::-1])


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _clipped(
    polygon: list[tuple[float, float]], frame: tuple[int, int]
) -> list[tuple[float, float]]:
    """Return what of a convex polygon lies within the frame.

    Source:
        Sutherland and Hodgman, Reentrant polygon clipping, 1974.
    """
    for axis, limit in enumerate(frame):
        for bound, sign in ((0.0, 1), (float(limit), -1)):
            polygon = _cut(polygon, axis, bound, sign)
    return polygon


def _cut(
    polygon: list[tuple[float, float]], axis: int, bound: float, sign: int
) -> list[tuple[float, float]]:
    """Return the part of a polygon on the inner side of a line parallel to an axis."""
    kept = []
    for start, stop in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        before, after = sign * (start[axis] - bound), sign * (stop[axis] - bound)
        if before >= 0:
            kept.append(start)
        if before * after < 0:
            share = before / (before - after)
            point = [start[n] + share * (stop[n] - start[n]) for n in range(2)]
            point[axis] = bound
            kept.append((point[0], point[1]))
    return kept
