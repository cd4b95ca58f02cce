import dataclasses
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.datasets.conflicts import in_conflict
from affinage.datasets.decisions import (
    EXCLUDED,
    apply_decisions,
    changed_images,
    changed_rows,
    class_counts,
    numbered,
    standing,
)
from affinage.datasets.labels import without_conflicts
from affinage.datasets.rules import check_rule, meets, parse_rule
from affinage.datasets.selection import find_images, select
from affinage.datasets.sources import scan
from affinage.errors import DataError
from affinage.records.decision import Decision
from affinage.records.finding import Finding, Pair
from affinage.records.manifest import Manifest

from .samples import manifest_of

ROWS = [
    {"image": "a1", "label": "a", "domain": "good.example"},
    {"image": "a2", "label": "a", "domain": "bad.example"},
    {"image": "a3", "label": "a", "domain": "www.bad.example"},
    {"image": "b1", "label": "b", "domain": "bad.example"},
    {"image": "b2", "label": "b", "domain": None},
]


def excluding(*images: str, where: tuple[str, ...] = (), reason: str = "") -> Decision:
    return Decision(action="exclude", images=images, where=where, reason=reason)


def statuses(manifest: Manifest) -> dict[str, str]:
    return dict(manifest.table.select("path", "status").iter_rows())


def kept(manifest: Manifest) -> set[str]:
    return set(manifest.kept["image"].to_list())


def judged(rows: list[dict[str, str | None]]) -> Manifest:
    """A manifest in which images under two labels are left out, as a scan leaves them."""
    made = manifest_of(rows)
    return dataclasses.replace(made, table=without_conflicts(made.table))


def test_an_excluded_image_is_left_out_with_its_reason_wherever_it_lies():
    rows = [*ROWS, {"image": "a1", "label": "a", "path": "copy.png", "domain": None}]
    after = apply_decisions(manifest_of(rows), [excluding("a1", reason="envelopes")])
    hit = after.table.filter(pl.col("image") == "a1")
    assert hit["status"].to_list() == ["excluded", "excluded"]
    assert hit["reason"].to_list() == [EXCLUDED + "envelopes"] * 2
    assert kept(after) == {"a2", "a3", "b1", "b2"}


def test_a_rule_strikes_rows_that_come_later():
    rule = excluding(where=("domain=bad.example",))
    later = [*ROWS, {"image": "b9", "label": "b", "domain": "bad.example"}]
    assert kept(apply_decisions(manifest_of(later), [rule])) == {"a1", "a3", "b2"}


def test_what_a_rule_struck_stays_out_where_the_rule_no_longer_reaches():
    moved = [{**row, "domain": "new.example"} for row in ROWS]
    decision = excluding("a2", "b1", where=("domain=bad.example",))
    assert kept(apply_decisions(manifest_of(moved), [decision])) == {"a1", "a3", "b2"}


def test_a_column_that_a_later_manifest_lacks_strikes_nothing():
    assert kept(apply_decisions(manifest_of(ROWS), [excluding(where=("camera=x",))])) == {
        str(row["image"]) for row in ROWS
    }


def test_the_last_decision_wins():
    decisions = [
        excluding(where=("domain=*bad.example",)),
        Decision(action="include", images=("a2",)),
        excluding("b2"),
    ]
    assert kept(apply_decisions(manifest_of(ROWS), decisions)) == {"a1", "a2"}


def test_an_undo_takes_back_one_decision_and_can_be_undone():
    decisions = [excluding("a1"), excluding("a2"), Decision(action="include", undoes=1)]
    assert [entry.stands for entry in numbered(decisions)] == [False, True, True]
    assert kept(apply_decisions(manifest_of(ROWS), decisions)) == {"a1", "a3", "b1", "b2"}
    redone = [*decisions, Decision(action="include", undoes=3)]
    assert standing(redone) == decisions[:2]


def test_a_failed_row_is_not_excluded():
    rows = [*ROWS, {"image": None, "label": "a", "status": "failed", "domain": "bad.example"}]
    after = apply_decisions(manifest_of(rows), [excluding(where=("domain=bad.example",))])
    assert after.table["status"].to_list().count("failed") == 1


