import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from affinage.bundle.pixels import decode
from affinage.errors import ImageError
from affinage.imaging.decode import decode as trained

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "imaging"))

from odd_files import every_kind

KINDS = every_kind()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_odd_kind_is_read_as_in_training(kind):
    data = KINDS[kind]
    try:
        wanted = trained(data).pixels
    except ImageError:
        with pytest.raises(ImageError):
            decode(data)
        return
    found = decode(data)
    assert found.shape == wanted.shape
    assert int(np.abs(found.astype(int) - wanted).max()) <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(load_sample_images().images[0]).save(file, "JPEG", exif=exif)
    assert np.array_equal(decode(file.getvalue()), trained(file.getvalue()).pixels)


def test_more_pixels_than_allowed_are_refused_before_they_are_read():
    file = io.BytesIO()
    Image.new("1", (3000, 3000)).save(file, "PNG")
    with pytest.raises(ImageError, match="more than the limit"):
        decode(file.getvalue(), max_pixels=1_000_000)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_image_is_refused_in_words(data):
    with pytest.raises(ImageError):
        decode(data)
