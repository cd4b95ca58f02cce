"""On tiles of the two photographs that come with scikit-learn, and on real sets where they are."""

import csv
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image

from affinage.auditing import near_duplicates as search
from affinage.auditing.evidence import gather
from affinage.auditing.near_candidates import candidates
from affinage.auditing.near_duplicates import find_near_duplicates
from affinage.auditing.near_verifying import score_of
from affinage.errors import ImageError
from affinage.imaging.decode import decode
from affinage.imaging.matching import Match
from auditing.samples import manifest_of

SIDE = 140
FIRST = 4  # The tiles above are sky, where there is nothing to hold on to.


def tiles():
    """Return 24 parts of two photographs that share no pixel."""
    return [
        np.ascontiguousarray(photograph[top : top + SIDE, left : left + SIDE])
        for photograph in map(load_sample_image, ("china.jpg", "flower.jpg"))
        for top in range(0, 400, SIDE)[:3]
        for left in range(0, 640 - SIDE, SIDE)
    ]


def evidence_of(pictures):
    """Return evidence of (label, pixels), with coarse colours as features."""
    rows = [
        {"label": label, "image": f"{number:04d}", "path": f"{label}/{number}.png"}
        for number, (label, _) in enumerate(pictures)
    ]
    thumbs = [cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA) for _, pixels in pictures]
    coarse = [cv2.resize(thumb, (6, 6), interpolation=cv2.INTER_AREA) for thumb in thumbs]
    features = np.array(coarse, dtype=np.float32).reshape(len(pictures), 108)
    return replace(
        gather(manifest_of(*rows)),
        thumbs=np.array(thumbs, dtype=np.uint8).reshape(-1, 32, 32, 3),
        features=features - 128,
        look=lambda image, size: pictures[int(image)][1],
    )


def keys(pairs):
    return {(int(pair.first_id), int(pair.second_id)) for pair in pairs}


@pytest.fixture(scope="module")
def originals():
    return [("ab"[number % 2], tile) for number, tile in enumerate(tiles())]


@pytest.fixture(scope="module")
def copied(originals):
    """Tiles, then changed copies of six of them, from the one numbered FIRST on."""
    changed = [
        np.ascontiguousarray(originals[FIRST + 0][1][10:120, 10:130]),
        np.ascontiguousarray(originals[FIRST + 1][1][:, ::-1]),
        (originals[FIRST + 2][1] * 0.6).astype(np.uint8),
        cv2.resize(originals[FIRST + 3][1], (70, 70), interpolation=cv2.INTER_AREA),
        cv2.GaussianBlur(originals[FIRST + 4][1], (0, 0), 1.2),
        np.pad(originals[FIRST + 5][1], ((14, 14), (14, 14), (0, 0))),
    ]
    return evidence_of([*originals, *(("a", pixels) for pixels in changed)])


def test_tiles_of_one_photograph_are_no_copies(originals):
    assert find_near_duplicates(evidence_of(originals)) == ()


def test_copies_are_found_and_nothing_else(copied, originals):
    pairs = find_near_duplicates(copied)
    assert {(min(key), max(key)) for key in keys(pairs)} == {
        (FIRST + number, len(originals) + number) for number in range(6)
    }
    assert all(0.8 <= pair.score <= 1 for pair in pairs)
    assert [pair.score for pair in pairs] == sorted((p.score for p in pairs), reverse=True)


def test_the_smaller_path_comes_first(copied):
    assert all(pair.first < pair.second for pair in find_near_duplicates(copied))


def test_neither_the_threads_nor_the_order_of_the_rows_matter(copied, monkeypatch):
    expected = find_near_duplicates(copied)
    monkeypatch.setattr(search.os, "cpu_count", lambda: 1)
    assert find_near_duplicates(copied) == expected
    table = copied.manifest.table
    shuffled = replace(copied.manifest, table=table.sample(fraction=1, shuffle=True, seed=3))
    assert find_near_duplicates(replace(copied, images=gather(shuffled).images)) == expected