def test_a_new_label_replaces_the_old_and_the_raw_one_stays():
    rows = [{**row, "raw_label": row["label"]} for row in ROWS]
    relabel = Decision(action="relabel", images=("a1",), labels=(("a1", "c"),))
    after = apply_decisions(manifest_of(rows), [relabel])
    assert after.table.filter(pl.col("image") == "a1").select("label", "raw_label").row(0) == (
        "c",
        "a",
    )
    assert after.label_order == ("a", "b", "c")


def test_a_rule_relabels_rows_that_come_later():
    relabel = Decision(action="relabel", where=("label=b",), label="a")
    after = apply_decisions(manifest_of(ROWS), [relabel])
    assert after.label_order == ("a",)
    assert class_counts(after) == {"a": 5}


def test_a_class_without_images_is_no_class_any_more():
    assert apply_decisions(manifest_of(ROWS), [excluding("b1", "b2")]).label_order == ("a",)


CONFLICT = [
    *ROWS,
    {"image": "x", "label": "a", "domain": "bad.example"},
    {"image": "x", "label": "b", "domain": "good.example"},
]


def test_leaving_out_one_side_of_a_conflict_ends_it():
    manifest = judged(CONFLICT)
    assert "x" not in kept(manifest)
    after = apply_decisions(manifest, [excluding(where=("domain=bad.example",))])
    rows = after.table.filter(pl.col("image") == "x").sort("label")
    assert rows["status"].to_list() == ["excluded", "kept"]
    assert rows["reason"].to_list() == [f"{EXCLUDED}domain=bad.example", None]


def test_labelling_an_image_ends_its_conflict():
    relabel = Decision(action="relabel", images=("x",), labels=(("x", "b"),))
    after = apply_decisions(judged(CONFLICT), [relabel])
    assert after.kept.filter(pl.col("image") == "x")["label"].to_list() == ["b", "b"]


def test_a_decision_elsewhere_leaves_a_conflict_as_it_was():
    manifest = judged(CONFLICT)
    after = apply_decisions(manifest, [excluding("a1")])
    conflict = [table.filter(in_conflict()) for table in (manifest.table, after.table)]
    assert conflict[0].height == 2
    assert conflict[0].equals(conflict[1])


def test_a_new_label_can_make_a_conflict():
    rows = [*ROWS, {"image": "a1", "label": "a", "path": "second.png", "domain": "bad.example"}]
    relabel = Decision(action="relabel", where=("domain=bad.example",), label="b")
    after = apply_decisions(manifest_of(rows), [relabel])
    assert after.table.filter(in_conflict())["image"].to_list() == ["a1", "a1"]


