import dataclasses

import cv2
import numpy as np
import pytest
from odd_files import every_kind, jpeg, real, saved, scene

from affinage.errors import ImageError
from affinage.imaging.augment import Chance, random_box
from affinage.imaging.batches import Item, augmented_batches
from affinage.imaging.decode import decode
from affinage.imaging.halving import halvings
from affinage.imaging.hashing import content_id
from affinage.imaging.pixels import PixelReader, keeping, needed_side
from affinage.imaging.resize import prepare, view_box
from affinage.imaging.warp import Placement, warp
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

SMALL = Preprocessing(width=32, height=32)
ON = AugmentSettings(rotation=20, crop=0.4)


@pytest.fixture
def items(tmp_path):
    made = []
    for number in range(12):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg(scene(60 + 40 * number, 150, seed=number)))
        made.append(Item(content_id(path.read_bytes()), path))
    return made


def views(items, pixels, threads=2, epoch=0):
    batches = augmented_batches(
        items, SMALL, ON, seed=1, epoch=epoch, batch_size=5, threads=threads, pixels=pixels
    )
    return np.concatenate(list(batches))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("side", [None, 48])
def test_cold_warm_and_off_give_the_same_batches(items, tmp_path, side, threads):
    off = views(items, PixelReader(side=side), threads=1)
    reader = keeping(tmp_path / "kept", side=side)
    assert np.array_equal(views(items, reader, threads), off)
    assert len(list((tmp_path / "kept").rglob("*.rgb"))) == len(items)
    assert np.array_equal(views(items, reader, threads), off)
    assert np.array_equal(views(items, keeping(tmp_path / "kept", side=side), threads), off)


def test_a_cache_that_holds_half_gives_the_same_batches(items, tmp_path):
    off = views(items, PixelReader(side=48))
    half = keeping(tmp_path / "kept", side=48, gigabytes=2e-4)
    assert np.array_equal(views(items, half), off)
    assert 0 < len(list((tmp_path / "kept").rglob("*.rgb"))) < len(items)
    assert np.array_equal(views(items, half), off)


def test_a_cache_cut_off_in_the_middle_of_a_training_gives_the_same_batches(items, tmp_path):
    reader = keeping(tmp_path / "kept", side=48)
    views(items, reader)
    for path in (tmp_path / "kept").rglob("*.rgb"):
        path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(
        views(items, reader, epoch=1), views(items, PixelReader(side=48), epoch=1)
    )


def test_off_by_the_recipe_writes_nothing(items, tmp_path):
    views(items, keeping(tmp_path / "kept", side=None, gigabytes=0))
    assert not (tmp_path / "kept").exists()


def test_what_is_kept_does_not_need_its_file(items, tmp_path):
    reader = keeping(tmp_path / "kept", side=None)
    before = views(items, reader)
    items[3].path.unlink()
    assert np.array_equal(views(items, reader), before)
    with pytest.raises(ImageError, match="vanished"):
        views(items, PixelReader())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize(("height", "width"), [(400, 300), (801, 1203), (100, 5000), (640, 3)])
def test_a_reduced_image_is_the_whole_one_made_smaller(kind, height, width):
    pixels = cv2.GaussianBlur(scene(height, width), (0, 0), 6)
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    data = saved(pixels, kind, **options)
    whole, small = decode(data).pixels, decode(data, side=100).pixels
    expected = made_smaller(whole, 2 ** halvings(height, width, 100), kind)
    assert small.shape == expected.shape
    assert np.abs(small.astype(int) - expected).mean() < 1


