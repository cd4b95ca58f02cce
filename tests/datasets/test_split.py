import math
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.datasets.sources import scan
from affinage.datasets.split import make_split, split_name
from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.records.manifest import PARTS
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Split

from .samples import manifest_of

Row = dict[str, str | None]


def cut(rows: list[Row], *, earlier: Split | None = None, **options: object):
    return make_split(manifest_of(rows), SplitSettings(**options), earlier=earlier)


def flat(label: str, n: int, **columns: str | None) -> list[Row]:
    return [{"image": f"{label}{i}", "label": label, **columns} for i in range(n)]


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.validation), len(split.test)


def test_a_class_of_100_gives_20_to_test_and_a_fifth_of_the_rest_to_validation():
    split, findings = cut(flat("a", 100) + flat("b", 50))
    for label, wanted in (("a", (64, 16, 20)), ("b", (32, 8, 10))):
        assert wanted == tuple(
            sum(image.startswith(label) for image in getattr(split, part)) for part in PARTS
        )
    assert split.carved
    assert not findings


def test_no_test_part_is_cut_when_none_is_wanted():
    assert sizes(cut(flat("a", 10) + flat("b", 10), test=0)[0]) == (16, 4, 0)


@pytest.mark.parametrize(
    ("n", "wanted"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))]
)
def test_a_small_class_serves_training_then_test_then_validation(n, wanted):
    split, findings = cut(flat("a", n) + flat("b", 50))
    assert wanted == tuple(sum(i[0] == "a" for i in getattr(split, part)) for part in PARTS)
    assert codes(findings) == ({"tiny-class"} if n < 3 else set())


def test_the_seed_decides_the_cut():
    rows = flat("a", 50) + flat("b", 50)
    assert cut(rows, seed=1)[0] == cut(rows, seed=1)[0]
    assert cut(rows, seed=1)[0].test != cut(rows, seed=2)[0].test


def test_given_parts_are_respected_and_validation_cut_from_train():
    rows = flat("a", 40, part="train") + flat("b", 40) + flat("c", 5, part="test")
    rows += [
        {"image": "t", "label": "a", "part": "test"},
        {"image": "u", "label": "b", "part": "test"},
    ]
    split, findings = cut(rows)
    assert split.test == {"t", "u", *(f"c{i}" for i in range(5))}
    assert sizes(split) == (64, 16, 7)
    assert split.carved
    assert codes(findings) == {"class-not-in-train"}


def test_three_given_parts_stay_as_they_are():
    rows = flat("a", 5, part="train") + flat("b", 5, part="validation") + flat("c", 5, part="test")
    split, _ = cut(rows)
    assert (split.validation, split.carved) == ({f"b{i}" for i in range(5)}, False)
    assert sizes(split) == (5, 5, 5)


def test_without_a_test_part_one_is_cut_from_train_beside_a_given_validation():
    rows = flat("a", 40, part="train") + [
        {"image": f"v{i}", "label": "a", "part": "validation"} for i in range(10)
    ]
    split, findings = cut(rows)
    assert sizes(split) == (30, 10, 10)
    assert codes(findings) == {"test-cut-from-train"}
    assert sizes(cut(rows, test=0)[0]) == (40, 10, 0)


def test_bytes_in_several_given_parts_count_in_the_strongest_only():
    rows = flat("a", 9, part="train") + flat("a", 2, part="test") + flat("a", 4, part="validation")
    split, findings = cut(rows)
    assert split.test == {"a0", "a1"}
    assert split.validation == {"a2", "a3"}
    [finding] = [f for f in findings if f.code == "crosses-parts"]
    assert "4 images" in finding.subject
    assert len(finding.images) == 4 + 4 + 2


def test_only_a_test_part_cannot_train():
    with pytest.raises(DataError, match="none is left to train on"):
        cut(flat("a", 3, part="test"))


def test_a_closed_set_is_validated_on_the_training_images():
    rows = (
        flat("a", 1, part="train")
        + flat("b", 1, part="validation")
        + flat("a", 1, part="validation")
    )
    split, findings = cut(rows, closed_set=True)
    assert split.train == split.validation == {"a0", "b0"}
    assert split.closed_set
    assert not split.carved
    assert not findings


def test_a_closed_set_keeps_a_given_test_part_apart():
    rows = flat("a", 5, part="train") + flat("a", 1, part="test") + flat("b", 2)
    split, findings = cut(rows, closed_set=True)
    assert split.test == {"a0"}
    assert split.validation == split.train == {"a1", "a2", "a3", "a4", "b0", "b1"}
    assert "crosses-parts" in codes(findings)


