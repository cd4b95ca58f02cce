"""Whole studies on simulated scores where both arms are tuned: the luck of tuning is no difference."""

import numpy as np
import pytest

from affinage.records.question import Arm, Question, Span
from affinage.records.study import Trial
from affinage.studies.answering import Seen, look_at
from affinage.studies.design import nuisance_points
from affinage.studies.planning import (
    announce,
    comparisons,
    confirm_jobs,
    explore_jobs,
    pilot_jobs,
)
from affinage.studies.tuning_luck import tuning_variance
from studies.test_simulated_studies import NOISES

CURVES = (0.003, 0.01, 0.03, 0.1)
"""What a decade away from the best learning rate costs, squared."""


@pytest.fixture(autouse=True)
def without_what_is_not_judged_here(monkeypatch):
    """The bootstrap stands beside a verdict and does not enter it."""
    monkeypatch.setattr("affinage.studies.judging.paired_bootstrap", lambda table, seed: None)


def run_tuned_study(random, noise, curve, *, size=0.0, points=16):
    """Run a study of two arms, each tuned by exploration; return its verdict.

    Both are equally good at their own best learning rates, but for `size` times the announced difference.
    """
    image, seed, rest, n, repeats = noise
    span = Span(key="lr", low=1e-4, high=1e-1, log=True)
    question = Question(
        question="simulated", sources=("photos",), metric="log_loss", repeats=repeats,
        nuisance=(span,), points=points,
        arms=tuple(Arm(name=f"arm {i}", settings=(("seed", i),)) for i in range(2)),
    )  # fmt: skip
    design = nuisance_points((span,), points=points, seed=int(random.integers(1000)))
    own, optimum = random.normal(0, image, (2, n)), random.uniform(-3.5, -1.5, 2)
    shift, drawn = [0.0], {}

    def scores(job):
        if job not in drawn:
            away = np.log10(design[job.point][0][1]) - optimum[job.arm]
            level = random.normal(0, seed) + curve * away**2
            drawn[job] = own[job.arm] + level + random.normal(0, rest, n)
        return drawn[job] - (shift[0] if job.arm else 0.0)  # Of a loss, less is better.

    def ended(jobs):
        return {
            job: Trial(job=job, state="complete", score=float(scores(job).mean()), seconds=0.1)
            for job in jobs
        }

    announced = announce(question, ended(pilot_jobs(question)), scores)
    shift[0] = size * announced.detectable
    done = ended([*pilot_jobs(question), *explore_jobs(question, announced)])
    for look in announced.looks:
        done |= ended(confirm_jobs(question, done, look, comparisons(question)))
        seen = Seen(
            question=question, points=design, ended=done, scores=scores, announced=announced
        )
        (told,) = look_at(seen, comparisons(question), look)
        if told.says != "cannot tell yet":
            break
    return told.says


@pytest.mark.parametrize("curve", CURVES)
def test_the_luck_of_tuning_is_taken_for_a_difference_in_at_most_one_study_of_twenty(curve):
    random, studies = np.random.default_rng(5), 300
    wrong = sum(
        run_tuned_study(random, NOISES["all rest"], curve) in ("helps", "hurts")
        for _ in range(studies)
    )
    assert wrong / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_between_tuned_arms_the_announced_difference_is_found_in_four_of_five(noise):
    random, studies = np.random.default_rng(6), 120
    found = sum(run_tuned_study(random, noise, 0.03, size=1.0) == "helps" for _ in range(studies))
    assert found / studies >= 0.8 - 2 * np.sqrt(0.8 * 0.2 / studies)


@pytest.mark.parametrize("gains", [[], [1.0], [1.0, 1.0, 1.0], [1.0, np.nan]])
def test_where_nothing_could_be_chosen_there_is_no_luck(gains):
    assert tuning_variance(gains, noise=0.1) == 0


def test_luck_is_greatest_where_the_noise_is_as_large_as_what_there_is_to_choose():
    gains = -(np.linspace(-1, 1, 16) ** 2)
    sure, some = (tuning_variance(gains, noise=noise) for noise in (1e-6, 0.2))
    assert sure == pytest.approx(0, abs=1e-12)
    assert some > 0
    assert tuning_variance(gains, noise=10.0) == 0  # All of the spread may be noise.
