import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_files import every_kind, jpeg, saved, scene
from PIL import Image
from sklearn.datasets import load_sample_image

from affinage.errors import ImageError
from affinage.imaging.batches import Item
from affinage.imaging.decode import decode
from affinage.imaging.encoding import encoding_of
from affinage.imaging.hashing import content_id
from affinage.imaging.measure import measure
from affinage.imaging.measuring import FACTS, measure_all
from affinage.imaging.origin import origin_of
from affinage.records.measures import MEASURES
from affinage.store.measure_cache import MeasureCache

KINDS = every_kind()


@pytest.fixture(scope="module")
def photo():
    return np.ascontiguousarray(load_sample_image("china.jpg"))


def measured(pixels):
    return measure(pixels, jpeg(scene()))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_measured(name):
    data = KINDS[name]
    found = measure(decode(data).pixels, data)
    assert {*MEASURES} - {"image"} == {*found.__dataclass_fields__} - {"thumb"}
    assert found.thumb.shape == (32, 32, 3)
    assert found.encoding.startswith(("JPEG", "PNG", "WEBP", "GIF", "BMP", "ICO", "TIFF", "P"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (2, 2), (31, 33), (257, 256)])
def test_any_size_is_measured(shape):
    found = measured(np.full((*shape, 3), 128, np.uint8))
    assert found.brightness == pytest.approx(128 / 255)
    assert (found.flat, found.palette, found.entropy, found.variation) == (1, 0, 0, 0)


def test_light_and_contrast_agree_with_their_definitions(photo):
    small = photo[:200, :250]
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) / 255
    found = measured(small)
    assert found.brightness == pytest.approx(luma.mean(), abs=1e-6)
    assert found.contrast == pytest.approx(luma.std(), abs=1e-6)
    assert found.dark == pytest.approx((luma < 0.08).mean(), abs=1e-6)
    assert found.bright == pytest.approx((luma > 0.96).mean(), abs=1e-6)
    spread = small.max(axis=2).astype(float) - small.min(axis=2)
    assert found.colour == pytest.approx(spread.mean() / 255, abs=1e-6)
    laplacian = cv2.Laplacian(luma, cv2.CV_64F)
    assert found.sharpness == pytest.approx((laplacian**2).mean(), rel=1e-6)


