from dataclasses import replace

import pytest

from affinage.monitoring.telling import described, tell
from affinage.records.estimate import Estimate
from affinage.records.monitored import Changed, WindowJudged
from affinage.records.seen import LOOKS

NOTHING = Estimate(value=None, low=None, high=None, n=0)
DARKER = Changed(name="brightness", kind="look", size=0.12, p=0.001, here=0.4, there=0.5)
QUIET = WindowJudged(
    number=1, since="a", until="b", images=100, alarm=False, p=0.4, changed=(),
    unlike=NOTHING, accuracy=NOTHING,
)  # fmt: skip
LOUD = replace(QUIET, number=2, alarm=True, p=0.001, changed=(DARKER,))


def told(windows, together=None):
    given = dict.fromkeys(("validation", "accuracy", "unlike"), NOTHING)
    return list(tell(windows, together, rate=0.01, strange=(), **given))


@pytest.mark.parametrize("look", LOOKS)
def test_every_measure_is_named_in_words_that_say_what_it_is(look):
    line = described(replace(DARKER, name=look))
    assert line.split(":")[0] != look
    assert "median 0.4 here, 0.5 in the baseline" in line


def test_quiet_windows_that_are_quiet_together_are_nothing_to_tell():
    assert told([QUIET, QUIET], QUIET) == []


def test_what_is_too_little_for_any_window_is_told_of_all():
    together = replace(LOUD, images=200)
    [found] = told([QUIET, QUIET], together)
    assert found.code == "input-drift"
    assert "too little for any of 2 windows" in found.subject
    assert "last 200 images together" in found.subject
    assert any("brightness" in line for line in found.evidence)


@pytest.mark.parametrize("together", [None, QUIET, replace(LOUD, images=200)])
def test_a_window_that_is_loud_speaks_for_itself(together):
    [found] = told([QUIET, LOUD], together)
    assert "1 of 2 windows" in found.subject
    assert "window 2" in found.evidence[0]


def test_what_would_differ_without_a_shift_is_told_in_digits_that_are_not_zero():
    [found] = told([LOUD])
    assert found.subject.startswith("The images changed: 1 of 1 window differs from the baseline;")
    assert "without any shift 0.01 would" in found.subject


@pytest.mark.parametrize("known", [True, False])
def test_a_fallen_accuracy_is_claimed_only_where_it_is_known(known):
    validation = Estimate(value=0.99, low=0.95, high=1.0, n=100)
    accuracy = Estimate(value=0.6, low=0.1, high=0.7, n=100)
    found = tell(
        [QUIET], rate=0.01, strange=(), unlike=NOTHING,
        validation=validation, accuracy=accuracy, known=known,
    )  # fmt: skip
    assert [one.code for one in found] == (["accuracy-fallen"] if known else [])