def test_few_pairs_are_looked_at_where_few_prove_true(originals, monkeypatch):
    monkeypatch.setattr(search, "_ANYWAY", 5)
    monkeypatch.setattr(search, "_BATCH", 5)
    looked = []
    monkeypatch.setattr(
        search.Album,
        "matches",
        lambda _, pairs: [Match() for _ in looked.append(len(pairs)) or pairs],
    )
    evidence = evidence_of(originals)
    assert find_near_duplicates(evidence) == ()
    assert sum(looked[1:]) == len(originals) // 2 // 5 * 5 + 5


@pytest.mark.parametrize("missing", ["features", "thumbs", "look"])
def test_without_evidence_there_is_no_answer(copied, missing):
    assert find_near_duplicates(replace(copied, **{missing: None})) == ()


def test_an_image_that_has_gone_is_passed_over(copied):
    def look(image, size):
        if image == "0004":
            raise ImageError("it is gone.", remedy="Put it back.")
        return copied.look(image, size)

    assert keys(find_near_duplicates(copied)) - keys(
        find_near_duplicates(replace(copied, look=look))
    ) == {(24, 4)}


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_the_smallest_sets(originals, size):
    assert find_near_duplicates(evidence_of(originals[:size])) == ()


def test_two_images_that_are_copies(originals):
    label, pixels = originals[FIRST]
    pairs = find_near_duplicates(evidence_of([(label, pixels), (label, pixels[:, ::-1].copy())]))
    assert keys(pairs) == {(0, 1)}


def test_digits_of_one_kind_are_alike_but_no_copies():
    digits = load_digits()
    grey = [
        np.kron(image * 15.9, np.ones((4, 4))).astype(np.uint8) for image in digits.images[:250]
    ]
    pictures = [
        (str(label), np.repeat(image[..., None], 3, axis=2))
        for label, image in zip(digits.target[:250], grey, strict=True)
    ]
    assert len(find_near_duplicates(evidence_of(pictures))) <= 2


def test_promise_falls_and_no_pair_comes_twice(copied):
    found = candidates(copied.features, copied.thumbs)
    assert (np.diff(found.promise) <= 1e-3).all()
    assert (found.first < found.second).all()
    assert len(set(zip(found.first.tolist(), found.second.tolist(), strict=True))) == len(
        found.first
    )


def test_copies_promise_more_than_other_pairs(copied):
    found = candidates(copied.features, copied.thumbs)
    true = (found.second - found.first == 24 - FIRST) & (found.second >= 24)
    assert true.sum() == 6
    assert np.median(found.promise[true]) > np.quantile(found.promise[~true], 0.75)


like = partial(Match, inliers=40, likeness=0.98, lower=0.95, blocks=36, overlap=1.0)


@pytest.mark.parametrize(
    ("found", "copy"),
    [
        (like(), True),
        (like(inliers=7), True),
        (like(inliers=7, lower=0.85), False),
        (like(inliers=4), False),
        (like(inliers=10, blocks=20), False),
        (like(likeness=0.7, lower=0.4), False),
        (like(overlap=0.2), False),
        (like(likeness=-1.0, lower=-1.0, blocks=0), False),
        (Match(), False),
    ],
)
def test_what_passes_for_a_copy(found, copy):
    assert (score_of(found) >= 0.8) == copy


def test_where_strangers_agree_too_copies_must_agree_in_more():
    assert score_of(like(), least_inliers=41) == 0
    assert score_of(like(), least_inliers=40) > 0.8


def test_the_listed_pairs_of_real_photographs_are_found(samples):
    with (samples / "mushrooms4" / "known_issues.csv").open(newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["kind"] == "near duplicate"][::3]
    paths = sorted({path for row in listed for path in (row["path"], row["other"])})
    pictures = [
        (path.split("/")[1], decode((samples / "mushrooms4" / path).read_bytes()).pixels)
        for path in paths
    ]
    found = {
        frozenset((paths[one], paths[other]))
        for one, other in keys(find_near_duplicates(evidence_of(pictures)))
    }
    assert found >= {frozenset((row["path"], row["other"])) for row in listed}
    assert len(found) <= len(listed) + 4
