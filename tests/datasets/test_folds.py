import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.datasets.folds import make_folds
from affinage.datasets.split import make_split
from affinage.errors import DataError
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Folds, Split

from .samples import manifest_of

Row = dict[str, str | None]


def deal(rows, count, *, earlier=None, together=None, before=None, **options):
    manifest, chosen = manifest_of(rows), SplitSettings(**options)
    split, _ = make_split(manifest, chosen, earlier=before, together=together)
    folds, findings = make_folds(
        manifest, split, chosen, count=count, earlier=earlier, together=together
    )
    return folds, findings, split


def flat(label: str, n: int, **columns: str | None) -> list[Row]:
    return [{"image": f"{label}{i}", "label": label, **columns} for i in range(n)]


def test_folds_are_in_proportion_to_the_classes_and_test_stays_apart():
    folds, findings, split = deal(flat("a", 100) + flat("b", 50), 4)
    assert folds.test == split.test
    counts = [Counter(image[0] for image in ids) for ids in folds.folds]
    assert counts == [Counter(a=20, b=10)] * 4
    assert not findings


def test_each_fold_validates_once():
    folds, *_ = deal(flat("a", 30) + flat("b", 30), 3, test=0)
    splits = [folds.split(number) for number in (1, 2, 3)]
    assert frozenset().union(*(one.validation for one in splits)) == splits[0].train.union(
        splits[0].validation
    )
    assert all(not one.train & one.validation for one in splits)
    with pytest.raises(DataError, match="no fold 4"):
        folds.split(4)


def test_a_given_validation_part_is_dealt_and_a_given_test_part_is_not():
    rows = flat("a", 40, part="train") + flat("b", 20, part="validation")
    rows += [{"image": "t", "label": "a", "part": "test"}]
    folds, *_ = deal(rows, 5)
    assert folds.test == {"t"}
    assert [len(ids) for ids in folds.folds] == [12] * 5


def test_groups_and_twins_stay_in_one_fold():
    rows = [
        {"image": f"{label}{slide}.{n}", "label": label, "slide": f"s{slide}"}
        for label in "ab"
        for slide in range(20)
        for n in range(3)
    ]
    together = {"a0.0": "twins", "b7.1": "twins"}
    folds, *_ = deal(rows, 4, group="slide", together=together, test=0)
    there = defaultdict(set)
    for number, ids in enumerate(folds.folds):
        for image in ids:
            there[image[1:].split(".")[0]].add(number)
    assert all(len(numbers) == 1 for numbers in there.values())
    assert there["0"] == there["7"]


def test_too_few_groups_for_even_folds_are_told():
    rows = [
        {"image": f"{label}{slide}.{n}", "label": label, "slide": slide}
        for label in "ab"
        for slide, size in {"x": 40, "y": 10, "z": 10}.items()
        for n in range(size)
    ]
    _, findings, _ = deal(rows, 3, group="slide", test=0)
    [finding] = [one for one in findings if one.code == "folds-uneven"]
    assert "fold 1: 80 images" in finding.evidence


def test_a_class_that_is_missing_from_a_fold_is_told():
    _, findings, _ = deal(flat("a", 40) + flat("b", 2), 4, test=0)
    assert [one.code for one in findings] == ["class-lacks-fold"]
    assert "'b': 2 images, none in fold" in findings[0].evidence[0]


@pytest.mark.parametrize(("count", "problem"), [(1, "1 folds"), (21, "21 folds"), (10, "too few")])
def test_folds_that_cannot_be_are_refused(count, problem):
    with pytest.raises(DataError, match=problem):
        deal(flat("a", 4) + flat("b", 4), count, test=0)


def test_folds_that_overlap_are_refused():
    with pytest.raises(DataError, match="two folds"):
        Folds(folds=(frozenset("ab"), frozenset("bc")))
    with pytest.raises(DataError, match="two folds"):
        Folds(folds=(frozenset("a"), frozenset("b")), test=frozenset("a"))


rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "image": st.integers(0, 50).map(str),
            "slide": st.none() | st.integers(0, 12).map(str),
        }
    ),
    max_size=60,
)


def prepared(rows: list[Row]) -> list[Row]:
    rows = [{**row, "label": "xyz"[int(str(row["image"])) % 3]} for row in rows]
    return rows + [
        {"image": f"{n}", "label": "xyz"[n % 3], "slide": f"own{n // 2}"} for n in range(60, 80)
    ]


@settings(max_examples=60, deadline=None)
@given(rows_of, rows_of, st.integers(2, 4), st.integers(0, 3))
def test_folds_hold_their_promises(before, added, count, seed):
    options = {"group": "slide", "seed": seed}
    rows = prepared(before)
    first, findings, split = deal(rows, count, **options)
    assert frozenset().union(*first.folds) == split.train | split.validation
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert deal(shuffled, count, **options) == (first, findings, split)
    grown = prepared(before + added)
    second, told, _ = deal(grown, count, earlier=first, before=split, **options)
    assert all(old <= new for old, new in zip(first.folds, second.folds, strict=True))
    slides = defaultdict(set)
    for row in grown:
        if row["slide"] is not None:
            slides[row["slide"]].add(row["image"])
    parted = {
        image
        for images in slides.values()
        if sum(not images.isdisjoint(ids) for ids in second.folds) > 1
        for image in images & frozenset().union(*second.folds)
    }
    assert parted == {i for one in told if one.code == "ties-across-folds" for i in one.ids}


def test_an_image_that_comes_back_finds_its_place():
    rows = flat("a", 40) + flat("b", 40)
    folds, _, split = deal(rows, 4)
    fewer, _, part = deal(rows[5:], 4, earlier=folds, before=split)
    kept_folds, kept_split = fewer.remembering(folds), part.remembering(split)
    assert kept_split == split
    again, *_ = deal(rows, 4, earlier=kept_folds, before=kept_split)
    assert again == folds


def test_a_closed_set_remembers_nothing():
    closed = Split(train=frozenset("ab"), validation=frozenset("ab"), closed_set=True)
    earlier = Split(train=frozenset("abc"), validation=frozenset("d"))
    assert closed.remembering(earlier) == closed
