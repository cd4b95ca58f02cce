"""Parts of scikit-learn's digits, dealt honestly or not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from affinage.auditing.evidence import MEASURES, Evidence, gather
from affinage.auditing.shift import shift
from affinage.auditing.shift_tests import area, variation
from affinage.records.split import Split

from .samples import manifest_of

DATA, TARGET = load_digits(return_X_y=True)
FEW = np.flatnonzero(TARGET < 4)[:500]
PIXELS, DIGIT = DATA[FEW].astype(np.float32), TARGET[FEW]
RANDOM = np.random.default_rng(0).choice(["train", "test"], size=len(FEW), p=[0.7, 0.3])


def evidence_of(part, *, pixels=PIXELS, **columns) -> Evidence:
    rows = [
        {
            "image": f"{n:05d}",
            "label": str(DIGIT[n]),
            "part": part[n] or None,
            **{name: values[n] for name, values in columns.items()},
        }
        for n in range(len(DIGIT))
    ]
    return replace(gather(manifest_of(*rows)), features=pixels)


def measured(evidence: Evidence, **columns) -> Evidence:
    n = len(evidence.ids)
    plain = {"image": evidence.ids, **{name: [None] * n for name in MEASURES if name != "image"}}
    numbers = {
        name: [0.5] * n for name in ("brightness", "contrast", "sharpness", "colour", "entropy")
    }
    table = pl.DataFrame({**plain, **numbers, **columns}, schema=MEASURES)
    return replace(evidence, measures=table)


@pytest.mark.parametrize("seed", range(5))
def test_parts_dealt_at_random_are_silent(seed):
    part = np.random.default_rng(seed).permutation(RANDOM)
    brightness = PIXELS.mean(axis=1) / 16
    assert list(shift(measured(evidence_of(part), brightness=brightness))) == []


def test_images_scanned_otherwise_are_found():
    pixels = PIXELS.copy()
    pixels[RANDOM == "test"] = np.minimum(pixels[RANDOM == "test"] * 0.6 + 3, 16)
    brightness = pixels.mean(axis=1) / 16
    [finding] = shift(measured(evidence_of(RANDOM, pixels=pixels), brightness=brightness))
    assert (finding.code, finding.severity) == ("shift", "warning")
    assert "above one of 'train' with the same label" in finding.evidence[0]
    assert len(finding.ids) == 24
    assert set(finding.ids) <= {f"{n:05d}" for n in np.flatnonzero(RANDOM == "test")}


def test_a_quantity_that_differs_is_named_with_its_medians():
    light = np.where(RANDOM == "test", 0.9, 0.3) + np.arange(len(RANDOM)) % 11 / 1000
    evidence = replace(measured(evidence_of(RANDOM), brightness=light), features=None)
    [finding] = shift(evidence)
    assert finding.evidence == ("brightness, median: 0.905 in 'test', 0.305 in 'train'",)


def test_another_camera_is_named_with_its_shares_and_a_camera_for_each_image_is_not():
    camera = np.where(RANDOM == "test", "B", "A").tolist()
    [finding] = shift(replace(measured(evidence_of(RANDOM), camera=camera), features=None))
    assert finding.evidence == ("camera 'A': 0 % of 'test', 100 % of 'train'",)
    own = [f"camera {n}" for n in range(len(RANDOM))]
    assert list(shift(replace(measured(evidence_of(RANDOM), camera=own), features=None))) == []


def test_other_label_shares_are_one_finding_and_no_shift_of_looks():
    part = RANDOM.copy()
    part[(DIGIT == 0) & (part == "test")] = "train"
    [finding] = shift(evidence_of(part))
    assert finding.code == "label-shift"
    assert finding.evidence[0].startswith("'0': 0 % of 'test'")


def test_the_split_counts_where_there_is_one_and_a_closed_set_is_left_alone():
    pixels = PIXELS.copy()
    pixels[RANDOM == "test"] = 16 - pixels[RANDOM == "test"]
    evidence = evidence_of([None] * len(RANDOM), pixels=pixels)
    ids = np.array(evidence.ids)
    train, other = frozenset(ids[RANDOM == "train"]), frozenset(ids[RANDOM == "test"])
    given = Split(train=train, validation=other)
    assert [f.code for f in shift(replace(evidence, split=given))] == ["shift"]
    closed = Split(train=train, validation=other, closed_set=True)
    assert list(shift(replace(evidence, split=closed))) == []
    assert list(shift(evidence)) == []


def test_small_parts_are_not_compared():
    part = np.where(np.arange(len(DIGIT)) < 19, "test", "train")
    pixels = PIXELS.copy()
    pixels[:19] = 16 - pixels[:19]
    assert list(shift(evidence_of(part, pixels=pixels))) == []


def test_the_area_is_that_of_scikit_learn_and_a_stratum_is_compared_with_itself():
    random = np.random.default_rng(0)
    values, second = random.normal(size=300), random.random(300) < 0.4
    found = area(values, second, np.zeros(300, dtype=np.int64))
    assert found.value == pytest.approx(roc_auc_score(second, values))
    strata = random.integers(0, 3, 300)
    moved = area(values + 100 * strata, second, strata)
    parts = [roc_auc_score(second[strata == s], values[strata == s]) for s in range(3)]
    assert min(parts) <= moved.value <= max(parts)


def test_the_interval_of_the_area_covers_it():
    random = np.random.default_rng(1)
    second = np.arange(150) < 50
    inside = [
        found.low <= 0.76025 <= found.high  # P(N(1, 1) > N(0, 1)).
        for found in (
            area(random.normal(second, 1), second, np.zeros(150, dtype=np.int64))
            for _ in range(300)
        )
    ]
    assert 0.91 <= np.mean(inside) <= 0.99


def test_variation_is_what_moved_less_chance():
    second = np.arange(1000) % 2 == 1
    labels = np.zeros(1000, dtype=np.int64)
    assert variation(second.astype(np.intp), second, labels)[0] == pytest.approx(1, abs=0.05)
    assert variation(np.arange(1000), second, labels)[0] == pytest.approx(0, abs=1e-9)
    half = (second & (np.arange(1000) < 500)).astype(np.intp)
    assert variation(half, second, labels)[0] == pytest.approx(0.5, abs=0.05)
