from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from affinage.auditing.evidence import gather
from affinage.auditing.exposure import blank_images, bright_images, dark_images
from affinage.auditing.greyness import grey_among_colour
from affinage.auditing.looks import looks
from affinage.auditing.placeholders import placeholder_images, repeated_pictures
from affinage.auditing.sharpness import blurred_images
from affinage.auditing.sizes import odd_aspect, one_size_among_others, tiny_images
from affinage.imaging.decode import decode

from .measured import SIDE, evidence_of, photos
from .samples import healthy, manifest_of

CHECKS = (
    blank_images,
    dark_images,
    bright_images,
    blurred_images,
    grey_among_colour,
    tiny_images,
    odd_aspect,
    one_size_among_others,
    placeholder_images,
    repeated_pictures,
)


def darkened(image):
    return (image * 0.1).astype(np.uint8)


def washed_out(image):
    return (255 - (255 - image) * 0.1).astype(np.uint8)


def blurred(image):
    return cv2.GaussianBlur(image, (0, 0), 4)


def shaken(image):
    return cv2.GaussianBlur(image, (0, 0), sigmaX=4, sigmaY=0.1)


def blank(image):
    return np.full_like(image, 90)


def noise(image):
    return np.random.default_rng(0).normal(6, 4, image.shape).clip(0, 255).astype(np.uint8)


def grey(image):
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def not_found(image):
    page = np.full((SIDE, SIDE, 3), 238, np.uint8)
    for row, word in enumerate(("image", "not", "found")):
        cv2.putText(page, word, (12, 36 + 24 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40,) * 3, 1)
    return page


@pytest.fixture(scope="module")
def pieces():
    return photos()


@pytest.fixture(scope="module")
def healthy_photos(pieces):
    return evidence_of(pieces)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_is_silent_on_healthy_photos(check, healthy_photos):
    assert list(check(healthy_photos)) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("rows", [[], [{"label": "a"}], healthy()], ids=["none", "one", "some"])
def test_every_check_is_silent_where_nothing_was_measured(check, rows):
    assert list(check(gather(manifest_of(*rows)))) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_bears_one_measured_image(check, pieces):
    assert list(check(evidence_of(pieces[:1]))) == []


@pytest.mark.parametrize(
    ("check", "code", "fault"),
    [
        (blank_images, "blank-images", blank),
        (blank_images, "blank-images", noise),
        (dark_images, "dark-images", darkened),
        (bright_images, "bright-images", washed_out),
        (blurred_images, "blurred-images", blurred),
        (blurred_images, "blurred-images", shaken),
        (grey_among_colour, "grey-among-colour", grey),
        (placeholder_images, "placeholder-images", not_found),
    ],
)
def test_a_fault_is_found_by_its_own_check_alone(pieces, check, code, fault):
    spoilt = [fault(piece) if place in (7, 20) else piece for place, piece in enumerate(pieces)]
    found = [finding for each in CHECKS for finding in each(evidence_of(spoilt))]
    # Two blank images are the same picture twice, but under two labels only.
    assert [finding.code for finding in found] == [code]
    assert set(found[0].ids) == {"id0007", "id0020"}
    assert set(found[0].images) == {"0007.jpg", "0020.jpg"}
    assert found[0].remedy == f"affinage exclude DATA --finding {code}"
    assert 0 < found[0].cost <= 2 / len(pieces)
    assert next(check(evidence_of(spoilt))).subject == found[0].subject


@pytest.mark.parametrize("fault", [darkened, washed_out, blurred, grey, blank, not_found])
@pytest.mark.parametrize(
    "check", [*CHECKS[:5], placeholder_images], ids=lambda check: check.__name__
)
def test_what_a_whole_set_is_like_is_no_fault(pieces, check, fault):
    some = [fault(piece) for piece in pieces[:20]]
    assert list(check(evidence_of(some))) == []


def test_a_guess_says_how_often_it_is_right(pieces):
    finding = next(dark_images(evidence_of([darkened(pieces[0]), *pieces[1:]])))
    assert finding.hit_rate is not None
    assert finding.hit_rate.low is not None
    assert finding.hit_rate.low > 0.9
    assert finding.hit_rate.n > 500


