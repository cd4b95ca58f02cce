from dataclasses import replace

import pytest

from affinage.auditing.evidence import gather
from affinage.auditing.near_findings import leaks_across_parts, near_conflicts, near_duplicates
from affinage.records.finding import Pair
from affinage.records.split import Split
from auditing.samples import healthy, manifest_of

CHECKS = (near_duplicates, near_conflicts, leaks_across_parts)


def pair(one, other, score=0.99):
    return Pair(
        first=f"{one}.png", second=f"{other}.png", first_id=f"id{one}", second_id=f"id{other}",
        score=score,
    )  # fmt: skip


def evidence(*near, split=None, rows=None):
    """Ids 0 to 11 have label a, 12 to 23 label b."""
    return replace(gather(manifest_of(*(rows or healthy()))), near=near, split=split)


def ids(*numbers):
    return frozenset(f"id{number}" for number in numbers)


SPLIT = Split(train=ids(*range(4, 20)), validation=ids(20, 21), test=ids(0, 1, 2, 3))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nobody_looked_or_nothing_was_found(check):
    assert list(check(evidence(split=SPLIT))) == []
    assert list(check(replace(evidence(split=SPLIT), near=None))) == []


def test_copies_of_one_label_are_a_note_and_count_once():
    [finding] = near_duplicates(evidence(pair(0, 1), pair(1, 2), pair(5, 6)))
    assert (finding.code, finding.severity) == ("near-duplicates", "note")
    assert finding.subject.startswith("3 images that are copies")
    assert "2 groups" in finding.subject
    assert finding.cost == pytest.approx(3 / 24)
    assert finding.ids == ("id0", "id1", "id2", "id5", "id6")
    assert finding.images == ("0.png", "1.png", "2.png", "5.png", "6.png")
    assert finding.pairs == (pair(0, 1), pair(1, 2), pair(5, 6))
    assert finding.remedy == "affinage exclude DATA --finding near-duplicates"


def test_one_copy_is_told_in_the_singular():
    [finding] = near_duplicates(evidence(pair(0, 1)))
    assert finding.subject.startswith("1 image that is a copy")
    assert "1 group" in finding.subject


def test_how_often_it_is_right_comes_with_its_number_of_pairs():
    [finding] = near_duplicates(evidence(pair(0, 1)))
    assert finding.hit_rate.n > 300
    assert 0.95 < finding.hit_rate.low < finding.hit_rate.value <= 1


def test_copies_under_two_labels_are_a_conflict_and_no_plain_copies():
    near = (pair(0, 12), pair(1, 2))
    [conflict] = near_conflicts(evidence(*near))
    [plain] = near_duplicates(evidence(*near))
    assert conflict.severity == "warning"
    assert conflict.pairs == (pair(0, 12),)
    assert "0.png ≈ 12.png (a or b)" in conflict.evidence
    assert conflict.suggestions == ()
    assert conflict.cost == pytest.approx(1 / 24)
    assert plain.pairs == (pair(1, 2),)


def test_two_copies_against_one_suggest_a_label():
    [finding] = near_conflicts(evidence(pair(0, 1), pair(0, 12), pair(1, 12)))
    assert finding.suggestions == (("id12", "a"),)


def test_a_copy_in_test_is_a_leak_and_blocks_above_two_percent():
    [finding] = leaks_across_parts(evidence(pair(0, 4), pair(0, 5), pair(6, 7), split=SPLIT))
    assert (finding.code, finding.severity) == ("leaks-across-parts", "blocking")
    assert finding.subject.startswith("1 of 4 test images (25.0 %)")
    assert finding.pairs == (pair(0, 4), pair(0, 5))
    assert finding.cost == 0.25
    assert finding.remedy.startswith("affinage split DATA")


def test_a_leak_is_no_plain_copy():
    [finding] = near_duplicates(evidence(pair(0, 4), pair(6, 7), split=SPLIT))
    assert finding.pairs == (pair(6, 7),)


def test_few_leaks_are_a_warning():
    rows = [{"label": "ab"[number % 2]} for number in range(200)]
    split = Split(train=ids(*range(100)), validation=frozenset(), test=ids(*range(100, 200)))
    [finding] = leaks_across_parts(evidence(pair(0, 100), split=split, rows=rows))
    assert finding.severity == "warning"


def test_validation_judges_where_there_is_no_test():
    split = Split(train=ids(*range(10)), validation=ids(*range(10, 24)))
    [finding] = leaks_across_parts(evidence(pair(0, 10), split=split))
    assert "1 of 14 validation images" in finding.subject


def test_copies_in_training_and_validation_leave_test_alone():
    [finding] = leaks_across_parts(evidence(pair(4, 20), split=SPLIT))
    assert (finding.severity, finding.cost) == ("warning", 0)


def test_parts_that_were_given_are_cut_anew_only_on_request():
    given = [{"label": "a", "part": "train" if number > 3 else "test"} for number in range(24)]
    [finding] = leaks_across_parts(evidence(pair(0, 4), split=SPLIT, rows=given))
    assert finding.remedy == "affinage split DATA --recut"


def test_a_closed_set_leaks_on_purpose():
    both = ids(*range(10))
    split = Split(train=both, validation=both, closed_set=True)
    assert list(leaks_across_parts(evidence(pair(0, 4), split=split))) == []
    assert len(list(near_duplicates(evidence(pair(0, 4), split=split)))) == 1
