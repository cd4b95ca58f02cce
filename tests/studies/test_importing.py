import numpy as np
import pytest

from affinage.errors import DataError
from affinage.records.question import Choice, Span
from affinage.studies.importing import PastTrial, direction_of, imported


def rows(*scores, **params):
    return [PastTrial(params={**params, "seed": seed}, score=s) for seed, s in enumerate(scores)]


def judged(found):
    given = {"source": "past.csv", "vary": ["net"], "sign": 1, "words": {}, "smallest": None}
    return imported(found, **given)


def test_a_seed_is_the_same_repeat_in_every_arm():
    found = judged([*rows(0.8, 0.81, net="a"), *reversed(rows(0.9, 0.92, net="b"))])
    by_job = {(t.job.arm, t.job.repeat): t.score for t in found.trials}
    assert by_job == {(0, 1): 0.8, (0, 2): 0.81, (1, 1): 0.9, (1, 2): 0.92}


def test_the_run_that_chose_a_setting_does_not_judge_it():
    found = judged([*rows(0.8, 0.7, net="a", lr=0.1), *rows(0.9, 0.6, net="b", lr=0.2)])
    assert [trial.job.repeat for trial in found.trials] == [0, 1, 0, 1]
    assert found.question.nuisance == (Span(key="lr", low=0.1, high=0.2),)


def test_what_differs_is_tuned_and_what_does_not_is_fixed():
    table = [
        PastTrial(params={"net": n, "lr": lr, "how": h, "size": 224}, score=0.5)
        for n, lr, h in (("a", 1e-4, "x"), ("b", 1e-1, "y"))
    ]
    question = judged(table).question
    assert question.nuisance == (
        Span(key="lr", low=1e-4, high=1e-1, log=True),
        Choice(key="how", values=("x", "y")),
    )
    assert question.fixed == ("size=224",)


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_row_without_a_score_failed(score):
    found = judged(
        [*rows(0.5, 0.6, net="a"), PastTrial(params={"net": "b", "seed": 0}, score=score)]
    )
    assert found.trials[-1].state == "failed"
    assert found.trials[-1].error


def test_nothing_to_judge_is_refused():
    with pytest.raises(DataError, match="no result"):
        judged([PastTrial(params={"net": "a"}, score=None)])
    with pytest.raises(DataError, match="no column net"):
        judged(rows(0.5, other="a"))


@pytest.mark.parametrize(
    ("name", "sign"), [("accuracy", 1), ("val_loss", -1), ("MAE", -1), ("f1", 1), ("error", -1)]
)
def test_a_score_says_by_its_name_which_way_is_better(name, sign):
    assert direction_of(name) == sign


def test_any_order_of_rows_gives_the_same_trials():
    table = [*rows(0.8, 0.81, 0.7, net="a"), *rows(0.9, 0.92, 0.6, net="b")]
    random = np.random.default_rng(0)
    scores = set()
    for _ in range(5):
        found = judged([table[i] for i in [0, *(1 + random.permutation(5))]])
        names = [arm.name for arm in found.question.arms]
        scores.add(frozenset((names[t.job.arm], t.score) for t in found.trials))
    assert len(scores) == 1
