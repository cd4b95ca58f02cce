import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.imaging.augment import augment, erased_part, generator, view_matrix
from affinage.imaging.boxes_in_view import times_seen
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

PLAIN = AugmentSettings(horizontal_flip=False, crop=1.0)


def preprocessing(width=80, height=60):
    return Preprocessing(
        width=width, height=height, crop=1.0, interpolation="nearest", whole=True,
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
    )  # fmt: skip


def matrix_of(box, view=(80, 60)):
    """The view shows the box of the image and nothing else."""
    left, top, right, bottom = box
    return np.array(
        [[(right - left) / view[0], 0, left], [0, (bottom - top) / view[1], top]], dtype=float
    )


def seen(box, looking_at, **given):
    found = times_seen(
        np.array([box], float), matrix_of(looking_at), frame=(160, 120), view=(80, 60), **given
    )
    return int(found[0])


@pytest.mark.parametrize(
    ("box", "times"),
    [
        ((10, 10, 20, 20), 1),
        ((35, 10, 45, 20), 1),  # Exactly half.
        ((36, 10, 46, 20), 0),
        ((50, 10, 60, 20), 0),
        ((35, 25, 45, 35), 0),  # Half across and half down is a quarter.
        ((0, 0, 160, 120), 0),  # Larger than the view, which shows a sixteenth of it.
    ],
)
def test_an_object_counts_when_half_of_its_box_is_seen(box, times):
    assert seen(box, (0, 0, 40, 30)) == times


def test_what_is_covered_is_not_seen():
    assert seen((10, 10, 20, 20), (0, 0, 80, 60), covered=(10, 10, 15, 20)) == 1
    assert seen((10, 10, 20, 20), (0, 0, 80, 60), covered=(10, 10, 16, 20)) == 0


def test_a_box_is_small_at_the_scale_of_the_view():
    assert seen((10, 10, 18, 30), (0, 0, 160, 120), min_box=4) == 1
    assert seen((10, 10, 18, 30), (0, 0, 160, 120), min_box=4.1) == 0
    assert seen((10, 10, 18, 30), (0, 0, 80, 60), min_box=8) == 1


DRAWS = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(
    draw=DRAWS, crop=st.sampled_from([0.1, 0.5, 1.0]), rotation=st.sampled_from([0, 20, 180]),
    erase=st.sampled_from([0.0, 1.0]), flips=st.booleans(),
)  # fmt: skip
def test_boxes_are_where_the_view_shows_their_objects(draw, crop, rotation, erase, flips):
    """An object is painted, the view is made, and its share is counted in pixels."""
    size, box = preprocessing(160, 120), (30, 40, 70, 60)
    pixels = np.full((120, 160, 3), 50, np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 250
    changes = AugmentSettings(
        horizontal_flip=flips, vertical_flip=flips, crop=crop, rotation=rotation, erase=erase
    )
    view = augment(pixels, size, changes, generator(0, 0, "a", draw))
    matrix = view_matrix(120, 160, size, changes, generator(0, 0, "a", draw))
    covered = erased_part(size, changes, generator(0, 0, "a", draw))
    found = times_seen(
        np.array([box], float), matrix, frame=(160, 120), view=(160, 120), covered=covered
    )
    bright = (view > 150).all(axis=2)
    if covered is not None:
        bright[covered[1] : covered[3], covered[0] : covered[2]] = False
    whole = (box[2] - box[0]) * (box[3] - box[1]) / abs(np.linalg.det(matrix[:, :2]))
    share = bright.sum() / whole
    if not rotation:
        if abs(share - 0.5) > 0.1:
            assert found[0] == (share > 0.5)
    elif share < 0.4:
        assert found[0] == 0
    elif found[0] == 0:  # Of two reflections each may show less than half.
        assert share < 2
    else:
        assert share > 0.45 * found[0]


def test_what_a_turned_view_reflects_is_counted_again():
    # A quarter turn of a wide view sees above and below the image, where it is reflected.
    matrix = np.array([[0.0, 1.0, 50.0], [-1.0, 0.0, 80.0]])
    found = times_seen(np.array([[60, 5, 70, 10]], float), matrix, frame=(160, 60), view=(160, 60))
    assert found[0] == 2


def test_a_plain_view_shows_everything():
    matrix = view_matrix(120, 160, preprocessing(), PLAIN, generator(0, 0, "a"))
    boxes = np.array([[0, 0, 160, 120], [0, 0, 1, 1], [159, 119, 160, 120]], float)
    assert times_seen(boxes, matrix, frame=(160, 120), view=(80, 60)).tolist() == [1, 1, 1]


def test_no_boxes_are_no_counts():
    assert (
        times_seen(np.zeros((0, 4)), matrix_of((0, 0, 9, 9)), frame=(9, 9), view=(80, 60)).size == 0
    )