def test_copies_count_once():
    assert sum(sizes(cut(flat("a", 10) + flat("a", 10))[0])) == 10


def grouped(label: str, groups: dict[str, int]) -> list[Row]:
    return [
        {"image": f"{label}{group}.{i}", "label": label, "slide": group}
        for group, n in groups.items()
        for i in range(n)
    ]


def test_groups_stay_together():
    rows = grouped("a", {f"s{i}": 5 for i in range(20)}) + grouped(
        "b", {f"s{i}": 3 for i in range(20)}
    )
    split, findings = cut(rows, group="slide")
    parts = defaultdict(set)
    for row in rows:
        parts[row["slide"]].add(split.part_of(str(row["image"])))
    assert all(len(found) == 1 for found in parts.values())
    assert sizes(split) == (104, 24, 32)
    assert not findings


@pytest.mark.parametrize("groups", [{"x": 40, "y": 35, "z": 25}, {"x": 98, "y": 1, "z": 1}])
def test_three_groups_fill_three_parts(groups):
    split, findings = cut(grouped("a", groups), group="slide")
    assert sorted(sizes(split)) == sorted(groups.values())
    assert codes(findings) == {"shares-not-reached"}


def test_two_groups_serve_training_and_test_and_say_so():
    split, findings = cut(grouped("a", {"x": 60, "y": 40}), group="slide")
    assert sizes(split) == (60, 0, 40)
    assert codes(findings) == {"class-lacks-part", "shares-not-reached"}


def test_an_image_in_two_groups_ties_them():
    rows = grouped("a", {f"s{i}": 4 for i in range(9)})
    rows += [{"image": "tie", "label": "a", "slide": slide} for slide in ("s1", "s2")]
    split, _ = cut(rows, group="slide")
    tied = {split.part_of(str(row["image"])) for row in rows if row["slide"] in ("s1", "s2")}
    assert len(tied) == 1


def test_a_given_split_that_parts_groups_stays_and_is_told():
    rows = grouped("a", {"x": 4, "y": 4, "z": 4})
    for row in rows:
        row["part"] = "test" if str(row["image"]).endswith((".0", ".1")) else "train"
    split, findings = cut(rows, group="slide")
    assert len(split.test) == 6
    [finding] = [f for f in findings if f.code == "group-across-parts"]
    assert finding.severity == "blocking"
    assert finding.subject.startswith("6 of 6 test images share their slide with train")


@pytest.mark.parametrize(
    ("column", "problem", "remedy"),
    [
        ("slid", "no column 'slid'", "--group slide"),
        ("label", "no column 'label'", "Name one"),
        ("number", "a different value in each of its 6 rows", "several images share"),
        ("same", "has one value, 'q'", "no group"),
    ],
)
def test_a_column_that_groups_nothing_is_refused(column, problem, remedy):
    rows = [
        {"image": str(i), "label": "a", "slide": f"s{i // 2}", "number": str(i), "same": "q"}
        for i in range(6)
    ]
    with pytest.raises(DataError) as caught:
        cut(rows, group=column)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_newcomer_that_ties_two_parts_is_left_out():
    rows = grouped("a", {f"s{i}": 4 for i in range(9)})
    first, _ = cut(rows, group="slide")
    slide_of = {row["image"]: row["slide"] for row in rows}
    slides = [slide_of[min(part)] for part in (first.train, first.test)]
    rows += [{"image": "tie", "label": "a", "slide": slide} for slide in slides]
    rows += [{"image": "new", "label": "a", "slide": slides[1]}]
    second, findings = cut(rows, group="slide", earlier=first)
    assert second.part_of("tie") is None
    assert second.test == first.test | {"new"}
    [finding] = [f for f in findings if f.code == "links-two-parts"]
    assert finding.images == ("a/tie.png", "a/tie.png")


def test_newcomers_that_tie_two_parts_together_are_all_left_out():
    rows = grouped("a", {f"s{i}": 4 for i in range(9)})
    first, _ = cut(rows, group="slide")
    slide_of = {row["image"]: row["slide"] for row in rows}
    ties = {"n1": (slide_of[min(first.train)], "new"), "n2": ("new", slide_of[min(first.test)])}
    rows += [{"image": i, "label": "a", "slide": s} for i, pair in ties.items() for s in pair]
    second, findings = cut(rows, group="slide", earlier=first)
    assert second == first
    assert "links-two-parts" in codes(findings)


