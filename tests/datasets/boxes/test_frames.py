import io

import numpy as np
import pytest
from PIL import Image

from affinage.datasets.boxes.annotations import Listed
from affinage.datasets.boxes.frames import Frame, fitted, frame_of, upright
from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.records.box import Box

SPOT = Box(label="a", x1=8, y1=16, x2=24, y2=24)


def photo(orientation, width=64, height=48, kind="JPEG"):
    """A white spot at `SPOT` in the stored pixels."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[16:24, 8:24] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, exif=exif.tobytes())
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_the_pixels_do(tmp_path, orientation, kind):
    file = tmp_path / "a"
    file.write_bytes(photo(orientation, kind=kind))
    shown = decode(file.read_bytes()).pixels
    down, across = np.nonzero(shown[:, :, 0] > 128)
    frame = frame_of(file)
    assert (frame.height, frame.width) == shown.shape[:2]
    assert frame.orientation == orientation
    box = upright(SPOT, (64, 48), orientation)
    found = (across.min(), down.min(), across.max() + 1, down.max() + 1)
    assert (box.x1, box.y1, box.x2, box.y2) == found


def fit(width, height, frame, box=SPOT):
    return fitted(Listed(path="a", width=width, height=height, boxes=(box,)), frame, shares=False)


def test_a_frame_that_agrees_nearly_is_the_same():
    for width, height in ((64, 48), (65, 47), (None, None)):
        assert fit(width, height, Frame(width=64, height=48)) == ((SPOT,), "as it is")


def test_annotations_made_without_the_exif_rotation_are_turned():
    frame = Frame(width=48, height=64, orientation=6)
    (box,), how = fit(64, 48, frame)
    assert how == "turned by EXIF"
    assert (box.x1, box.y1, box.x2, box.y2) == (24, 8, 32, 24)
    assert fit(48, 64, frame) == ((SPOT,), "as it is")


def test_without_a_stated_size_boxes_tell_whether_they_were_made_on_the_stored_pixels():
    frame = Frame(width=48, height=64, orientation=8)
    wide = Box(label="a", x1=40, y1=10, x2=60, y2=20)
    assert fit(None, None, frame, wide)[1] == "turned by EXIF"
    assert fit(None, None, frame)[1] == "as it is"


def test_a_swapped_size_without_exif_is_turned_with_the_way_unknown():
    (box,), how = fit(64, 48, Frame(width=48, height=64))
    assert how == "turned"
    assert (box.x2 - box.x1, box.y2 - box.y1) == (8, 16)


def test_a_smaller_copy_scales_the_boxes():
    (box,), how = fit(640, 480, Frame(width=64, height=48))
    assert how == "scaled"
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((0.8, 1.6, 2.4, 2.4))


def test_another_shape_is_another_image():
    assert fit(640, 300, Frame(width=64, height=48)) is None


def test_shares_become_pixels():
    box = Box(label="a", x1=0.5, y1=0.25, x2=1, y2=0.5)
    ((found,), _) = fitted(
        Listed(path="a", boxes=(box,)), Frame(width=200, height=100), shares=True
    )
    assert (found.x1, found.y1, found.x2, found.y2) == (100, 25, 200, 50)


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\xd8\xff\xe0\x00\x10", b"GIF89a"])
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError):
        frame_of(tmp_path / "a.jpg")


def test_a_header_beyond_the_first_read_is_found(tmp_path):
    filler = b"".join(b"\xff\xe3\xff\xff" + bytes(65533) for _ in range(3))
    data = photo(6)
    (tmp_path / "a.jpg").write_bytes(data[:2] + filler + data[2:])
    assert frame_of(tmp_path / "a.jpg") == Frame(width=48, height=64, orientation=6)
