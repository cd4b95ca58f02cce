"""Whole studies on simulated scores: how often they are wrong, and how often they find what is there."""

import numpy as np
import pytest
from scipy.special import ndtr

from affinage.records.question import Arm, Question, Span
from affinage.records.study import Announced, Job, Trial
from affinage.studies.answering import Seen, answer, look_at
from affinage.studies.design import nuisance_points
from affinage.studies.planning import (
    ALWAYS_MATTERS,
    announce,
    comparisons,
    confirm_jobs,
    pilot_jobs,
)


@pytest.fixture(autouse=True)
def without_what_is_not_judged_here(monkeypatch):
    """The bootstrap and the importances stand beside a verdict and do not enter it."""
    monkeypatch.setattr("affinage.studies.judging.paired_bootstrap", lambda table, seed: None)
    monkeypatch.setattr("affinage.studies.answering.importances", lambda *_, seed: ())


NOISES = {
    "images differ": (0.20, 0.003, 0.25, 300, 9),
    "seeds differ": (0.03, 0.02, 0.10, 200, 5),
    "three seeds": (0.10, 0.01, 0.20, 200, 3),
    "all rest": (0.01, 0.001, 0.30, 300, 17),
}


SHARES = {
    "easy images": (1.6, 0.8, 0.3, 0.03, 300, 5),
    "few images": (0.5, 0.5, 0.5, 0.05, 80, 10),
    "images are known or not": (2.0, 2.0, 0.7, 0.02, 200, 3),
    "half are right": (0.0, 0.5, 0.2, 0.05, 150, 5),
}
"""Of right or wrong: mean, spread of images that arms share and do not, of seeds; images, repeats."""


def a_question(repeats, arms=2, metric="log_loss"):
    return Question(
        question="simulated", sources=("photos",), metric=metric, repeats=repeats,
        arms=tuple(Arm(name=f"arm {i}", settings=(("seed", i),)) for i in range(arms)),
    )  # fmt: skip


def run_study(random, noise, *, arms=2, effect=lambda size: 0.0):
    """Run a study as a worker does, its losses drawn; return its verdicts on every comparison."""
    image, seed, rest, n, repeats = noise
    own = random.normal(0, image, (arms, n))
    offsets, drawn = {}, {}

    def scores(job, shift):
        if job not in drawn:
            level = offsets.setdefault((job.arm, job.repeat), random.normal(0, seed))
            drawn[job] = own[job.arm] + level + random.normal(0, rest, n)
        return drawn[job] - (shift if job.arm else 0.0)  # Of a loss, less is better.

    return judged(a_question(repeats, arms), scores, effect)


def run_share_study(random, noise, *, arms=2, effect=lambda size: 0.0):
    """Run a study whose images are right or wrong: how sure each is differs by image, arm and seed."""
    mean, shared, own, seed, n, repeats = noise
    sure = mean + random.normal(0, shared, n) + random.normal(0, own, (arms, n))
    levels, luck = {}, {}

    def scores(job, shift):
        if job not in luck:
            luck[job] = random.random(n)
            levels[job] = ndtr(sure[job.arm] + random.normal(0, seed))
        right = levels[job]
        if job.arm and shift:
            right = right + shift * (1 - right) / (1 - right).mean()
        return (luck[job] < right) * 1.0

    return judged(a_question(repeats, arms, metric="accuracy"), scores, effect)


def judged(question, drawn, effect):
    """Return the verdicts of a study whose scores are drawn: all arms but the first gain the effect."""
    shift = [0.0]

    def scores(job):
        return drawn(job, shift[0])

    def ended(jobs):
        return {job: Trial(job=job, state="complete", score=0.0, seconds=0.1) for job in jobs}

    done = ended(pilot_jobs(question))
    announced = announce(question, done, scores)
    shift[0] = effect(announced.detectable or ALWAYS_MATTERS)
    open_pairs, verdicts = comparisons(question), {}
    for look in announced.looks:
        done |= ended(confirm_jobs(question, done, look, open_pairs))
        seen = Seen(question=question, points=((),), ended=done, scores=scores, announced=announced)
        for one in look_at(seen, open_pairs, look):
            verdicts[one.arm, one.against] = one.says
        open_pairs = tuple(pair for pair in open_pairs if verdicts[pair] == "cannot tell yet")
        if not open_pairs:
            break
    return list(verdicts.values())


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_without_a_difference_at_most_one_study_in_twenty_names_one(noise):
    random, wrong, studies = np.random.default_rng(7), 0, 500
    for _ in range(studies):
        wrong += bool({"helps", "hurts"} & set(run_study(random, noise)))
    assert wrong / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)


def test_five_arms_without_a_difference_are_wrong_no_more_often():
    random, wrong = np.random.default_rng(8), 0
    for _ in range(200):
        wrong += bool({"helps", "hurts"} & set(run_study(random, NOISES["three seeds"], arms=5)))
    assert wrong / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_a_difference_of_the_announced_size_is_found_in_four_of_five(noise):
    random = np.random.default_rng(9)
    found = sum(run_study(random, noise, effect=lambda size: size) == ["helps"] for _ in range(200))
    assert found / 200 >= 0.8 - 2 * np.sqrt(0.8 * 0.2 / 200)


