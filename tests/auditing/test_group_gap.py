"""Digits are scanned writer by writer; copies of them are the groups that a split must not part."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.group_gap import _dealt_alike, group_gap, group_like_columns

from .samples import manifest_of

DATA, TARGET = load_digits(return_X_y=True)
TIMES = 6


def copies(column: str = "patient") -> Evidence:
    """Return 80 digits, six noisy copies of each, under labels that only memory can know."""
    random = np.random.default_rng(0)
    rows = np.repeat(DATA[:80], TIMES, axis=0)
    label = np.repeat(random.integers(0, 2, 80), TIMES)
    pixels = (rows + random.normal(0, 1, rows.shape)).astype(np.float32)
    return evidence_of(pixels, label, [f"p{n // TIMES}" for n in range(len(rows))], column)


def evidence_of(pixels, labels, groups, column="patient") -> Evidence:
    rows = [
        {"image": f"{n:05d}", "label": f"class {label}", column: group}
        for n, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]
    return replace(gather(manifest_of(*rows)), features=pixels)


def test_a_split_at_random_flatters_where_groups_are_copies():
    [finding] = group_gap(replace(copies(), group="patient"))
    assert finding.severity == "warning"
    assert finding.cost > 0.2
    assert finding.remedy == "affinage split DATA --group patient"
    assert "80 values of 'patient'" in finding.evidence[1]


def test_a_column_that_looks_like_a_group_is_tried_unnamed_and_another_is_not():
    [finding] = group_gap(copies())
    assert "each 'patient' kept together" in finding.subject
    assert list(group_gap(copies("colour"))) == []


@pytest.mark.parametrize("seed", range(2))
def test_groups_at_random_make_no_gap(seed):
    groups = [f"g{n}" for n in np.random.default_rng(seed).integers(0, 40, 240)]
    evidence = evidence_of(DATA[:240].astype(np.float32), TARGET[:240], groups)
    [note] = group_gap(replace(evidence, group="patient"))
    assert (note.severity, note.cost) == ("note", 0)
    assert "would hardly have flattered" in note.subject
    assert "-0.0" not in note.evidence[0]


def test_both_kinds_of_folds_have_as_many_of_each_class():
    random = np.random.default_rng(0)
    labels, part = random.integers(0, 3, 200), random.integers(0, 5, 200)
    dealt = _dealt_alike(part, labels, 1)
    assert (dealt != part).any()
    for label in range(3):
        np.testing.assert_array_equal(
            np.bincount(dealt[labels == label]), np.bincount(part[labels == label])
        )


def test_too_few_or_too_large_groups_say_nothing():
    pixels, labels = DATA[:200].astype(np.float32), TARGET[:200]
    for groups in ([f"g{n % 4}" for n in range(200)], [f"g{max(0, n - 100)}" for n in range(200)]):
        assert list(group_gap(replace(evidence_of(pixels, labels, groups), group="patient"))) == []


def test_without_features_or_with_one_class_nothing_is_said():
    assert list(group_gap(replace(copies(), features=None, group="patient"))) == []
    one = evidence_of(DATA[:50].astype(np.float32), [0] * 50, [f"g{n % 12}" for n in range(50)])
    assert list(group_gap(replace(one, group="patient"))) == []


def test_columns_of_one_value_or_of_a_value_each_are_no_groups():
    evidence = evidence_of(DATA[:40].astype(np.float32), TARGET[:40], ["same"] * 40)
    assert group_like_columns(evidence.images) == []
    evidence = evidence_of(DATA[:40].astype(np.float32), TARGET[:40], [f"g{n}" for n in range(40)])
    assert group_like_columns(evidence.images) == []
