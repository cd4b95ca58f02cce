import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from affinage.datasets.boxes.counting import (
    ALIKE,
    MIN_VISIBLE,
    SLACK,
    Rules,
    duplicates,
    fates,
    overlap,
    tally,
)
from affinage.errors import RecipeError
from affinage.records.box import Box, BoxedImage

edges = st.integers(-40, 240)
sizes = st.tuples(st.integers(1, 200), st.integers(1, 200))
least = st.integers(0, 60)


@st.composite
def boxes(draw):
    return Box(
        label=draw(st.sampled_from("ab")),
        x1=draw(edges),
        y1=draw(edges),
        x2=draw(edges),
        y2=draw(edges),
        crowd=draw(st.booleans()),
        difficult=draw(st.booleans()),
    )


@st.composite
def images(draw, most=8):
    return BoxedImage(
        path="a.jpg", width=200, height=160, boxes=tuple(draw(st.lists(boxes(), max_size=most)))
    )


def image_of(*rows, width=200, height=160, **flags):
    found = [Box(label="a", x1=a, y1=b, x2=c, y2=d, **flags) for a, b, c, d in rows]
    return BoxedImage(path="a.jpg", width=width, height=height, boxes=tuple(found))


def only(row, rules=None, **flags):
    (fate,) = fates(image_of(row, **flags), rules or Rules())
    return fate


def by_definition(box, image, rules):
    """Whether a box counts, in fractions, and how near the verdict was, px."""
    if (box.crowd and not rules.crowd) or (box.difficult and not rules.difficult):
        return False, math.inf
    x1, y1, x2, y2 = (Fraction(edge) for edge in (box.x1, box.y1, box.x2, box.y2))
    if x1 >= x2 or y1 >= y2:
        return False, math.inf
    across = max(Fraction(0), min(x2, image.width) - max(x1, 0))
    down = max(Fraction(0), min(y2, image.height) - max(y1, 0))
    inside = across * down / ((x2 - x1) * (y2 - y1))
    width, height = rules.size or (image.width, image.height)
    at_training = min(across * width / image.width, down * height / image.height)
    gap = at_training - Fraction(rules.min_box) + Fraction(SLACK)
    counts = inside >= Fraction(MIN_VISIBLE) and min(across, down) >= 1 and gap >= 0
    return counts, abs(gap)


@given(images(), st.none() | sizes, least, st.booleans(), st.booleans())
def test_each_fate_agrees_with_the_definition(image, size, min_box, crowd, difficult):
    rules = Rules(size=size, min_box=min_box, crowd=crowd, difficult=difficult)
    for box, fate in zip(image.boxes, fates(image, rules), strict=True):
        counts, gap = by_definition(box, image, rules)
        assume(gap > 1e-9)
        assert (fate == "counted") == counts


@given(images(), sizes, least, least, st.booleans())
def test_counts_never_grow_with_the_smallest_box(image, size, one, two, each):
    low, high = sorted((one, two))
    rules = Rules(size=size, min_box=low, duplicates=each)
    fewer = fates(image, replace(rules, min_box=high))
    assert all(
        before == "counted"
        for before, after in zip(fates(image, rules), fewer, strict=True)
        if after == "counted"
    )