ids = st.sampled_from([f"i{n}" for n in range(8)])
rows_of = st.lists(
    st.fixed_dictionaries(
        {"image": ids, "domain": st.sampled_from(["p.example", "q.example", None])}
    ),
    min_size=1,
    max_size=20,
)
decisions_of = st.lists(
    st.tuples(
        st.sampled_from(["exclude", "include"]),
        st.sets(ids, max_size=4),
        st.sampled_from([(), ("domain=p.example",), ("domain!=q.example",)]),
    ).filter(lambda made: made[1] or made[2]),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(rows_of, decisions_of, st.randoms())
def test_decisions_agree_with_their_definition_in_any_order_of_rows(
    rows, made, luck: random.Random
):
    rows = [{**row, "label": str(row["image"]), "path": f"{n}"} for n, row in enumerate(rows)]
    decisions = [
        Decision(action=action, images=tuple(sorted(images)), where=where)
        for action, images, where in made
    ]
    expected = {}
    for row in rows:
        out = False
        for action, images, where in made:
            by_rule = {
                "domain=p.example": row["domain"] == "p.example",
                "domain!=q.example": row["domain"] != "q.example",
            }
            if row["image"] in images or (where and by_rule[where[0]]):
                out = action == "exclude"
        expected[row["path"]] = "excluded" if out else "kept"
    manifest = manifest_of(rows)
    assert statuses(apply_decisions(manifest, decisions)) == expected
    shuffled = manifest_of(luck.sample(rows, len(rows)))
    assert statuses(apply_decisions(shuffled, decisions)) == expected
    undone = [*decisions, *(Decision(action="include", undoes=n + 1) for n in range(len(made)))]
    assert apply_decisions(manifest, undone).table.equals(manifest.table)


def test_images_that_change_are_counted_once():
    rows = [*ROWS, {"image": "a1", "label": "a", "path": "copy.png", "domain": None}]
    before = manifest_of(rows)
    relabel = Decision(action="relabel", images=("b1",), labels=(("b1", "a"),))
    assert changed_images(before, apply_decisions(before, [excluding("a1"), relabel])) == 2


def test_an_image_of_which_another_copy_stays_is_not_counted():
    rows = [*ROWS, {"image": "a2", "label": "a", "path": "copy.png", "domain": "good.example"}]
    before = manifest_of(rows)
    after = apply_decisions(before, [Decision(action="exclude", where=("domain=bad.example",))])
    assert (changed_images(before, after), changed_rows(before, after)) == (
        1,
        2,
    )  # b1; and a2's row.
    assert (changed_images(before, before), changed_rows(before, before)) == (0, 0)


def test_a_row_without_a_label_counts_when_it_is_left_out():
    before = manifest_of([{"image": "a1", "label": None, "path": "a.png", "domain": None}])
    after = apply_decisions(before, [excluding("a1")])
    assert (changed_images(before, after), changed_rows(before, after)) == (1, 1)


# Rules.


def chosen(*texts: str) -> set[str]:
    table = manifest_of(ROWS).table
    return set(table.filter(meets(table, parse_rule(texts)))["image"].to_list())


@pytest.mark.parametrize(
    ("texts", "images"),
    [
        (["domain=bad.example"], {"a2", "b1"}),
        (["Domain=bad.example"], {"a2", "b1"}),
        (["domain=*bad.example"], {"a2", "a3", "b1"}),
        (["domain=*.bad.example"], {"a3"}),
        (["domain=??d.example"], {"a2", "b1"}),
        (["domain=bad?example"], {"a2", "b1"}),
        (["domain="], {"b2"}),
        (["domain!="], {"a1", "a2", "a3", "b1"}),
        (["domain!=bad.example"], {"a1", "a3", "b2"}),
        (["domain=bad.example", "domain=good.example"], {"a1", "a2", "b1"}),
        (["domain=bad.example", "label=a"], {"a2"}),
        (["domain!=bad.example", "domain!=good.example"], {"a3", "b2"}),
        (["width=64"], {"a1", "a2", "a3", "b1", "b2"}),
    ],
)
def test_rules_mean_what_they_say(texts, images):
    assert chosen(*texts) == images


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("domain", "not column=value", "--where domain="),
        ("domian=bad.example", "no column 'domian'", "domain=bad.example"),
        ("domain=bad.exampel", "No row has a domain", "domain=bad.example"),
        ("domain=BAD.EXAMPLE", "No row has a domain", "domain=bad.example"),
        ("domain!=bat.example", "No row has a domain", "domain=bad.example"),
        ("status=kept", "no column 'status'", "Name one"),
        ("domain=\udcff", "No row has a domain", "Check the value"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(text, problem, remedy):
    with pytest.raises(DataError) as caught:
        check_rule(manifest_of(ROWS).table, parse_rule([text]))
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_conditions_that_no_row_meets_together_are_refused():
    with pytest.raises(DataError, match="No row meets all"):
        check_rule(manifest_of(ROWS).table, parse_rule(["domain=good.example", "label=b"]))


# Selections.


def test_a_rule_selects_the_images_that_lie_nowhere_else():
    rows = [*ROWS, {"image": "a2", "label": "a", "path": "copy.png", "domain": "good.example"}]
    selection = select(manifest_of(rows), where=["DOMAIN=bad.example"])
    assert selection.images == ("b1",)
    assert selection.where == ("domain=bad.example",)
    assert "1 image with copies elsewhere" in selection.messages[0]


def test_one_way_of_naming_images_is_needed():
    for ways in ({}, {"where": ["label=a"], "images": ["a1"]}):
        with pytest.raises(DataError, match="which images are meant"):
            select(manifest_of(ROWS), **ways)


FULL = "ab" * 32
NAMED = [
    {"image": FULL, "label": "a", "path": "a/1.png"},
    {"image": "abcdef12" + "0" * 56, "label": "a", "path": "a/2.png"},
    {"image": "abcdef12" + "1" * 56, "label": "b", "path": "b/1.png"},
    {"image": None, "label": "b", "path": "b/broken.png", "status": "failed"},
    {"image": "c" * 64, "label": "b", "path": "b/1.png", "source": "other"},
]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        (FULL, FULL),
        ("abababab", FULL),
        ("ABABABABAB", FULL),
        ("a/1.png", FULL),
        ("./a/1.png", FULL),
        ("a\\1.png", FULL),
        ("s/a/1.png", FULL),
        ("other/b/1.png", "c" * 64),
    ],
)
def test_an_image_is_found_by_its_id_and_by_its_path(name, image):
    assert find_images(manifest_of(NAMED), [name]) == {name: image}


