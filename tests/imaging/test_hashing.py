import hashlib
import subprocess
import sys

import numpy as np
import pytest
from odd_files import scene
from PIL import Image

from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id, thumbnail


def test_an_identity_is_the_hash_of_the_bytes():
    assert content_id(b"abc") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((480, 640), (120, 160)),
        ((640, 480), (160, 120)),
        ((50, 70), (50, 70)),
        ((1, 5000), (1, 160)),
        ((5000, 1), (160, 1)),
    ],
)
def test_a_thumbnail_keeps_the_aspect_and_grows_nothing(shape, expected):
    decoded = decode(thumbnail(scene(*shape)))
    assert (decoded.format, decoded.pixels.shape[:2], decoded.notes) == ("JPEG", expected, ())


def test_a_thumbnail_shows_the_picture_and_carries_no_exif():
    data = thumbnail(scene(480, 640), size=80)
    assert b"Exif" not in data
    expected = Image.fromarray(scene(480, 640)).resize((80, 60), Image.Resampling.BOX)
    assert np.abs(decode(data).pixels.astype(int) - np.asarray(expected)).mean() < 6


def test_importing_the_package_brings_neither_torch_nor_polars():
    code = (
        "import sys, cv2; before = cv2.getNumThreads(); import affinage.imaging.batches;"
        "from PIL import Image; assert cv2.getNumThreads() == before;"
        "assert not {'torch', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
