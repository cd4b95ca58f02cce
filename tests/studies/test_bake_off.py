import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import RecipeError
from affinage.records.question import Arm, Question
from affinage.studies.bake_off import check_bake_off, pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8)


@given(POINTS)
def test_a_point_is_on_the_front_where_no_other_beats_it(points):
    front = pareto_front(points)
    for point, best in zip(points, front, strict=True):
        beaten = any(
            (o[0] > point[0] and o[1] <= point[1]) or (o[0] >= point[0] and o[1] < point[1])
            for o in points
        )
        assert best is not beaten


@given(POINTS)
def test_the_best_and_the_quickest_are_on_the_front(points):
    front = [point for point, best in zip(points, pareto_front(points), strict=True) if best]
    assert max(gain for gain, _ in points) == max(gain for gain, _ in front)
    assert min(cost for _, cost in points) == min(cost for _, cost in front)


@pytest.mark.parametrize("settings", [(("optimizer.lr", 0.1),), ()])
def test_a_bake_off_compares_backbones_alone(settings):
    arms = (Arm(name="a", settings=settings), Arm(name="b", settings=settings))
    with pytest.raises(RecipeError, match="compares backbones"):
        check_bake_off(Question(question="?", sources=("x",), arms=arms))