def test_the_malaria_slides_that_leak_are_counted(shared_data):
    manifest = scan([shared_data / "malaria/labels.csv"]).manifest
    _, findings = make_split(manifest, SplitSettings(group="Slide"))
    [finding] = [f for f in findings if f.code == "group-across-parts"]
    assert finding.subject.startswith("93 of 200 test images share their Slide")


rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "image": st.integers(0, 60).map(str),
            "slide": st.none() | st.integers(0, 12).map(str),
            "part": st.sampled_from([None, None, None, "train", "validation", "test"]),
        }
    ),
    min_size=1,
    max_size=80,
)


def prepared(rows: list[Row], *, given_parts: bool) -> list[Row]:
    """Give equal bytes equal labels, and make sure that there is something to train on."""
    rows = [{**row, "label": "xyz"[int(str(row["image"])) % 3]} for row in rows]
    if not given_parts:
        rows = [{**row, "part": None} for row in rows]
    seeded = [
        {
            "image": f"{n}",
            "label": "xyz"[n % 3],
            "slide": f"{n // 2}",
            "part": "train" if given_parts else None,
        }
        for n in range(61, 65)
    ]
    return rows + seeded


def check(rows: list[Row], split: Split, findings: list[Finding]) -> None:
    images = {str(row["image"]) for row in rows}
    left_out = {
        p.split("/")[1][:-4] for f in findings if f.code == "links-two-parts" for p in f.images
    }
    parts = [getattr(split, part) for part in PARTS]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert set().union(*parts) == images - left_out
    assert split.train


@settings(max_examples=150, deadline=None)
@given(rows_of, rows_of, st.tuples(st.booleans(), st.booleans()), st.integers(0, 3))
def test_splits_hold_their_promises(before, added, kind, seed):
    with_parts, by_slide = kind
    options = {"group": "slide" if by_slide else None, "seed": seed}
    rows = prepared(before, given_parts=with_parts)
    first, findings = cut(rows, **options)
    check(rows, first, findings)

    shuffled = random.Random(seed).sample(rows, len(rows))
    assert cut(shuffled, **options) == (first, findings)

    if by_slide and not with_parts:
        there = defaultdict(set)
        for row in rows:
            if row["slide"] is not None:
                there[row["slide"]].add(first.part_of(str(row["image"])))
        assert all(len(parts) == 1 for parts in there.values())

    grown = prepared(before + added, given_parts=with_parts)
    if not with_parts:
        second, told = cut(grown, earlier=first, **options)
        check(grown, second, told)
        for part in PARTS:
            assert getattr(first, part) <= getattr(second, part)
        again, _ = cut(random.Random(1).sample(grown, len(grown)), earlier=second, **options)
        assert again == second


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=5),
    st.sampled_from([0.1, 0.2, 0.25, 0.5]),
    st.sampled_from([0, 0.1, 0.2, 0.3]),
)
def test_single_images_are_cut_to_the_exact_share_of_each_class(counts, validation, test):
    rows = [row for label, n in zip("abcde", counts, strict=False) for row in flat(label, n)]
    split, _ = cut(rows, validation=validation, test=test)
    for label, n in zip("abcde", counts, strict=False):
        has = Counter(split.part_of(f"{label}{i}") for i in range(n))
        judged = min(max(1, math.floor(test * n + 0.5)), n - 1) if test and n > 1 else 0
        chosen = n - judged
        chosen = min(max(1, math.floor(validation * chosen + 0.5)), chosen - 1) if chosen > 1 else 0
        assert (has["test"], has["validation"]) == (judged, chosen)


def test_growth_keeps_parts_and_fills_them_to_their_shares():
    first, _ = cut(flat("a", 50) + flat("b", 50))
    second, _ = cut(flat("a", 100) + flat("b", 50) + flat("c", 50), earlier=first)
    assert all(getattr(first, part) <= getattr(second, part) for part in PARTS)
    assert sizes(second) == (128, 32, 40)


def test_an_earlier_closed_set_says_nothing_about_an_open_one():
    rows = flat("a", 20) + flat("b", 20)
    closed, _ = cut(rows, closed_set=True)
    assert cut(rows, earlier=closed)[0] == cut(rows)[0]


def test_20_000_images_in_groups_are_all_placed():
    rows = [{"image": f"{i}", "label": f"{i % 50}", "slide": f"{i // 7}"} for i in range(20_000)]
    assert sum(sizes(cut(rows, group="slide")[0])) == 20_000


# Near-duplicates, and parts cut anew.


