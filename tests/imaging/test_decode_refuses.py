import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from odd_files import chunk, every_kind, jpeg, png, real, rgb_png, saved, scene
from PIL import Image

from affinage.errors import ImageError
from affinage.imaging.decode import decode

KINDS = every_kind()
NO_IMAGES = {
    "empty": (b"", "an empty file"),
    "zeros": (bytes(5000), "nothing but 5000 zero bytes"),
    "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "an HTML page, not an image"),
    "html with a mark": (b"\xef\xbb\xbf<html lang=en>", "an HTML page"),
    "html in latin-1": ("<html><p>déjà".encode("latin-1"), "an HTML page"),
    "html in utf-16": ("<html><p>déjà".encode("utf-16"), "an HTML page"),
    "svg": (b"<?xml version='1.0'?>\n<svg width='3'></svg>", "an SVG drawing"),
    "svg with a script": (b"<svg width='3'><script>alert(1)</script></svg>", "an SVG drawing"),
    "page with an svg": (b"<html><body><svg width='3'></svg></body></html>", "an HTML page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
    "json": (b'{"error": "not found"}', "a JSON text"),
    "text": ("Größe, 3\n".encode() * 500, "a text, not an image"),
    "cut text": (("x" * 2047 + "ü" + "y" * 99).encode(), "a text, not an image"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
    "pdf": (b"%PDF-1.7\n\xe2\xe3", "a PDF document"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0avif", "an AVIF image"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\2\0", "a video (MP4)"),
    "mov": (b"\0\0\0\x14ftypqt  \0\0\2\0", "a video (QuickTime)"),
    "webm": (b"\x1aE\xdf\xa3\x9fB\x86", "a video (Matroska or WebM)"),
    "avi": (b"RIFF\0\0\0\0AVI LIST", "a video (AVI)"),
    "zip": (b"PK\x03\x04\x14\0", "a ZIP archive"),
    "psd": (b"8BPS\0\1", "a Photoshop file"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw file (CR2)"),
    "raf": (b"FUJIFILMCCD-RAW 0201FF", "a camera's raw file (RAF)"),
    "orf": (b"IIRO\x08\0\0\0", "a camera's raw file (ORF)"),
    "jpeg xl": (b"\xff\x0a\xfa", "a JPEG XL image"),
    "mac side file": (b"\0\5\x16\7\0\2\0\0Mac OS X", "a macOS side file"),
    "noise": (np.random.default_rng(5).bytes(999), "not an image that can be told"),
    "png as text": (b"\x89PNG\n\x1a\n" + b"x" * 99, "line ends were converted"),
}


def refused(data):
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert caught.value.remedy
    return caught.value.problem


@pytest.mark.parametrize(("data", "reason"), NO_IMAGES.values(), ids=NO_IMAGES.keys())
def test_what_is_no_image_is_said_by_name(data, reason):
    assert reason in refused(data)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("name", "data"), KINDS.items(), ids=KINDS.keys())
def test_a_file_cut_off_is_refused_or_whole(name, data, share, capfd):
    """Where what was cut off is not the first picture's, the picture is read as if nothing was."""
    whole = decode(data)
    try:
        cut = decode(data[: int(len(data) * share)])
    except ImageError:
        cut = whole
    assert np.array_equal(cut.pixels, whole.pixels)
    assert capfd.readouterr() == ("", "")


PLAIN = ["jpeg", "jpeg progressive", "png", "webp", "bmp", "tiff", "ppm"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", PLAIN)
def test_a_single_picture_cut_off_is_called_truncated(name, share):
    data = every_kind()[name]
    assert "truncated" in refused(data[: int(len(data) * share)])


def damages(data, random):
    """Yield (name, damaged bytes) of one JPEG."""
    size = len(data)
    place = random.integers(size // 3, size // 2)
    length = max(100, size // 10)
    yield "zero tail", data[:place] + bytes(size - place)
    yield "ff tail", data[:place] + b"\xff" * (size - place)
    yield "overwritten", data[:place] + random.bytes(length) + data[place + length :]
    yield "bytes lost", data[:place] + data[place + length :]
    yield "unix to dos", data.replace(b"\n", b"\r\n")
    yield "no end", data[:-2]


@pytest.mark.parametrize("path", real("*/*/**/*.jpg", 400)[::40], ids=lambda path: path.name)
def test_damaged_photos_are_refused(path):
    data = path.read_bytes()
    missed = [name for name, bad in damages(data, np.random.default_rng(0)) if not fails(bad)]
    assert missed == []


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_jpegs_are_refused(quality, progressive):
    noise = np.random.default_rng(1).integers(0, 40, (200, 300, 3), dtype=np.uint8)
    data = jpeg(scene(200, 300) // 2 + noise, quality=quality, progressive=progressive)
    missed = [name for name, bad in damages(data, np.random.default_rng(0)) if not fails(bad)]
    assert missed == []


CHECKED = ["png", "png 16", "png palette", "webp lossless", "ico", "tiff deflate", "tiff lzw"]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", [*CHECKED, "tiff jpeg", "jpeg 2000", "gif", "apng"])
def test_a_tail_of_zeros_is_refused_or_not_of_the_picture(name, share):
    data = KINDS[name]
    place = int(len(data) * share)
    damaged = data[:place] + bytes(len(data) - place)
    if fails(damaged):
        return
    assert np.array_equal(decode(damaged).pixels, decode(data).pixels)


def test_a_webp_that_ends_in_zeros_is_refused():
    data = KINDS["webp"]
    assert "zero bytes" in refused(data[:250] + bytes(len(data) - 250))


def test_a_jpeg_of_rare_sampling_is_said_to_be_one():
    data = bytearray(jpeg(subsampling=0))
    data[data.index(b"\xff\xc0") + 11] = 0x43
    assert "rare kind" in refused(bytes(data))


@pytest.mark.parametrize("grey", [0, 1, 128, 255])
@pytest.mark.parametrize("side", [16, 512])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"quality": 1}])
def test_an_empty_scene_is_no_damage(grey, side, options):
    pixels = np.full((side, side, 3), grey, np.uint8)
    assert not fails(saved(pixels, "WEBP", **options))
    assert not fails(jpeg(pixels, optimize=True))
    assert not fails(jpeg(pixels, progressive=True))
    assert not fails(saved(pixels, "PNG"))


def fails(data):
    try:
        decode(data)
    except ImageError:
        return True
    return False


def test_a_wrong_checksum_in_the_pixels_is_refused():
    assert "wrong checksum in the PNG chunk IDAT" in refused(rgb_png(wrong=True))


def test_a_png_with_too_few_rows_is_refused():
    assert "truncated" in refused(png(8, 8, 8, 2, b"\0" * 25 * 3))


def test_a_bomb_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(Image.core, "new", None)  # Any allocation would fail otherwise.
    rows = zlib.compress(bytes(16_001 * 100), 9)
    header = struct.pack(">IIBBBBB", 16_000, 16_000, 8, 0, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    assert "16000 × 16000 = 256 megapixels" in refused(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_every_kind_keeps_the_limit(kind):
    with pytest.raises(ImageError, match="more than the limit"):
        decode(saved(scene(), kind), max_pixels=48 * 64 - 1)
    assert decode(saved(scene(), kind), max_pixels=48 * 64).format == kind


def test_a_gif_whose_frame_outgrows_its_canvas_is_refused():
    frame = struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
    data = (
        b"GIF89a"
        + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0)
        + bytes(6)
        + b","
        + frame
        + b"\2\2L\1\0;"
    )
    assert "pixels" in refused(data)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_width_of_zero_is_refused(bits):
    assert "there is none" in refused(png(0, 4, bits, 0, b""))


def test_a_jpeg_of_endless_scans_is_refused():
    data = jpeg(progressive=True)
    start = data.index(b"\xff\xda")
    assert "scans" in refused(data[:start] + data[start : start + 20] * 1001 + data[start:])


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(KINDS)),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 8)), max_size=4
    ),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
@example(name="jpeg", edits=[], cut=None)
def test_no_bytes_bring_anything_but_an_image_or_an_image_error(name, edits, cut):
    data = bytearray(KINDS[name])
    for share, new, lost in edits:
        # Most places that matter are in the first bytes.
        place = int(share**3 * len(data))
        data[place : place + lost] = new
    check(bytes(data if cut is None else data[: int(cut * len(data))]))


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"", *(data[:12] for data in KINDS.values())]),
    rest=st.binary(max_size=99),
)
def test_no_invented_bytes_do_either(start, rest):
    check(start + rest)


def check(data):
    try:
        decoded = decode(data, max_pixels=1_000_000)
    except ImageError:
        return
    height, width, channels = decoded.pixels.shape
    assert channels == 3
    assert 0 < height * width <= 1_000_000
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous
