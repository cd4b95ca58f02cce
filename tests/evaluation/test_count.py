import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.errors import DataError
from affinage.evaluation.count import MOST_MISTAKES, evaluate_counts
from affinage.evaluation.count_intervals import count_intervals, fit_margins
from affinage.records.count_evaluation import CountEvaluation
from affinage.records.plain import from_plain, to_plain

CLASSES = ("RBC", "WBC")


def sample(n=60, seed=0):
    random = np.random.default_rng(seed)
    mean = np.column_stack([random.gamma(9, 1.5, n), random.gamma(2, 0.5, n)])
    return mean, random.poisson(mean).astype(np.float32)


def evaluate(expected, counts, **other):
    n = len(counts)
    facts = {
        "part": "test",
        "images": [f"i{number:03d}" for number in range(n)],
        "paths": [f"{number}.png" for number in range(n)],
        "classes": CLASSES,
        "train_counts": sample(100, seed=1)[1],
    } | other
    return evaluate_counts(expected=expected, counts=counts, **facts)


def test_the_json_is_shaped_as_it_is_promised():
    plain = to_plain(evaluate(*sample()))
    for name in CLASSES:
        for score in ("mae", "rmse", "bias", "within_one", "exact"):
            assert set(plain["per_class"][name][score]) == {"value", "low", "high", "n"}
        for rival in ("mean", "median", "mode"):
            assert set(plain["baselines"][name][rival]["mae"]) == {"value", "low", "high", "n"}
            assert plain["baselines"][name][rival]["mae"]["n"] == 60
    found = evaluate(*sample(), margins=((1.0, 1.0), (1.0, 1.0)), coverage=0.9)
    assert from_plain(CountEvaluation, to_plain(found)) == found


def test_overall_scores_are_means_over_the_classes():
    found = evaluate(*sample())
    for score in ("mae", "rmse", "bias", "within_one", "exact"):
        each = [getattr(found.per_class[name], score).value for name in CLASSES]
        overall = getattr(found, score)
        assert overall.value == pytest.approx(np.mean(each))
        assert overall.low <= overall.value <= overall.high
    expected, truth = sample()
    right = np.floor(expected + 0.5) == truth
    assert found.all_exact.value == pytest.approx(right.all(axis=1).mean())


def test_baselines_say_what_the_training_part_says():
    known = np.array([[10, 1], [10, 1], [13, 1], [15, 3]])
    expected, truth = sample()
    found = evaluate(expected, truth, train_counts=known)
    assert [found.baselines["RBC"].mean.predicts, found.baselines["RBC"].median.predicts,
            found.baselines["RBC"].mode.predicts] == [12, 11.5, 10]  # fmt: skip
    always_one = found.baselines["WBC"].mode
    assert always_one.exact.value == pytest.approx((truth[:, 1] == 1).mean())
    assert always_one.mae.value == pytest.approx(np.abs(truth[:, 1] - 1).mean())


def test_a_gain_is_the_difference_and_knows_what_is_paired():
    expected, truth = sample()
    found = evaluate(expected, truth)
    scores, rivals, gains = (x["RBC"] for x in (found.per_class, found.baselines, found.gains))
    assert gains.mean.mae.value == pytest.approx(rivals.mean.mae.value - scores.mae.value)
    assert gains.mode.exact.value == pytest.approx(scores.exact.value - rivals.mode.exact.value)
    assert gains.mean.mae.low > 0
    same = evaluate(np.full((60, 2), 3.0), truth, train_counts=np.full((5, 2), 3.0))
    assert (same.gains["RBC"].mean.mae.low, same.gains["RBC"].mean.mae.high) == (0, 0)


def test_confusions_hold_every_image_and_their_diagonal_is_exact():
    expected, truth = sample()
    found = evaluate(expected, truth, rounding="floor")
    for index, name in enumerate(CLASSES):
        confusion = found.confusion[name]
        assert sum(map(sum, confusion.table)) == 60
        assert confusion.on_diagonal == found.per_class[name].exact
        diagonal = sum(row[place] for place, row in enumerate(confusion.table))
        assert diagonal == (np.floor(expected[:, index]) == truth[:, index]).sum()
        lines = confusion.csv().splitlines()
        assert lines[0] == ",".join(["true \\ predicted", *map(str, confusion.values)])
        assert len(lines) == len(confusion.values) + 1


