import json

import pytest
from benchmarks.page import PAGE, RESULTS, Goal, answer, flat, goal_of, latest, rendered

LEAST, MOST = Goal(least=True, bound=5), Goal(least=False, bound=5)


@pytest.mark.parametrize(
    ("value", "goal", "told"),
    [
        (5, LEAST, "yes"),
        (4.9, LEAST, "no"),
        (4.9, MOST, "yes"),
        ("+6.00 [+5.10, +6.90], n=3 seeds", LEAST, "yes"),
        ("+6.00 [+4.10, +7.90], n=9 seeds", LEAST, "not shown"),
        ("+2.00 [-4.10, +4.90], n=5 seeds", LEAST, "no"),
        ("3.01 by wall, 5.06 by processor", LEAST, "in part"),
        ("3.01 by wall, 4.06 by processor", LEAST, "no"),
        ("7, n=3", LEAST, "yes"),
        ("not enough data to say: 1 of 5 seeds", LEAST, "not enough data"),
        ("", LEAST, "not enough data"),
    ],
)
def test_a_goal_is_met_only_where_the_figure_shows_it(value, goal, told):
    assert answer(value, goal) == told


def test_a_goal_is_read_from_the_name_of_the_figure():
    found = goal_of("ratio of times, median (goal: at most 1.03, the checkpoint included)")
    assert found == Goal(least=False, bound=1.03, note=", the checkpoint included")
    assert str(found) == "≤ 1.03, the checkpoint included"
    assert goal_of("ratio of times") is None


def test_the_last_figures_of_a_section_count():
    lines = [json.dumps({"section": name, "figures": {"x": x}}) for name, x in
             (("b", 1), ("a", 2), ("b", 3))]  # fmt: skip
    assert [entry["figures"]["x"] for entry in latest(lines)] == [3, 2]


def test_groups_are_named_before_their_figures():
    assert list(flat({"a": {"b": {"c": 1}, "d": {}}, "e": 2})) == [("a: b: c", 1), ("e", 2)]


def test_the_page_is_that_of_the_results():
    assert PAGE.read_text() == rendered(latest(RESULTS.read_text().splitlines()))
