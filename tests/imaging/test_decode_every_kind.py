import io
import warnings

import numpy as np
import pytest
from odd_files import (
    animation,
    chunk,
    cmyk_jpeg,
    every_kind,
    frames,
    jpeg,
    orientation,
    palette_with_transparency,
    png16,
    real,
    rgb_png,
    saved,
    scene,
    srgb,
    tiff,
    wide_gamut,
)
from PIL import Image, ImageCms, ImageOps

from affinage.errors import ImageError
from affinage.imaging.decode import decode


def test_a_plain_jpeg_is_what_libjpeg_reads():
    decoded = decode(jpeg())
    expected = np.asarray(Image.open(io.BytesIO(jpeg())))
    assert (decoded.format, decoded.notes) == ("JPEG", ())
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(("name", "data"), every_kind().items(), ids=every_kind().keys())
def test_every_kind_is_read_as_rgb_without_a_sound(name, data, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode(data)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.ndim == 3
    assert decoded.pixels.shape[2] == 3
    assert decoded.pixels.flags.c_contiguous
    assert decoded.pixels.flags.writeable
    assert capfd.readouterr() == ("", "")


LOSSLESS = ["png", "png 16 rgb", "bmp", "tiff", "tiff pages", "tiff lzw", "tiff deflate"]


@pytest.mark.parametrize("name", [*LOSSLESS, "ppm", "pcx", "tiff 16 rgb", "jpeg 2000", "apng"])
def test_lossless_kinds_keep_every_pixel(name):
    assert np.array_equal(decode(every_kind()[name]).pixels, scene())


@pytest.mark.parametrize("name", ["png 16", "tiff 16", "tiff float"])
def test_deep_greys_keep_their_8_bits(name):
    assert np.array_equal(decode(every_kind()[name]).pixels, scene()[..., :1].repeat(3, axis=2))


@pytest.mark.parametrize("values", [np.array([[0, 255, 256, 32768, 65535]], np.uint16)])
def test_of_16_bits_the_high_byte_is_kept(values):
    decoded = decode(png16(values))
    assert decoded.pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert "16-bit: the high byte of each value" in decoded.notes


def test_12_bits_in_16_are_said_to_be_dark():
    decoded = decode(png16(np.array([[0, 4095]], np.uint16)))
    assert "dark: its brightest value is 4095 of 65535" in decoded.notes


@pytest.mark.parametrize("bad", [-1.0, 2.0, 1000.0, float("nan"), float("inf")])
def test_floats_beyond_0_to_1_are_refused(bad):
    values = np.full((4, 4, 1), 0.5, "<f4")
    values[1, 1] = bad
    with pytest.raises(ImageError, match=r"only 0\.\.1 has a known meaning"):
        decode(tiff(values, photometric=1, sample_format=3))


@pytest.mark.parametrize(
    ("channels", "photometric", "extra"), [(5, 2, (0, 0)), (5, 1, (0,) * 4), (7, 2, (0,) * 4)]
)
def test_more_channels_than_colours_are_refused(channels, photometric, extra):
    with pytest.raises(ImageError, match=f"{channels} channels of 8 bits"):
        decode(tiff(np.zeros((8, 8, channels), np.uint8), photometric=photometric, extra=extra))


def test_signed_numbers_are_refused():
    with pytest.raises(ImageError, match="signed numbers"):
        decode(tiff(np.zeros((8, 8, 1), "<i2"), photometric=1, sample_format=2))


@pytest.mark.parametrize(
    ("said", "reason"), [({"dng": True}, "raw file"), ({"subfile": 1}, "copy")]
)
def test_the_small_preview_in_a_cameras_raw_file_is_not_taken_for_the_photo(said, reason):
    with pytest.raises(ImageError, match=reason) as refused:
        decode(tiff(np.zeros((8, 8, 3), np.uint8), photometric=2, **said))
    assert refused.value.remedy.startswith("Save it as PNG or JPEG")


@pytest.mark.parametrize("subfile", [0, 2])
def test_a_page_of_its_own_is_read(subfile):
    assert decode(tiff(np.zeros((8, 8, 3), np.uint8), photometric=2, subfile=subfile)).notes == ()


def test_a_fourth_channel_of_unknown_meaning_is_said():
    data = tiff(np.full((8, 8, 4), 9, np.uint8), photometric=2, extra=(0,))
    assert decode(data).notes == ("a channel of unknown meaning left out",)
    assert decode(data).pixels.max() == 9


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied_once(kind, value):
    data = saved(scene(), kind, exif=orientation(value))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    decoded = decode(data)
    assert decoded.pixels.shape[:2] == expected.size[::-1]
    assert np.abs(decoded.pixels.astype(int) - np.asarray(expected)).mean() < 1
    assert decoded.notes == (() if value == 1 else ("EXIF rotation applied",))


@pytest.mark.parametrize("exif", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_a_broken_exif_is_no_rotation(exif):
    assert decode(jpeg(exif=b"Exif\0\0" + exif)).notes == ()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF"])
def test_transparent_parts_are_white_not_what_hides_below(kind):
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 4, 8))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode(saved(picture, kind, **options))
    assert decoded.pixels[0, 0].tolist() == [0, 0, 255]
    assert decoded.pixels[0, 7].tolist() == [255, 255, 255]
    assert "transparent parts shown on white" in decoded.notes


