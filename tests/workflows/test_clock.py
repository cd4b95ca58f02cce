import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import RecipeError
from affinage.workflows.clock import Clock, parse_duration
from affinage.workflows.reporter import Lines, duration, time_left


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2 min", 120),
        (45.0, 45),
    ],
)
def test_spans_of_time_are_understood(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3", "0", "10x", "inf", "nan", "1h soon"])
def test_what_is_no_span_of_time_is_refused(text):
    with pytest.raises(RecipeError):
        parse_duration(text)


@given(st.floats(0, 1e6))
def test_every_duration_has_words(seconds):
    assert duration(seconds).split()[-1] in ("s", "min")


def test_a_clock_counts_from_when_it_was_told():
    import time

    clock = Clock(100, started=time.monotonic() - 40)
    assert 55 < clock.left <= 60
    assert Clock().left == float("inf")


def test_time_left_is_told_once_something_is_done():
    assert time_left(0, 10, 5) == ""
    assert time_left(5, 10, 10) == ", about 10 s left"


def test_lines_are_printed_now_and_then():
    stream = io.StringIO()
    lines = Lines(stream, every=0.0)
    for done in range(4):
        lines.phase("reading", done, 3)
    lines.say("done")
    assert "reading: 1 of 3" in stream.getvalue()
    assert stream.getvalue().endswith("done\n")
