import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.records.estimate import Estimate
from affinage.reporting import words


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        (0.98333, 240, "98.3 %"),
        (0.98333, 60, "98 %"),
        (0.983333, 12_000, "98.33 %"),
        (1.0, 240, "100 %"),
        (0.0, 240, "0 %"),
        (0.9999, 5_000, "99.99 %"),
        (0.00004, 500, "0.004 %"),
        (None, 0, "–"),
    ],
)
def test_percent_has_the_digits_that_the_images_carry(value, n, expected):
    assert words.percent(value, n) == expected


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(1, 10**6))
def test_what_is_not_all_does_not_read_as_all(value, n):
    text = words.percent(value, n)
    if 1e-5 < value < 1 - 1e-5:
        assert text not in ("100 %", "0 %")


def test_an_interval_names_its_unit_once():
    assert words.interval(Estimate(value=0.983, low=0.9578, high=0.9942, n=240)) == "95.8–99.4 %"
    assert words.interval(Estimate(value=1.0, low=0.9842, high=1.0, n=240)) == "98.4–100 %"
    loss = Estimate(value=0.06, low=0.041, high=0.0934, n=240)
    assert words.interval(loss, share=False) == "0.041–0.093"
    assert words.interval(Estimate(value=None, low=None, high=None, n=0)) == "–"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0003, "0.0003"),
        (3e-5, "3 × 10⁻⁵"),
        (1e-6, "10⁻⁶"),
        (1.43e-6, "1.43 × 10⁻⁶"),
        (0, "0"),
        (-2, "−2"),
        (12.54, "12.5"),
        (0.1, "0.1"),
        (4021, "4,021"),
        (1234.5, "1,234"),
        (math.inf, "∞"),
        (math.nan, "not a number"),
    ],
)
def test_number_reads_as_people_write_it(value, expected):
    assert words.number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.01, "under 0.1 s"),
        (0.4, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (84, "1 min 24 s"),
        (7500, "2 h 5 min"),
        (7199, "2 h"),
        (-1, "–"),
    ],
)
def test_duration_is_said_as_people_say_it(seconds, expected):
    assert words.duration(seconds) == expected


@pytest.mark.parametrize(
    ("part", "shown"), [("test", "Test"), ("IMG of June", "IMG of June"), ("june A\n", "June A⏎")]
)
def test_only_the_first_letter_of_a_name_is_made_a_capital(part, shown):
    assert words.part_title(part) == shown


def test_counts_agree_with_their_noun():
    assert words.count(1, "image") == "1 image"
    assert words.count(1424, "image") == "1,424 images"
    assert words.count(12, "class", "classes") == "12 classes"


@given(st.text(st.characters()))
def test_a_label_is_one_line_that_can_be_written_and_hides_nothing(text):
    seen = words.label(text)
    seen.encode("utf-8")
    assert seen.strip()
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202e\u2028" for c in seen)


def test_a_name_written_from_right_to_left_does_not_turn_its_neighbours():
    assert words.label("ورد") == "\u2068ورد\u2069"
    assert words.label("rose") == "rose"


def test_names_without_ink_are_named():
    assert words.label("") == "(empty)"
    assert words.label("  ") == "(blank)"


@pytest.mark.parametrize("most", [3, 4, 7, 10, 99])
def test_a_shortened_name_is_no_longer_than_asked(most):
    short = words.shortened("abcdefghijklmnop", most)
    assert len(short) == min(most, 16)
    assert ("…" in short) == (most < 16)
