"""Shortcuts planted in real photographs and scanned digits, by saving one class in another way."""

import io
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

from affinage.auditing.evidence import MEASURES, Evidence, gather
from affinage.auditing.shortcut_frames import frame_steps
from affinage.auditing.shortcuts import shortcuts
from affinage.datasets.sources import scan
from affinage.imaging.decode import decode
from affinage.imaging.measure import measure

from .samples import manifest_of


def encoded(
    image: Image.Image, *, kind: str = "JPEG", quality: int = 75, camera: str = ""
) -> bytes:
    exif = Image.Exif()
    if camera:
        exif[0x010F], exif[0x0110] = "Acme", camera
    out = io.BytesIO()
    image.save(out, format=kind, quality=quality, exif=exif)
    return out.getvalue()


def evidence_of(files: dict[str, bytes], labels: list[str], **columns: list[str]) -> Evidence:
    """Return evidence of encoded images, as a decode pass would give it."""
    rows, measured, pixels = [], [], {}
    for number, (name, data) in enumerate(files.items()):
        pixels[name] = decode(data).pixels
        found = measure(pixels[name], data)
        measured.append(found)
        height, width = pixels[name].shape[:2]
        more = {column: values[number] for column, values in columns.items()}
        kind = found.encoding.split(" ")[0]
        row = {"image": name, "label": labels[number], "width": width, "height": height}
        rows.append({**row, "bytes": len(data), "format": kind, **more})
    table = {
        "image": list(files),
        **{name: [getattr(m, name) for m in measured] for name in MEASURES if name != "image"},
    }
    return replace(
        gather(manifest_of(*rows)),
        measures=pl.DataFrame(table, schema=MEASURES),
        thumbs=np.stack([m.thumb for m in measured]),
        look=lambda image, size: pixels[image],
    )


def pictures(of: str, classes: int, each: int, samples=None) -> tuple[list[Image.Image], list[str]]:
    """Return digits enlarged to 48 px, or photographs of a sample set."""
    if of == "digits":
        data, target = load_digits(return_X_y=True)
        chosen = np.concatenate([np.flatnonzero(target == k)[:each] for k in range(classes)])
        grey = (data[chosen].reshape(-1, 8, 8) * 15.9).astype(np.uint8)
        images = [Image.fromarray(one).resize((48, 48), Image.Resampling.BICUBIC) for one in grey]
        return [one.convert("RGB") for one in images], [str(k) for k in target[chosen]]
    rows = gather(scan([samples / of]).manifest)
    images, labels = [], []
    for label in rows.classes[:classes]:
        for path in rows.images.filter(pl.col("label") == label)["path"].to_list()[:each]:
            images.append(Image.open(samples / of / path).convert("RGB"))
            labels.append(label)
    return images, labels


@pytest.fixture(scope="module")
def digit_pictures():
    return pictures("digits", 4, 40)


@pytest.fixture(scope="module", params=["flowers12", "mushrooms4"])
def photographs(request, samples):
    return pictures(request.param, 4, 40, samples)


def changed(images, labels, which: str, **how) -> Evidence:
    """Return evidence in which one class was made or saved in another way."""
    make = how.pop("make", lambda image: image)
    files = {
        f"{number:05d}": encoded(make(image), **how) if label == which else encoded(image)
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    }
    return evidence_of(files, labels)


def framed(image: Image.Image, colour: str = "white", width: int = 1) -> Image.Image:
    copy = image.copy()
    box = [0, 0, copy.width - 1, copy.height - 1]
    ImageDraw.Draw(copy).rectangle(box, outline=colour, width=width)
    return copy


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 9 // 10, image.height * 9 // 10))


PLANTED = {
    "shortcut-encoding": {"quality": 60},
    "shortcut-camera": {"camera": "One"},
    "shortcut-dimensions": {"make": smaller},
    "shortcut-border": {"make": framed},
}


def test_nothing_is_cried_on_digits(digit_pictures):
    images, labels = digit_pictures
    assert list(shortcuts(changed(images, labels, "nobody"))) == []


@pytest.mark.parametrize("code", PLANTED)
def test_one_class_made_in_another_way_is_found_among_digits(code, digit_pictures):
    images, labels = digit_pictures
    [finding] = [
        f for f in shortcuts(changed(images, labels, "2", **PLANTED[code])) if f.code == code
    ]
    assert finding.severity == "warning"
    assert finding.subject.startswith("'2' can be told from ")
    assert re.search(r"affinage (audit|sample|split) DATA", finding.remedy)
    assert len(finding.ids) >= 36
    assert set(finding.ids) <= {f"{n:05d}" for n, label in enumerate(labels) if label == "2"}


