"""What a study's headline and its next question say."""

import re

import numpy as np
import pytest

from affinage.records.estimate import Estimate
from affinage.records.question import Arm, Question
from affinage.records.study import Job, Trial
from affinage.studies.answering import Seen, answer, look_at
from affinage.studies.asking import arms_of, ladder_of
from affinage.studies.planning import announce, comparisons, pilot_jobs
from affinage.studies.wording import LONGEST, short

REPEATS = 3


def judged(arms, means, *, design="compare", smallest=None, noise=0.01):
    """Return the answer where arms have these mean losses, on 40 images and three seeds."""
    question = Question(
        question="?", sources=("photos",), metric="log_loss", repeats=REPEATS, arms=tuple(arms),
        design=design, smallest=smallest,
    )  # fmt: skip
    random = np.random.default_rng(0)
    jobs = [
        Job(arm=arm, point=0, repeat=repeat)
        for arm in range(len(means))
        for repeat in range(1, REPEATS + 1)
    ]
    drawn = {job: means[job.arm] + random.normal(0, noise, 40) for job in jobs}
    done = {
        job: Trial(job=job, state="complete", score=float(one.mean()), seconds=1.0)
        for job, one in drawn.items()
    }
    announced = announce(
        question, {job: done[job] for job in pilot_jobs(question)}, drawn.__getitem__
    )
    seen = Seen(
        question=question, points=((),), ended=done, scores=drawn.__getitem__, announced=announced
    )
    return answer(seen, look_at(seen, comparisons(question), REPEATS), finished=True)


def test_of_many_comparisons_a_headline_has_their_number_the_best_and_what_matters():
    arms = arms_of(["optimizer.lr=0.001,0.01,0.1", "optimizer.eps=1,2,3"])
    told = judged(arms, (3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0)).verdict
    assert told.startswith("Against optimizer.lr = 0.001, optimizer.eps = 1: 6 help (+1 to +2)")
    assert "Best on fresh seeds: optimizer.lr = 0.01, optimizer.eps = " in told
    assert re.search(r"100 % \[\d+, 100\] of the spread of scores goes with optimizer.lr", told)
    assert len(told) < 350


def test_a_ladder_is_told_by_the_names_of_its_steps():
    arms = ladder_of(["crops: augment.crop=0.6 augment.horizontal_flip=true", "model.dropout=0.5"])
    said = judged(arms, (3.0, 2.0, 2.5), design="add-one")
    assert "helps: '+ crops' (+1)" in said.verdict
    assert "hurts: '+ model.dropout=0.5' (−0.5)" in said.verdict


def test_of_a_ladder_the_rung_that_scores_best_is_proposed_and_not_the_one_that_gains_most():
    said = judged(ladder_of(["a.b=1", "c.d=2"]), (5.0, 2.0, 1.0), design="add-one")
    assert "--set a.b=1 --set c.d=2" in said.next_question


def test_alike_is_within_what_the_interval_leaves_where_nobody_said_what_matters():
    arms = (Arm(name="a", settings=()), Arm(name="b", settings=()))
    (found,) = judged(arms, (1.0, 1.0)).differences
    (asked,) = judged(arms, (1.0, 1.0), smallest=0.5).differences
    left = float(re.search(r"larger than ([\d.]+)", found.sentence)[1])
    assert max(-found.effect.low, found.effect.high) <= left <= 0.1
    assert "no difference larger than 0.5 " in asked.sentence


@pytest.mark.parametrize(
    "name", ["svm", "+ optimizer.momentum=0.9 optimizer.lr=0.01 schedule.gamma=0.95"]
)
def test_a_long_name_is_cut_between_its_words(name):
    told = short(name)
    assert len(told) <= LONGEST + 2
    assert told == name or (told.endswith(" …") and name.startswith(told[:-2] + " "))


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [(0.9, 3.2, 1), (-0.022, -0.0078, 4), (10.0, 130.0, 0), (1.0, 1.0, 3)],
)
def test_a_figure_has_two_digits_of_half_its_interval(low, high, decimals):
    assert Estimate(value=low, low=low, high=high, n=9).decimals() == decimals