def test_half_transparent_is_half_white():
    decoded = decode(saved(Image.new("LA", (4, 4), (0, 128)), "PNG"))
    assert abs(int(decoded.pixels[0, 0, 0]) - 127) <= 1


def test_an_opaque_alpha_says_nothing():
    assert decode(saved(Image.new("RGBA", (4, 4), (1, 2, 3, 255)), "PNG")).notes == ()


def test_a_palette_with_a_transparent_entry_is_read():
    notes = decode(palette_with_transparency()).notes
    assert notes == ("palette", "transparent parts shown on white")


def test_a_colour_key_is_transparency_too():
    data = saved(Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert decode(data).pixels.min() == 255


@pytest.mark.parametrize(
    ("kind", "note"),
    [("GIF", "first of 3 frames"), ("WEBP", "first of 3 frames"), ("PNG", "first of 3 frames")],
)
def test_an_animation_is_its_first_frame(kind, note):
    decoded = decode(animation(kind))
    assert note in decoded.notes
    assert np.abs(decoded.pixels.astype(int) - scene()).mean() < 8


def test_of_several_pages_the_first_is_read():
    assert decode(every_kind()["tiff pages"]).notes == ("first of 2 pages",)


def test_cmyk_of_adobe_is_inverted_and_of_others_is_not():
    assert np.abs(decode(cmyk_jpeg(adobe=True)).pixels[8, 8] - np.array([0, 255, 255])).max() <= 3
    assert np.abs(decode(cmyk_jpeg(adobe=False)).pixels[8, 8] - np.array([0, 0, 0])).max() <= 3
    assert decode(cmyk_jpeg(adobe=True)).notes == ("CMYK converted",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_colour_profile_is_converted_to_srgb(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(scene(), kind, icc_profile=wide_gamut(), **options)
    decoded, plain = decode(data), decode(saved(scene(), kind, **options)).pixels
    expected = ImageCms.profileToProfile(
        Image.fromarray(plain), io.BytesIO(wide_gamut()), ImageCms.createProfile("sRGB")
    )
    assert [note[:11] for note in decoded.notes] == ["ICC profile"]
    assert decoded.notes[0].endswith("converted to sRGB")
    assert np.array_equal(decoded.pixels, np.asarray(expected))
    assert np.abs(decoded.pixels.astype(int) - plain).mean() > 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_srgb_profile_changes_nothing(kind):
    decoded = decode(saved(scene(), kind, icc_profile=srgb()))
    assert decoded.notes == ()
    assert np.array_equal(decoded.pixels, decode(saved(scene(), kind)).pixels)


@pytest.mark.parametrize("profile", [b"\x01", b"not a profile", srgb()[:200], bytes(4000)])
def test_a_broken_profile_is_ignored_and_said(profile):
    decoded = decode(jpeg(icc_profile=profile))
    assert decoded.notes == ("unreadable colour profile ignored",)
    assert np.array_equal(decoded.pixels, decode(jpeg()).pixels)


def test_a_profile_of_another_model_is_ignored_and_said():
    grey = saved(Image.fromarray(scene()).convert("L"), "JPEG", icc_profile=srgb())
    assert decode(grey).notes == ("grey", "colour profile for RGB ignored")


def test_a_png_with_a_damaged_comment_is_read():
    data = rgb_png(before=chunk(b"tEXt", b"Comment\0hello", wrong=True))
    decoded = decode(data)
    assert np.array_equal(decoded.pixels, scene())
    assert decoded.notes == ("PNG chunk tEXt with a wrong checksum left out",)


def test_a_png_with_megabytes_of_comments_is_read():
    comment = chunk(b"tEXt", b"parameters\0" + b"x" * 3_000_000)
    assert np.array_equal(decode(rgb_png(before=comment, after=comment)).pixels, scene())


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_extreme_shapes_are_read(kind, shape):
    assert decode(saved(scene(*shape), kind)).pixels.shape == (*shape, 3)


@pytest.mark.parametrize("path", real("*/*/**/*.*", 40)[::2], ids=lambda path: path.name)
def test_real_files_are_read_as_other_readers_do(path):
    decoded = decode(path.read_bytes())
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.abs(decoded.pixels.astype(int) - expected).mean() < 1


def test_a_hundred_honest_megapixels_are_read():
    data = saved(Image.new("RGB", (12_000, 8_400), (7, 8, 9)), "JPEG", quality=50)
    limit = Image.MAX_IMAGE_PIXELS
    assert decode(data).pixels.shape == (8_400, 12_000, 3)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_frames_differ_so_that_the_first_can_be_told():
    first, second, _ = (np.asarray(frame).astype(int) for frame in frames())
    assert np.abs(first - second).mean() > 20