def test_nothing_is_cried_on_photographs(photographs):
    images, labels = photographs
    assert list(shortcuts(changed(images, labels, "nobody"))) == []


@pytest.mark.parametrize("code", PLANTED)
def test_one_class_made_in_another_way_is_found_among_photographs(code, photographs):
    images, labels = photographs
    found = shortcuts(changed(images, labels, labels[50], **PLANTED[code]))
    assert code in [finding.code for finding in found]


def test_the_evidence_says_what_the_class_has_and_the_others_have_not(digit_pictures):
    images, labels = digit_pictures
    [finding] = shortcuts(changed(images, labels, "2", quality=60))
    assert "'JPEG quality 60 4:2:0': 100 % of '2', 0 % of the others" in finding.evidence
    assert "'2' is answered for 100 % of its images and 0 % of the others" in finding.evidence
    assert finding.cost == pytest.approx(0.25)


def test_pngs_among_jpegs_and_a_half_planted_encoding_are_found(digit_pictures):
    images, labels = digit_pictures
    assert "shortcut-encoding" in [
        f.code for f in shortcuts(changed(images, labels, "1", kind="PNG"))
    ]
    files = {
        f"{n:05d}": encoded(image, quality=60 if label == "1" and n % 3 else 75)
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    }
    assert [f.code for f in shortcuts(evidence_of(files, labels))] == ["shortcut-encoding"]


def test_a_colour_cast_over_one_class_is_a_note(digit_pictures):
    images, labels = digit_pictures

    def cast(image: Image.Image) -> Image.Image:
        return Image.fromarray((np.asarray(image) // 2 + [60, 20, 0]).astype(np.uint8))

    found = [f for f in shortcuts(changed(images, labels, "3", make=cast)) if "thumb" in f.code]
    assert [f.severity for f in found] == ["note"]
    assert any("whole 8 × 8 thumbnail" in line for line in found[0].evidence)


@pytest.mark.parametrize(("each", "severity"), [(1, "warning"), (8, "note")])
def test_a_class_from_its_own_source_is_grave_where_there_is_only_one(
    each, severity, digit_pictures
):
    images, labels = digit_pictures
    site = [f"own{n % each}" if k == "2" else f"site{n % 9}" for n, k in enumerate(labels)]
    files = {f"{n:05d}": encoded(image) for n, image in enumerate(images)}
    evidence = replace(evidence_of(files, labels, site=site), group="site")
    [finding] = shortcuts(evidence)
    assert (finding.code, finding.severity) == ("shortcut-source", severity)
    assert finding.remedy == "affinage split DATA --group site"


def test_sources_that_share_the_classes_are_no_shortcut(digit_pictures):
    images, labels = digit_pictures
    files = {f"{n:05d}": encoded(image) for n, image in enumerate(images)}
    site = [f"site{n % 5}" for n in range(len(labels))]
    assert list(shortcuts(replace(evidence_of(files, labels, site=site), group="site"))) == []


def test_padding_that_no_pixel_explains_is_found_by_the_file_size(digit_pictures):
    images, labels = digit_pictures
    files = {
        f"{n:05d}": encoded(image) + bytes(4000 if label == "3" else 0)
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    }
    [finding] = shortcuts(evidence_of(files, labels))
    assert finding.code == "shortcut-file-size"
    assert finding.subject.startswith("'3' can be told from the file's size alone")


def test_a_one_takes_fewer_bytes_than_a_nought_and_that_is_no_shortcut():
    images, labels = pictures("digits", 2, 80)
    sizes = [len(encoded(image)) for image in images]
    assert max(sizes[80:]) < np.median(sizes[:80])
    assert list(shortcuts(changed(images, labels, "nobody"))) == []


def test_few_images_or_one_class_say_nothing(digit_pictures):
    images, labels = digit_pictures
    few = [n for n in range(len(labels)) if n % 10 == 0]
    evidence = changed([images[n] for n in few], [labels[n] for n in few], "2", quality=60)
    assert list(shortcuts(evidence)) == []
    assert list(shortcuts(changed(images[:40], labels[:40], "nobody"))) == []


def test_a_frame_steps_by_its_contrast_on_every_side_and_content_does_not():
    grey = np.full((40, 60, 3), 100, dtype=np.uint8)
    assert frame_steps(grey).tolist() == [0, 0, 0, 0]
    lined = grey.copy()
    lined[:2] = 202
    np.testing.assert_allclose(frame_steps(lined), [0.4, 0, 0, 0], atol=1e-6)
    checks = np.indices((40, 60)).sum(axis=0)[..., None] % 2 * np.full(3, 255)
    assert (frame_steps(checks.astype(np.uint8)) < 0.03).all()
    assert frame_steps(np.zeros((3, 3, 3), dtype=np.uint8)).tolist() == [0, 0, 0, 0]