@given(images(), sizes, st.integers(1, 100), st.integers(1, 100), least, st.booleans())
def test_counts_never_grow_when_the_size_shrinks(image, size, across, down, min_box, each):
    rules = Rules(size=size, min_box=min_box, duplicates=each)
    smaller = (max(1, size[0] * across // 100), max(1, size[1] * down // 100))
    fewer = fates(image, replace(rules, size=smaller))
    assert fewer.count("counted") <= fates(image, rules).count("counted")


def test_a_box_shrinks_with_its_frame():
    frame = {"width": 1600, "height": 900}
    for side, fate in ((39, "small"), (40, "counted")):
        image = image_of((100, 100, 100 + side, 300), **frame)
        assert fates(image, Rules(size=(400, 225), min_box=10)) == (fate,)
        assert fates(image, Rules(min_box=10)) == ("counted",)


def test_each_axis_has_its_own_scale():
    image = image_of((0, 0, 100, 20), width=1000, height=100)
    assert fates(image, Rules(size=(100, 100), min_box=11)) == ("small",)
    assert fates(image, Rules(size=(500, 100), min_box=11)) == ("counted",)


@pytest.mark.parametrize(
    ("row", "fate"),
    [
        ((10, 10, 10, 30), "empty"),
        ((10, 10, 20, 9), "empty"),
        ((math.nan, 10, 20, 30), "not a number"),
        ((0, 0, math.inf, 30), "not a number"),
        ((-50, 10, 0, 30), "outside"),
        ((200, 0, 220, 30), "outside"),
        ((-31, 10, 9, 30), "outside"),
        ((-30, 10, 10, 30), "counted"),
        ((10, 10, 10.9, 30), "thin"),
        ((10, 10, 11, 30), "counted"),
        ((-1e9, -1e9, 1e9, 1e9), "outside"),
        ((0, 0, 200, 160), "counted"),
    ],
)
def test_edges_by_hand(row, fate):
    assert only(row) == fate


def test_what_the_annotation_says_of_visibility_goes_before_the_rectangle():
    assert only((10, 10, 40, 40), visible=0.2) == "outside"
    assert only((-31, 10, 9, 30), visible=0.3) == "counted"


def test_flags_are_obeyed():
    assert only((0, 0, 50, 50), crowd=True) == "crowd"
    assert only((0, 0, 50, 50), Rules(crowd=True), crowd=True) == "counted"
    assert only((0, 0, 50, 50), difficult=True) == "counted"
    assert only((0, 0, 50, 50), Rules(difficult=False), difficult=True) == "difficult"


def test_an_object_with_two_boxes_counts_once_where_asked():
    image = image_of((0, 0, 100, 100), (0, 1, 100, 100), (1, 0, 100, 100), (0, 0, 50, 100))
    assert fates(image, Rules()).count("counted") == 4
    assert fates(image, Rules(duplicates=False)) == (
        "counted",
        "duplicate",
        "duplicate",
        "counted",
    )


@given(images(most=12), st.integers(0, 3))
def test_duplicates_agree_with_comparing_all_with_all(image, shift):
    moved = [replace(box, x1=box.x1 + shift, x2=box.x2 + shift) for box in image.boxes[:4]]
    every = [*image.boxes, *moved]
    alike = {
        (a, b)
        for a, b in combinations(range(len(every)), 2)
        if (every[a].label, every[a].crowd) == (every[b].label, every[b].crowd)
        and every[a].x2 > every[a].x1
        and every[a].y2 > every[a].y1
        and every[b].x2 > every[b].x1
        and every[b].y2 > every[b].y1
        and overlap(every[a], every[b]) > ALIKE
    }
    found = duplicates(every)
    assert set(found) <= alike
    again = {second for _, second in found}
    assert len(again) == len(found)
    assert all(a in again or b in again for a, b in alike)
    assert not again & {first for first, _ in found}


def test_labels_that_mean_one_class_are_counted_together():
    image = BoxedImage(
        path="a.jpg",
        width=200,
        height=160,
        boxes=tuple(Box(label=label, x1=0, y1=0, x2=9, y2=9) for label in ("car", "Car", "dog")),
    )
    spelling = {"car": "car", "Car": "car", "dog": "dog"}
    counts = tally([image], [fates(image, Rules())], ["car"], spelling)
    assert counts.tolist() == [[2]]


@pytest.mark.parametrize(
    "wrong", [{"size": (0, 10)}, {"min_box": -1}, {"min_box": math.nan}, {"min_box": math.inf}]
)
def test_impossible_rules_are_refused(wrong):
    with pytest.raises(RecipeError):
        Rules(**wrong)
