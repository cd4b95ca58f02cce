import math

import numpy as np
import pytest

from affinage.datasets.boxes.projection import NEAR, Boxes, Pose, rotation_of, seen

FRAME = (1600, 900)
INTRINSIC = np.array([[1000.0, 0, 800], [0, 1000, 450], [0, 0, 1]])
# The camera's right is the vehicle's -y, its down is -z, and it looks along x.
AHEAD = rotation_of((0.5, -0.5, 0.5, -0.5))
CAMERA = Pose(rotation=AHEAD, translation=np.array([0.0, 0.0, 1.5]))
HERE = Pose(rotation=np.eye(3), translation=np.zeros(3))


def view(centre, size=(4, 2, 2), rotation=None, ego=HERE):
    boxes = Boxes(
        rotations=np.array([np.eye(3) if rotation is None else rotation]),
        centres=np.array([centre], dtype=float),
        sizes=np.array([size], dtype=float),
    )
    (found,) = seen(boxes, ego, CAMERA, INTRINSIC, FRAME)
    return found


def test_the_axes_of_the_camera():
    assert np.allclose(AHEAD @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(AHEAD @ [1, 0, 0], [0, -1, 0])
    assert np.allclose(AHEAD @ [0, 1, 0], [0, 0, -1])


def test_a_box_straight_ahead_by_hand():
    # Its front is 10 m away and reaches 1 m to each side: 1000 px * 1 m / 10 m = 100 px.
    found = view((12, 0, 1.5))
    assert np.allclose(found.edges, (700, 350, 900, 550))
    assert found.visible == 1


def test_a_box_to_the_left_is_cut_off_at_the_frame():
    # At 10 m its left side is 9 m away: 800 - 900 px; at 14 m its right side 7 m: 800 - 500 px.
    found = view((12, 8, 1.5))
    assert np.allclose(found.edges, (0, 350, 300, 550))
    assert 0.25 < found.visible < 1


def test_where_the_vehicle_stands_and_looks_changes_nothing_that_moves_along():
    turn = rotation_of((math.sqrt(0.5), 0, 0, math.sqrt(0.5)))  # A quarter to the left: x is y.
    ego = Pose(rotation=turn, translation=np.array([100.0, 50.0, 0.0]))
    found = view((100, 62, 1.5), rotation=turn, ego=ego)
    assert np.allclose(found.edges, (700, 350, 900, 550))


@pytest.mark.parametrize(
    "centre", [(-12, 0, 1.5), (12, 30, 1.5), (12, 0, 40), (-1.9 - NEAR, 0, 1.5)]
)
def test_what_is_behind_beside_or_above_is_not_seen(centre):
    assert view(centre) is None


def test_a_box_around_the_camera_fills_the_frame_and_is_mostly_out_of_view():
    found = view((0, 0, 1.5), size=(10, 4, 4))
    assert np.allclose(found.edges, (0, 0, 1600, 900))
    assert 0 < found.visible < 0.5


def test_a_box_that_reaches_behind_the_lens_is_cut_there():
    # Alongside, from 2 m behind to 4 m ahead, 1 to 3 m left: at 4 m its right side is at 550 px.
    found = view((1, 2, 1.5), size=(6, 2, 2))
    assert found.edges[0] == 0
    assert found.edges[2] == pytest.approx(800 - 1000 * 1 / 4)


def test_outlines_agree_with_points_on_the_surface():
    random = np.random.default_rng(5)
    steps = np.linspace(-1, 1, 41)
    face = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    surface = np.concatenate(
        [np.insert(face, axis, side, axis=1) for axis in range(3) for side in (-1, 1)]
    )
    met = 0
    for _ in range(120):
        centre = random.uniform((6, -14, -3), (40, 14, 5))
        size = random.uniform(0.5, 5, 3)
        turn = rotation_of(tuple(random.normal(size=4)))
        found = view(centre, size, turn)
        world = (surface * size / 2) @ turn.T + centre
        points = CAMERA.inverse(world) @ INTRINSIC.T
        pixels = points[:, :2] / points[:, 2:]
        inside = pixels[((pixels >= 0) & (pixels <= FRAME)).all(axis=1)]
        if found is None:
            assert len(inside) == 0
            continue
        met += 1
        low, high = np.array(found.edges[:2]), np.array(found.edges[2:])
        assert (inside >= low - 1e-6).all()
        assert (inside <= high + 1e-6).all()
        if found.visible == 1:
            room = 0.02 * (high - low) + 1e-6
            assert (inside.min(axis=0) <= low + room).all()
            assert (inside.max(axis=0) >= high - room).all()
    assert met > 60


def test_a_quaternion_need_not_have_length_one():
    assert np.allclose(rotation_of((2, 0, 0, 2)), rotation_of((1, 0, 0, 1)))
    assert np.allclose(rotation_of((1, 0, 0, 1)) @ [1, 0, 0], [0, 1, 0])