@pytest.mark.parametrize("noise", SHARES.values(), ids=SHARES)
def test_of_right_or_wrong_a_difference_is_named_where_it_is_and_not_elsewhere(noise):
    random, studies = np.random.default_rng(10), 200
    wrong = sum(
        run_share_study(random, noise) not in (["no difference"], ["cannot tell yet"])
        for _ in range(studies)
    )
    found = sum(
        run_share_study(random, noise, effect=lambda size: size) == ["helps"]
        for _ in range(studies)
    )
    assert wrong / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)
    assert found / studies >= 0.8 - 2 * np.sqrt(0.8 * 0.2 / studies)


def explored_study(random, optimum, *, points=16, noise=0.02):
    """Exploration of one learning rate, its score a parabola in its logarithm that falls off a cliff."""
    span = Span(key="lr", low=1e-4, high=1e-1, log=True)
    question = Question(
        question="simulated", sources=("photos",), nuisance=(span,), metric="accuracy",
        arms=(Arm(name="only", settings=()),), points=points,
    )  # fmt: skip
    design = nuisance_points((span,), points=points, seed=int(random.integers(1000)))
    done = {}
    for point, settings in enumerate(design):
        away = np.log10(settings[0][1]) - optimum
        score = max(0.1, 0.9 - 0.08 * away**2) + random.normal(0, noise)
        job = Job(arm=0, point=point, repeat=0)
        done[job] = Trial(job=job, state="complete", score=score, seconds=0.1)
    announced = Announced(
        detectable=None, smallest=0.01, n=0, points=points, repeats=3, looks=(3,),
        trial_seconds=0.1, seconds=1.0,
    )  # fmt: skip
    seen = Seen(
        question=question,
        points=design,
        ended=done,
        scores=lambda job: np.zeros(0),
        announced=announced,
    )
    return answer(seen, (), finished=True)


@pytest.mark.parametrize("optimum", [-5.0, 0.0])
def test_a_range_that_cuts_the_optimum_off_is_named(optimum):
    random, named = np.random.default_rng(3), 0
    for _ in range(200):
        told = explored_study(random, optimum).findings
        named += any(one.code == "optimum-at-bound" for one in told)
    assert named / 200 >= 0.95


@pytest.mark.parametrize("optimum", [-3.2, -2.5, -1.8])
def test_a_range_that_holds_the_optimum_is_left_alone(optimum):
    random, named = np.random.default_rng(4), 0
    for _ in range(200):
        told = explored_study(random, optimum).findings
        named += any(one.code == "optimum-at-bound" for one in told)
    assert named / 200 <= 0.05


def test_the_remedy_widens_the_range_on_its_own_scale():
    told = explored_study(np.random.default_rng(0), 0.0).findings
    assert told[0].remedy == "Ask again with --nuisance lr=0.0001..3"


def test_a_study_too_coarse_to_tell_says_so():
    question = Question(
        question="coarse", sources=("photos",), metric="accuracy", repeats=2,
        arms=(Arm(name="a", settings=()), Arm(name="b", settings=())),
    )  # fmt: skip
    random = np.random.default_rng(0)
    drawn = {job: (random.random(12) < 0.5) * 1.0 for job in pilot_jobs(question)}
    done = {job: Trial(job=job, state="complete", score=0.5, seconds=1.0) for job in drawn}
    announced = announce(question, done, drawn.__getitem__)
    seen = Seen(
        question=question, points=((),), ended=done, scores=drawn.__getitem__, announced=announced
    )
    (told,) = look_at(seen, comparisons(question), 2)
    assert announced.detectable is None
    assert announced.smallest <= 0.1
    assert told.says == "cannot tell yet"
    assert -1 <= told.effect.low < told.effect.high <= 1


@pytest.mark.parametrize(("acts", "greatest"), [("lr", ("lr",)), ("eps", ("eps",))])
def test_a_grid_tells_which_of_its_settings_matters(acts, greatest, monkeypatch):
    monkeypatch.undo()
    pairs = [(lr, eps) for lr in (1.0, 2.0, 3.0) for eps in (0.1, 0.2)]
    question = Question(
        question="grid", sources=("photos",), metric="log_loss", repeats=3,
        arms=tuple(Arm(name=f"{pair}", settings=(("lr", pair[0]), ("eps", pair[1]))) for pair in pairs),
    )  # fmt: skip
    random, done = np.random.default_rng(0), {}
    for arm, pair in enumerate(pairs):
        for repeat in (1, 2, 3):
            score = pair[0 if acts == "lr" else 1] + random.normal(0, 0.01)
            job = Job(arm=arm, point=0, repeat=repeat)
            done[job] = Trial(job=job, state="complete", score=score, seconds=1.0)
    announced = Announced(
        detectable=None, smallest=0.01, n=9, points=1, repeats=3, looks=(3,), trial_seconds=1.0, seconds=1.0
    )  # fmt: skip
    seen = Seen(
        question=question, points=((),), ended=done, announced=announced,
        scores=lambda job: np.full(9, done[job].score),
    )  # fmt: skip
    told = answer(seen, (), finished=True).importance
    assert told[0].parameters == greatest
    assert told[0].share.value > 0.9