def test_twins_lie_in_one_part():
    rows = flat("a", 60) + flat("b", 60)
    together = {f"{label}{n}": f"{label}{n // 2}" for label in "ab" for n in range(40)}
    split, findings = make_split(manifest_of(rows), SplitSettings(), together=together)
    there = defaultdict(set)
    for image, group in together.items():
        there[group].add(split.part_of(image))
    assert all(len(parts) == 1 for parts in there.values())
    assert sizes(split) == (76, 20, 24)
    assert not findings


def test_twins_tie_groups_together():
    rows = grouped("a", {f"s{i}": 4 for i in range(9)})
    together = {"as1.0": "t", "as2.3": "t"}
    split, _ = make_split(manifest_of(rows), SplitSettings(group="slide"), together=together)
    tied = {split.part_of(str(row["image"])) for row in rows if row["slide"] in ("s1", "s2")}
    assert len(tied) == 1


def test_a_twin_that_comes_later_joins_its_twin():
    rows = flat("a", 60) + flat("b", 60)
    first, _ = cut(rows)
    old = {part: min(getattr(first, part)) for part in PARTS}
    grown = [*rows, *({"image": f"new{part}", "label": "a"} for part in PARTS)]
    together = {name: part for part in PARTS for name in (old[part], f"new{part}")}
    second, findings = make_split(
        manifest_of(grown), SplitSettings(), earlier=first, together=together
    )
    assert all(second.part_of(f"new{part}") == part for part in PARTS)
    assert not findings


@pytest.mark.parametrize(("given_parts", "remedy"), [(True, "--recut"), (False, "--seed 1")])
def test_twins_that_were_parted_before_are_told_and_stay(given_parts, remedy):
    rows = flat("a", 60) + flat("b", 60)
    first, _ = cut(rows)
    if given_parts:
        rows = [{**row, "part": first.part_of(str(row["image"]))} for row in rows]
    one, two = min(first.train), min(first.test)
    second, findings = make_split(
        manifest_of(rows),
        SplitSettings(),
        earlier=None if given_parts else first,
        together={one: "t", two: "t", "unknown": "t"},
    )
    assert (second.train, second.test) == (first.train, first.test)
    [finding] = findings
    assert finding.code == "twins-across-parts"
    assert set(finding.ids) == {one, two}
    assert "1 of them in test" in finding.subject
    assert remedy in finding.remedy
    assert finding.severity == "blocking"  # 1 of 24.


def test_few_twins_in_a_large_test_part_are_a_warning():
    rows = flat("a", 300) + flat("b", 300)
    first, _ = cut(rows)
    together = dict.fromkeys((min(first.train), min(first.test)), "t")
    _, [finding] = make_split(manifest_of(rows), SplitSettings(), earlier=first, together=together)
    assert (finding.code, finding.severity) == ("twins-across-parts", "warning")


def test_twins_too_many_for_the_shares_are_told():
    rows = flat("a", 40) + flat("b", 40)
    together = {f"{label}{n}": label for label in "ab" for n in range(30)}
    _, findings = make_split(manifest_of(rows), SplitSettings(test=0.5), together=together)
    [finding] = [one for one in findings if one.code == "shares-not-reached"]
    assert "near-duplicates" in finding.subject


def test_given_parts_are_cut_anew_where_asked():
    rows = flat("a", 50, part="train") + flat("b", 50, part="train")
    rows += [{"image": f"t{n}", "label": "a", "part": "test"} for n in range(50)]
    split, findings = make_split(manifest_of(rows), SplitSettings(), recut=True)
    assert sizes(split) == (96, 24, 30)
    assert split.carved
    assert not findings


def test_the_leaking_slides_of_real_cells_are_mended_by_a_new_cut(shared_data):
    manifest = scan([shared_data / "malaria/labels.csv"]).manifest
    split, findings = make_split(manifest, SplitSettings(group="slide"), recut=True)
    there = defaultdict(set)
    for image, slide in manifest.kept.select("image", "slide").iter_rows():
        there[slide].add(split.part_of(image))
    assert all(len(parts) == 1 for parts in there.values())
    assert not findings


def test_the_name_of_a_split_tells_its_settings():
    names = [
        split_name(SplitSettings()),
        split_name(SplitSettings(), recut=True),
        split_name(SplitSettings(group="slide")),
        split_name(SplitSettings(group="slide"), recut=True),
        split_name(SplitSettings(seed=1)),
    ]
    assert names[:2] == ["default", "default-recut"]
    assert len(set(names)) == 5