def made_smaller(pixels, scale, kind):
    """Return means of whole blocks: libjpeg fills the last ones up, elsewhere all are a bit smaller."""
    height, width = pixels.shape[:2]
    down, across = -(-height // scale), -(-width // scale)
    if kind == "JPEG":
        more = (0, down * scale - height, 0, across * scale - width)
        pixels = cv2.copyMakeBorder(pixels, *more, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, (across, down), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("size", "times"), [(99, 0), (199, 0), (200, 1), (399, 1), (400, 2), (9999, 3)]
)
def test_an_image_is_halved_while_enough_is_left(size, times):
    assert halvings(size, 20_000, 100) == times
    assert halvings(20_000, size, 100) == times


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_turned_at_any_scale(orientation):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(cv2.GaussianBlur(scene(400, 600), (0, 0), 5), exif=exif)
    whole, small = decode(data).pixels, decode(data, side=200).pixels
    expected = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert small.shape == expected.shape
    assert np.abs(small.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_a_photo_cut_off_is_refused_at_any_scale(kept):
    data = jpeg(scene(800, 800))
    with pytest.raises(ImageError, match="truncated"):
        decode(data[: int(len(data) * kept)], side=100)


@pytest.mark.parametrize("path", real("dirty_examples/*/*.*", 40), ids=lambda path: path.name)
def test_every_odd_file_is_read_alike_at_any_scale(path):
    data = path.read_bytes()
    try:
        whole = decode(data)
    except ImageError as error:
        with pytest.raises(ImageError, match=error.problem[:20]):
            decode(data, side=64)
        return
    small = decode(data, side=64)
    assert small.notes == whole.notes
    expected = made_smaller(whole.pixels, 2 ** halvings(*whole.pixels.shape[:2], 64), whole.format)
    assert np.abs(small.pixels.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("crop", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(800, 800), (500, 2500), (2500, 500)])
def test_the_smallest_crop_of_a_reduced_image_still_fills_the_view(crop, shape):
    preprocessing = Preprocessing(width=96, height=96)
    side = needed_side([(preprocessing, AugmentSettings(crop=crop))])
    scale = min(1.0, side / min(shape))
    smallest = Chance(**dict.fromkeys(Chance.__slots__, 0.0))
    for aspect in (0.0, 1.0):
        chance = dataclasses.replace(smallest, aspect=aspect)
        left, top, right, bottom = random_box(
            round(shape[0] * scale), round(shape[1] * scale), preprocessing, crop, chance
        )
        assert min(right - left, bottom - top) >= 95.9


def test_the_needed_side_is_that_of_the_largest_view():
    large = Preprocessing(width=224, height=160)
    assert needed_side([(SMALL, ON), (large, ON)]) == needed_side([(large, ON)]) == 512
    assert needed_side([(large, AugmentSettings())]) == 384
    assert needed_side([(large, AugmentSettings(crop=1))]) == 512
    assert needed_side([(Preprocessing(width=8000, height=8000), ON)]) > 8000


@pytest.mark.parametrize("name", sorted(every_kind()))
def test_every_kind_gives_the_view_of_the_reference_path(name, tmp_path):
    """Upright and uncropped, the warp is near to Pillow's resize of all that decode gives."""
    data = every_kind()[name]
    path = tmp_path / "image"
    path.write_bytes(data)
    preprocessing = Preprocessing(width=24, height=24, interpolation="bilinear")
    pixels = keeping(tmp_path / "kept", side=48)(Item(content_id(data), path))
    whole = decode(data).pixels
    box = view_box(*pixels.shape[:2], preprocessing)
    view = warp(pixels, Placement(box=box), preprocessing)
    dithered = name.endswith(" 1")  # Black beside white everywhere: the finest pattern there is.
    gap = np.abs(view.astype(int) - prepare(whole, preprocessing)).mean()
    assert gap < (6 if dithered else 4)


def test_thirty_megapixels_and_a_line_are_seen_as_by_the_reference_path(tmp_path):
    preprocessing = Preprocessing(width=96, height=96, interpolation="bilinear")
    for height, width in ((5000, 6000), (1, 5000), (5000, 1)):
        data = jpeg(cv2.resize(scene(48, 64), (width, height)))
        pixels = decode(data, side=192).pixels
        view = warp(
            pixels, Placement(box=view_box(*pixels.shape[:2], preprocessing)), preprocessing
        )
        exact = prepare(decode(data).pixels, preprocessing)
        assert np.abs(view.astype(int) - exact).mean() < 3