def test_the_gravest_comes_first(pieces):
    spoilt = [(pieces[0] * 0.2).astype(np.uint8), (pieces[1] * 0.05).astype(np.uint8), *pieces[2:]]
    assert next(dark_images(evidence_of(spoilt))).ids == ("id0001", "id0000")


def test_colour_among_grey_is_told_too(pieces):
    mixed = [pieces[0], *map(grey, pieces[1:])]
    assert [finding.code for finding in grey_among_colour(evidence_of(mixed))] == [
        "colour-among-grey"
    ]


def test_scanned_digits_are_no_placeholders():
    scans = [(scan * 15.9).astype(np.uint8) for scan in load_digits().images[:200]]
    evidence = evidence_of([np.repeat(scan[:, :, None], 3, axis=2) for scan in scans])
    assert [finding for check in CHECKS for finding in check(evidence)] == []


def test_the_order_of_images_changes_nothing(pieces):
    spoilt = [not_found(piece) if place == 7 else piece for place, piece in enumerate(pieces)]
    evidence = evidence_of(spoilt)
    turned = replace(
        evidence,
        images=evidence.images.reverse(),
        measures=evidence.measures.reverse(),
        thumbs=evidence.thumbs[::-1],
        labels=evidence.labels[::-1],
    )
    assert (looks(evidence)[::-1] == looks(turned)).all()


def test_one_picture_under_three_labels_is_told_though_its_files_differ(pieces):
    copies = [pieces[0].copy() for _ in range(3)]
    for place, copy in enumerate(copies):
        copy[0, 0] = place
    rows = [{"label": label} for label in "xyz"]
    finding = next(repeated_pictures(evidence_of([*copies, *pieces[1:]], *rows)))
    assert finding.ids == ("id0000", "id0001", "id0002")
    assert finding.evidence == ("0000.jpg: 3 files under x, y, z",)


def test_the_same_bytes_under_three_labels_are_told_without_measures():
    rows = [
        {"label": label, "image": "same", "status": "excluded", "path": f"{label}.gif"}
        for label in "xyz"
    ]
    finding = next(repeated_pictures(gather(manifest_of(*healthy(), *rows))))
    assert finding.ids == ("same",)
    assert finding.images == ("x.gif", "y.gif", "z.gif")
    assert list(repeated_pictures(gather(manifest_of(*healthy(), *rows[:2])))) == []


def test_a_drawn_picture_of_many_sources_is_told_and_a_photo_is_not(pieces):
    def found(picture):
        copies = [picture.copy() for _ in range(5)]
        for place, copy in enumerate(copies):
            copy[0, 0] = place
        rows = [{"label": "a", "domain": f"site{place}"} for place in range(5)]
        evidence = replace(evidence_of([*copies, *pieces[5:]], *rows), group="domain")
        return list(repeated_pictures(evidence))

    assert "from 5 sources" in found(not_found(pieces[0]))[0].evidence[0]
    assert found(pieces[0]) == []


def pixels(paths):
    return [decode(path.read_bytes()).pixels for path in paths]


def some(folder: Path, count: int):
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    return paths[:: max(1, len(paths) // count)][:count]


@pytest.mark.parametrize("name", ["malaria", "cifar10", "bccd_count"])
def test_real_sets_cause_no_false_alarm(samples, name):
    evidence = evidence_of(pixels(some(samples / name, 60)))
    # Some of CIFAR-10's photos are grey.
    found = [f for check in CHECKS if check is not grey_among_colour for f in check(evidence)]
    assert found == []


def test_a_real_placeholder_is_found_among_photos(samples):
    placeholder = samples / "dirty_examples" / "ants_bees" / "imageNotFound.gif"
    evidence = evidence_of(pixels([placeholder, *some(samples / "mushrooms4", 60)]))
    assert next(placeholder_images(evidence)).ids == ("id0000",)


def test_a_shot_in_the_dark_is_found_among_photos(samples):
    night = samples / "mushrooms4/train/amanita_muscaria/amanita_muscaria_478.jpg"
    evidence = evidence_of(pixels([night, *some(samples / "mushrooms4", 60)]))
    assert next(dark_images(evidence)).ids == ("id0000",)