def test_a_photo_looks_the_same_at_other_sizes(photo):
    whole = measured(photo)
    large = measured(cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    for name in ("brightness", "contrast", "colour", "darkest", "lightest", "variation"):
        assert getattr(large, name) == pytest.approx(getattr(whole, name), abs=0.02)
    assert np.abs(large.thumb.astype(int) - whole.thumb).mean() < 2


def test_focus_falls_with_blur_and_not_with_contrast(photo):
    sharp = measured(photo).focus
    assert measured((photo * 0.4).astype(np.uint8)).focus == pytest.approx(sharp, rel=0.1)
    blurred = [measured(cv2.GaussianBlur(photo, (0, 0), sigma)).focus for sigma in (1, 2, 4, 8)]
    assert sharp > 1
    assert sharp > blurred[0] > blurred[1] > 0.45
    assert max(blurred[2:]) < 0.45


def bits(first, second):
    return (first ^ second).bit_count()


def test_the_hash_bears_recompression_and_resizing_and_tells_photos_apart(photo):
    own = measured(photo).hash
    saved_again = decode(jpeg(photo, quality=30)).pixels
    assert bits(own, measured(saved_again).hash) <= 4
    assert bits(own, measured(cv2.resize(photo, (200, 150))).hash) <= 4
    other = np.ascontiguousarray(load_sample_image("flower.jpg"))
    assert bits(own, measured(other).hash) >= 16
    assert measured(np.full((64, 64, 3), 77, np.uint8)).hash == 1 << 63


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_jpegs_quality_and_sampling_are_read_back(quality, sampling):
    data = jpeg(quality=quality, subsampling=sampling)
    assert encoding_of(data, "JPEG") == f"JPEG quality {quality} {sampling}"


def test_other_ways_of_saving_are_told_apart():
    image = Image.fromarray(scene())
    grey = image.convert("L")
    named = {
        "JPEG quality 75 grey": saved(grey, "JPEG", quality=75),
        "JPEG quality 75 4:2:0 progressive": saved(image, "JPEG", quality=75, progressive=True),
        "JPEG quality 75 CMYK": saved(image.convert("CMYK"), "JPEG", quality=75),
        "PNG 8-bit grey": saved(grey, "PNG"),
        "PNG 8-bit RGB": saved(image, "PNG"),
        "PNG 1-bit grey": saved(grey.convert("1"), "PNG"),
        "PNG 8-bit palette": saved(image.quantize(200), "PNG"),
        "WEBP lossy": saved(image, "WEBP"),
        "WEBP lossless": saved(image, "WEBP", lossless=True),
        "GIF": saved(image, "GIF"),
    }
    kinds = {name: encoding_of(data, name.split(maxsplit=1)[0]) for name, data in named.items()}
    assert kinds == {name: name for name in named}


def test_tables_of_other_programs_are_named_by_the_nearest_quality():
    tables = [[7 + n // 3 for n in range(64)]] * 2
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "JPEG", qtables=tables)
    assert encoding_of(file.getvalue(), "JPEG").startswith("JPEG quality about ")


def exif(**more):
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0131] = "Canon", "Canon EOS 5D", "Picture\tTool 3\x00junk"
    tags[0x8298] = "Somebody"
    tags.get_ifd(0x8825)[2] = (48.0, 51.0, 29.0)
    return tags


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_camera_and_software_are_read_and_nothing_else(kind):
    found = origin_of(saved(Image.fromarray(scene()), kind, exif=exif()), kind)
    assert (found.camera, found.software) == ("Canon EOS 5D", "Picture Tool 3")


def test_names_are_printable_and_short():
    tags = Image.Exif()
    tags[0x0110] = "X\x1b[31m" + "y" * 500
    found = origin_of(jpeg(exif=tags), "JPEG")
    assert found.camera == "X [31m" + "y" * 74
    assert found.software is None


def test_a_file_without_exif_names_no_camera():
    assert origin_of(jpeg(), "JPEG").camera is None


@given(st.binary(max_size=200), st.sampled_from([b"II*\x00", b"MM\x00*"]))
def test_no_exif_breaks_the_reader(junk, lead):
    tiff = lead + struct.pack("<I", 8) + junk
    data = jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\x00\x00" + tiff
    found = origin_of(data + jpeg()[2:], "JPEG")
    assert all(name is None or 0 < len(name) <= 80 for name in (found.camera, found.software))


@given(st.binary(max_size=300))
def test_no_header_breaks_the_walk(junk):
    encoding_of(b"\xff\xd8" + junk, "JPEG")
    encoding_of(b"RIFF\x00\x00\x00\x00WEBP" + junk, "WEBP")


@pytest.fixture
def items(tmp_path):
    made = []
    for number in range(20):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg(scene(40 + number, 60, seed=number)))
        made.append(Item(content_id(path.read_bytes()), path))
    return made


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_pass_gives_each_image_its_own_row_whatever_the_threads(items, threads):
    found = measure_all(items, threads=threads)
    assert found.table.columns == list(MEASURES)
    assert found.table["image"].to_list() == sorted(item.image for item in items)
    assert found.thumbs.shape == (20, 32, 32, 3)
    for item in items[:3]:
        data = item.path.read_bytes()
        row = found.table["image"].to_list().index(item.image)
        alone = measure(decode(data).pixels, data)
        assert found.table["hash"][row] == alone.hash
        assert found.table["focus"][row] == pytest.approx(alone.focus, rel=1e-6)
        assert np.array_equal(found.thumbs[row], alone.thumb)


def test_what_was_measured_before_is_not_read_again(items, tmp_path):
    cache = MeasureCache(tmp_path / "cache", FACTS)
    before = measure_all(items[:15], threads=2, cache=cache)
    for item in items[:15]:
        item.path.unlink()
    told = []
    after = measure_all(
        items, threads=2, cache=cache, progress=lambda done, total: told.append((done, total))
    )
    assert (before.computed, after.computed) == (15, 5)
    assert told[-1] == (20, 20)
    assert after.table.filter(after.table["image"].is_in(before.table["image"])).equals(
        before.table
    )


def test_one_image_at_two_places_is_one_row(items):
    assert measure_all([items[0], items[0]], threads=1).table.height == 1


def test_no_images_are_no_rows():
    found = measure_all([], threads=2)
    assert (found.table.height, found.thumbs.shape) == (0, (0, 32, 32, 3))


def test_an_image_that_changed_since_the_scan_is_an_error(items):
    items[3].path.write_bytes(jpeg())
    with pytest.raises(ImageError, match=r"3\.jpg: changed since the scan"):
        measure_all(items, threads=2)
