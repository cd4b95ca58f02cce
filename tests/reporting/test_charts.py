import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.records.report import Axis, Chart, Line, Matrix, Space
from affinage.reporting.charts.lines import line_chart, spread
from affinage.reporting.charts.matrix import matrix_chart
from affinage.reporting.charts.scale import linear_scale, log_scale
from affinage.reporting.charts.space import describe as describe_space
from affinage.reporting.charts.space import space_chart

CHARTS = {
    "no lines": [],
    "a line without points": [()],
    "one point": [((1.0, 2.0),)],
    "a constant": [tuple((float(x), 0.7) for x in range(5))],
    "zeros": [tuple((float(x), 0.0) for x in range(5))],
    "a thousand points": [tuple((float(x), math.sin(x / 50)) for x in range(1000))],
    "one x": [((3.0, 1.0), (3.0, 2.0))],
    "huge": [((1.0, 1e30), (2.0, -1e30))],
    "tiny": [((1e-9, 1e-12), (2e-9, 3e-12))],
    "not numbers": [((1.0, math.nan), (2.0, math.inf), (math.nan, 1.0), (3.0, 1.0))],
    "eight lines": [((0.0, float(n)), (1.0, float(n))) for n in range(8)],
}


def chart(lines, **options):
    named = tuple(Line(name=f"line {n}", points=points) for n, points in enumerate(lines))
    return Chart(title="Loss", x="epoch", y="loss", lines=named, **options)


@pytest.mark.parametrize("options", [{}, {"log_x": True}, {"unit_square": True}], ids=str)
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_finite_markup_with_a_title(name, options):
    svg = line_chart(chart(CHARTS[name], **options), identity="c1")
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.find("title").text == "Loss"
    assert root.attrib["aria-labelledby"].split() == [
        root.find("title").attrib["id"],
        root.find("desc").attrib["id"],
    ]
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<(title|desc)[^>]*>.*?</\1>", "", svg))
    assert len(svg) < 30_000


def test_a_chart_without_points_says_so():
    assert "No points were recorded" in line_chart(chart([()]), identity="c")


def test_lines_differ_in_colour_and_marker_and_are_named():
    svg = line_chart(chart(CHARTS["eight lines"][:3]), identity="c")
    for style in ("series s1", "series s2", "series s3"):
        assert style in svg
    for shape in ("<circle", "<rect", "<polygon"):
        assert shape in svg
    for name in ("line 0", "line 1", "line 2"):
        assert f">{name}</text>" in svg


def test_a_value_not_positive_is_not_drawn_on_a_logarithmic_axis():
    svg = line_chart(chart([((0.0, 1.0), (0.1, 2.0), (1.0, 3.0))], log_x=True), identity="c")
    assert svg.count("<circle") == 2


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20),
    st.booleans(),
)
def test_a_linear_axis_holds_its_values_and_its_ticks(values, tight):
    scale = linear_scale(values, start=0, end=100, tight=tight)
    assert scale.low < scale.high
    assert 1 <= len(scale.ticks) <= 13
    for value in (*values, *scale.ticks):
        assert -1e-3 <= scale(value) <= 100 + 1e-3


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=20))
def test_a_logarithmic_axis_holds_its_values_and_its_ticks(values):
    scale = log_scale(values, start=0, end=100)
    assert scale.ticks
    for value in (*values, *scale.ticks):
        assert -1 <= scale(value) <= 101


def test_ticks_are_round_and_evenly_written():
    assert linear_scale([0.02, 0.31], start=0, end=1).labels == ("0.0", "0.1", "0.2", "0.3", "0.4")
    assert linear_scale([93.2, 99.8], start=0, end=1).labels[-1] == "100"
    assert log_scale([1e-4, 0.3], start=0, end=1).labels == ("0.0001", "0.001", "0.01", "0.1")


@given(st.lists(st.floats(0, 200), min_size=1, max_size=6))
def test_labels_do_not_overlap(wanted):
    tops = spread(sorted(wanted), [20.0] * len(wanted), low=0, high=200)
    assert all(b - a >= 20 - 1e-9 for a, b in itertools.pairwise(tops))
    assert tops[0] >= -1e-9
    assert tops[-1] + 20 <= 200 + 1e-9


def matrix(size, n=3):
    counts = tuple(
        tuple(n if a == b else int(b == a + 1) for b in range(size)) for a in range(size)
    )
    return Matrix(title="Confusion", names=tuple(f"class {i}" for i in range(size)), counts=counts)


@pytest.mark.parametrize("size", [0, 1, 2, 12, 30, 31, 120, 1000])
def test_every_matrix_is_markup_of_a_reasonable_size(size):
    svg = matrix_chart(matrix(size), identity="m")
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert len(svg) < 150_000


def test_a_matrix_that_can_be_read_shows_its_numbers_and_a_large_one_is_a_picture():
    assert matrix_chart(matrix(12, n=77), identity="m").count(">77</text>") == 12
    assert ">77</text>" not in matrix_chart(matrix(31, n=77), identity="m")


def test_a_row_without_images_is_drawn():
    empty = Matrix(title="Confusion", names=("a", "b"), counts=((0, 0), (0, 0)))
    assert 'class="none"' in matrix_chart(empty, identity="m")


def test_a_matrix_tells_its_worst_confusion():
    assert "class 0 called class 1: 1" in matrix_chart(matrix(3), identity="m")


@pytest.mark.parametrize("values", [(100.0, 100.0), (3.0, 100.0), (97.0, 100.0)])
def test_no_axis_of_shares_goes_beyond_all(values):
    scale = linear_scale(values, start=0, end=1, largest=100.0)
    assert scale.high == 100.0
    assert max(scale.ticks) <= 100.0
    chart = Chart(
        title="",
        x="epoch",
        y="accuracy, %",
        lines=(Line(name="a", points=((0.0, 100.0), (1.0, 100.0))),),
    )
    assert "110" not in line_chart(chart, identity="x")


def test_a_scatter_over_three_parameters_draws_every_point_within_the_picture():
    axes = [Axis(name="a", log=True), Axis(name="b"), Axis(name="c", labels=("x", "y"))]
    points = (
        *tuple((10.0 ** (-i), float(i), float(i % 2), float(i), str(i)) for i in range(5)),
        (1.0, 1.0, 1.0, math.nan, "failed"),
    )
    chart = Space(title="t", x=axes[0], y=axes[1], z=axes[2], value="accuracy", points=points)
    drawn = ET.fromstring(space_chart(chart, identity="i"))
    dots = [one for one in drawn.iter() if one.tag.endswith("circle")]
    assert len(dots) == 5
    assert all(0 < float(one.get("cx")) < 440 and 0 < float(one.get("cy")) < 360 for one in dots)
    assert "5 points: best 4 at" in describe_space(chart)