def test_the_worst_mistakes_are_those_that_surprise_most():
    truth = np.array([[10.0, 0], [10, 9], [14, 0]])
    found = evaluate(np.array([[10.0, 0.2], [10, 0.2], [10, 0.2]]), truth)
    assert [(m.path, m.name, m.truth) for m in found.mistakes] == [
        ("1.png", "WBC", 9), ("2.png", "RBC", 14)
    ]  # fmt: skip
    assert len(evaluate(*sample(500)).mistakes) == MOST_MISTAKES


def test_without_training_counts_there_is_no_baseline():
    found = evaluate(*sample(), train_counts=np.zeros((0, 2)))
    assert found.baselines == found.gains == {}


def test_the_same_seed_gives_the_same_evaluation():
    assert evaluate(*sample()) == evaluate(*sample())
    other = evaluate(*sample(), seed=1)
    assert other.mae != evaluate(*sample()).mae
    assert other.exact.value == evaluate(*sample()).exact.value


@pytest.mark.parametrize(
    "wrong", [{"images": ["a"]}, {"classes": ("a",)}], ids=["images", "classes"]
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(DataError):
        evaluate(*sample(), **wrong)


def test_a_part_without_images_is_refused():
    with pytest.raises(DataError, match="'test' has no image"):
        evaluate(np.zeros((0, 2)), np.zeros((0, 2)))


# Intervals.


@pytest.mark.parametrize("coverage", [0.8, 0.9])
@pytest.mark.parametrize("worth", [1.0, 0.4], ids=["a good model", "one that counts too few"])
def test_intervals_hold_what_they_promise_on_new_counts(coverage, worth):
    """Over many validation parts of 60 images the mean coverage is at least what was promised."""
    held = []
    for seed in range(60):
        known, truth = sample(60, seed=2 * seed)
        new, new_truth = sample(400, seed=2 * seed + 1)
        margins = fit_margins(worth * known, truth, coverage=coverage)
        low, high = count_intervals(worth * new, margins)
        held.append(((low <= new_truth) & (new_truth <= high)).mean(axis=0))
    shares = np.mean(held, axis=0)
    assert (shares >= coverage - 0.02).all()  # Three standard errors of 60 parts.
    assert shares[0] <= coverage + 0.1  # Whole counts hold a little more.


def test_the_margin_is_the_promised_order_statistic():
    expected, truth = np.full((19, 1), 3.0), np.arange(19.0)[:, None]
    ((below, above),) = fit_margins(expected, truth, coverage=0.9)
    assert (below, above) == (1.5, 7.5)  # In units of √(3 + 1): from 0 to 18.
    assert [x.item() for x in count_intervals([[3.0]], [(below, above)])] == [0, 18]


def test_too_few_images_promise_nothing():
    expected, truth = sample(18)
    assert fit_margins(expected, truth, coverage=0.9) == ()
    assert fit_margins(*sample(19), coverage=0.9) != ()
    assert evaluate(*sample(), margins=()).intervals == {}
    assert evaluate(*sample(), margins=()).interval is None


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=20),
    st.floats(-5, 5), st.floats(-5, 5),
)  # fmt: skip
def test_an_interval_is_never_empty_and_holds_the_rounded_count(values, below, above):
    low, high = count_intervals(np.array(values)[:, None], [(below, above)])
    whole = np.floor(np.array(values)[:, None] + 0.5)
    assert ((low >= 0) & (low <= whole) & (whole <= high)).all()


def test_what_intervals_held_is_in_the_evaluation():
    margins = fit_margins(*sample(200, seed=8))
    found = evaluate(*sample(), margins=margins, coverage=0.9)
    low, high = count_intervals(sample()[0], margins)
    held = (low[:, 0] <= sample()[1][:, 0]) & (sample()[1][:, 0] <= high[:, 0])
    assert found.intervals["RBC"].coverage.value == pytest.approx(held.mean())
    assert found.intervals["RBC"].width == pytest.approx((high - low + 1)[:, 0].mean())
    assert found.interval == 0.9


def test_margins_of_another_model_are_refused():
    with pytest.raises(DataError, match="1 margins"):
        count_intervals(np.zeros((2, 2)), [(1.0, 1.0)])
    with pytest.raises(DataError, match="between 0 and 1"):
        fit_margins(*sample(), coverage=1.0)
