import numpy as np
import pytest
from sklearn import metrics as reference

from affinage.errors import DataError
from affinage.metrics.intervals import resample, wilson
from affinage.metrics.multilabel import average_precisions, check_sets, set_scores


def sample(n=90, k=4, seed=0):
    random = np.random.default_rng(seed)
    truth = random.random((n, k)) < np.linspace(0.1, 0.7, k)
    scores = np.round(np.clip(truth * 0.3 + random.random((n, k)) * 0.7, 0, 1), 2)
    return scores, truth


def test_scores_of_sets_are_those_of_scikit_learn():
    scores, truth = sample()
    given = scores >= 0.5
    found = set_scores(truth, given)
    each = reference.f1_score(truth, given, average=None)
    assert [estimate.value for estimate in found.f1] == pytest.approx(each)
    assert found.macro_f1.value == pytest.approx(each.mean())
    assert found.micro_f1.value == pytest.approx(reference.f1_score(truth, given, average="micro"))
    assert found.exact_match.value == pytest.approx(reference.accuracy_score(truth, given))
    assert found.hamming_loss.value == pytest.approx(reference.hamming_loss(truth, given))
    for estimate in (*found.f1, found.macro_f1, found.micro_f1, found.hamming_loss):
        assert estimate.low < estimate.value < estimate.high


def test_average_precision_is_that_of_scikit_learn_ties_included():
    scores, truth = sample()
    each, mean = average_precisions(scores, truth)
    expected = reference.average_precision_score(truth, scores, average=None)
    assert [estimate.value for estimate in each] == pytest.approx(expected)
    assert mean.value == pytest.approx(expected.mean())
    assert mean.high - mean.low < each[0].high - each[0].low


def test_its_draws_are_those_of_the_slow_way():
    scores, truth = sample(n=30, k=1)
    (fast,), _ = average_precisions(scores, truth, seed=3)
    slow = [
        reference.average_precision_score(truth[rows, 0], scores[rows, 0])
        for rows in resample(30, seed=3)
        if 0 < truth[rows, 0].sum() < 30
    ]
    assert (fast.low, fast.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


def test_a_label_that_none_or_all_have_has_no_ranking():
    scores, truth = sample(k=3)
    truth[:, 0], truth[:, 1] = False, True
    each, mean = average_precisions(scores, truth)
    assert each[0].value is each[1].value is None
    assert mean.value == each[2].value
    alone, none = average_precisions(scores[:, :1], truth[:, :1])
    assert alone[0].value is none.value is None


def test_a_label_that_none_has_lowers_no_macro_f1():
    scores, truth = sample()
    given = scores >= 0.5
    more = np.hstack([truth, np.zeros((len(truth), 1), bool)])
    wider = np.hstack([given, np.zeros((len(truth), 1), bool)])
    assert set_scores(more, wider).macro_f1 == set_scores(truth, given).macro_f1
    assert set_scores(more, wider).f1[-1].value is None


def test_a_perfect_answer_has_intervals_all_the_same():
    _, truth = sample(n=20)
    found = set_scores(truth, truth)
    assert found.exact_match == wilson(20, 20)
    assert found.hamming_loss == wilson(0, 20)


@pytest.mark.parametrize("wrong", [np.full((2, 3), 1.2), np.full((2, 3), np.nan), np.zeros((2, 2))])
def test_what_are_no_probabilities_is_refused(wrong):
    with pytest.raises(DataError):
        check_sets(wrong, np.zeros((2, 3)))