def test_an_image_is_found_by_the_file_that_holds_its_bytes(digits, tmp_path):
    manifest = scan([digits]).manifest
    row = manifest.kept.row(0, named=True)
    moved = tmp_path / "elsewhere.png"
    moved.write_bytes((digits / row["path"]).read_bytes())
    assert find_images(manifest, [str(moved)]) == {str(moved): row["image"]}


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("abcdef12", "names 2 images", "more digits"),
        ("b/1.png", "names 2 images", "source's name"),
        ("b/broken.png", "could not be read", "could be read"),
        ("a/1.pgn", "no image 'a/1.pgn'", "a/1.png"),
        ("1.png", "no image", "1.png"),
        ("abc", "no image 'abc'", "Give an id"),
        ("\udcff", "no image", "Give an id"),
        ("", "no image ''", "Give an id"),
        (".", "no image '.'", "Give an id"),
    ],
)
def test_an_image_that_is_not_there_is_refused_with_the_nearest(name, problem, remedy):
    with pytest.raises(DataError) as caught:
        find_images(manifest_of(NAMED), [name])
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def pair(first: str, second: str) -> Pair:
    return Pair(first=first, second=second, first_id=first, second_id=second)


def finding(code: str, **more: object) -> Finding:
    return Finding(code=code, severity="warning", subject="s", **more)


def test_a_finding_selects_its_images_that_are_still_there():
    told = [finding("blank", ids=("a1", "gone")), finding("blank", ids=("b1",))]
    selection = select(manifest_of(ROWS), finding="blank", findings=told)
    assert selection.images == ("a1", "b1")
    assert "1 image that the data set no longer has" in selection.messages[0]


def test_a_finding_that_only_has_paths_is_understood():
    told = [finding("odd-size", images=("a/a1.png",))]
    assert select(manifest_of(ROWS), finding="odd-size", findings=told).images == ("a1",)


def test_of_near_duplicates_the_largest_of_each_group_stays_where_asked():
    rows = [{**row, "width": 640 if row["image"] == "a2" else 64} for row in ROWS]
    told = [finding("near-duplicates", pairs=(pair("a1", "a2"), pair("a2", "a3")))]
    manifest = manifest_of(rows)
    assert select(manifest, finding="near-duplicates", findings=told).images == ("a1", "a2", "a3")
    spared = select(manifest, finding="near-duplicates", findings=told, spare=True)
    assert spared.images == ("a1", "a3")


@pytest.mark.parametrize(
    ("code", "problem", "remedy"),
    [
        ("blnk", "found no 'blnk'", "--finding blank"),
        ("class-imbalance", "names no image", "affinage audit DATA"),
        ("exact-duplicates", "count once already", "Nothing"),
    ],
)
def test_a_finding_that_selects_nothing_is_refused(code, problem, remedy):
    told = [
        finding("blank", ids=("a1",)),
        finding("class-imbalance"),
        finding("exact-duplicates", ids=("a1",)),
    ]
    with pytest.raises(DataError) as caught:
        select(manifest_of(ROWS), finding=code, findings=told)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_decisions_on_real_slides_take_what_the_rule_names(shared_data):
    manifest = scan([shared_data / "malaria/labels.csv"]).manifest
    counts = manifest.kept.group_by("slide").len().sort("len", "slide", descending=True)
    slide, n = counts.row(0)
    selection = select(manifest, where=[f"slide={slide}"])
    after = apply_decisions(manifest, [excluding(*selection.images, where=selection.where)])
    assert len(selection.images) == n
    assert after.kept.height == manifest.kept.height - n
    assert slide not in after.kept["slide"].to_list()
