"""Which trials a study wants next; a pure function of what has ended, so that every worker agrees."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.looks import level_at, planned_looks
from affinage.metrics.paired import Crossed, crossed, detectable
from affinage.records.question import Question
from affinage.records.study import Announced, Job, Stage, Trial
from affinage.studies.design import tuned_for
from affinage.studies.scoring import METRICS

PILOT_REPEATS = 3
TOO_SURE = 3.0
"""If none of n images differs, as many as 3 of n may in truth: the rule of three."""

ALWAYS_MATTERS = 0.1
"""A share that differs by ten points matters, however coarse the study that asks."""

TUNED = 0.65
"""Spread of what the luck of tuning makes of a difference, in parts of a trial's own noise: simulated."""

Ended = Mapping[Job, Trial]
Scores = Callable[[Job], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run now; nothing where the stage waits for nobody.

    Attributes:
        stage: Where the study is.
        jobs: All trials of this stage, ended ones too.
        look: In confirmation, after how many repeats these trials are looked at.
    """

    stage: Stage
    jobs: tuple[Job, ...]
    look: int = 0


def comparisons(question: Question) -> tuple[tuple[int, int], ...]:
    """Return (arm, arm it is compared with) of every comparison."""
    step = question.design == "add-one"
    return tuple((arm, arm - 1 if step else 0) for arm in range(1, len(question.arms)))


def pilot_jobs(question: Question) -> tuple[Job, ...]:
    """Return the pilot: two or three arms, at the first nuisance setting, on three seeds."""
    arms = sorted({0, min(1, len(question.arms) - 1), len(question.arms) - 1})
    repeats = min(PILOT_REPEATS, question.repeats)
    return tuple(Job(arm=arm, point=0, repeat=r) for r in range(1, repeats + 1) for arm in arms)


def explore_jobs(question: Question, announced: Announced) -> tuple[Job, ...]:
    """Return exploration: every arm at every nuisance setting, on one seed; none without nuisance.

    An arm for which nothing that is tuned changes anything is tried once.
    """
    if not question.nuisance:
        return ()
    tried = _explored(question, announced.points)
    return tuple(
        Job(arm=arm, point=point, repeat=0)
        for point in range(announced.points)
        for arm, most in enumerate(tried)
        if point < most
    )


def _explored(question: Question, points: int) -> list[int]:
    """Return at how many settings each arm is explored: at one where none of them acts."""
    return [points if tuned_for(question, arm) else 1 for arm in range(len(question.arms))]


def best_points(question: Question, ended: Ended) -> dict[int, int]:
    """Return the nuisance setting of each arm that did best in exploration; 0 without nuisance.

    An arm whose settings all failed is left out.
    """
    if not question.nuisance:
        return dict.fromkeys(range(len(question.arms)), 0)
    best: dict[int, tuple[float, int]] = {}
    for job, trial in sorted(ended.items()):
        if job.repeat or trial.score is None or job.point >= question.points:
            continue
        gain = METRICS[question.metric].sign * trial.score
        if job.arm not in best or gain > best[job.arm][0]:
            best[job.arm] = (gain, job.point)
    return {arm: point for arm, (_, point) in best.items()}


def best_run(trials: Iterable[Trial], *, sign: int) -> str:
    """Return the run of the trial that scored best; empty where none has a run."""
    scored = [(sign * t.score, t.run) for t in trials if t.run and t.score is not None]
    return max(scored, key=lambda one: one[0])[1] if scored else ""


def differences(
    question: Question, ended: Ended, scores: Scores, pair: tuple[int, int], look: int
) -> NDArray[np.float64] | None:
    """Return gains of one arm over another on fresh seeds, shape (repeats, images); None for none."""
    best = best_points(question, ended)
    if not set(pair) <= set(best):
        return None
    rows = []
    for repeat in range(1, look + 1):
        jobs = [Job(arm=arm, point=best[arm], repeat=repeat) for arm in pair]
        if all(job in ended and ended[job].state == "complete" for job in jobs):
            rows.append(scores(jobs[0]) - scores(jobs[1]))
    return METRICS[question.metric].sign * np.array(rows) if rows else None


def announce(question: Question, ended: Ended, scores: Scores) -> Announced:
    """Return what can be detected and what it will cost, from the pilot alone."""
    pilot = pilot_jobs(question)
    done = [job for job in pilot if job in ended and ended[job].state == "complete"]
    n = len(scores(done[0])) if done else 0
    seconds = float(np.mean([ended[job].seconds for job in pilot])) if pilot else 0.0
    spent = sum(trial.seconds for trial in ended.values())
    points, repeats = affordable(question, seconds, spent)
    looks = planned_looks(repeats)
    level = level_at(repeats, looks, comparisons=len(question.arms) - 1)
    tuned = points > 1 and any(tuned_for(question, arm) for arm in range(len(question.arms)))
    sizes = [
        detectable(one, repeats=repeats, level=level, spread=TUNED * one.trial_noise * tuned)
        for one in _piloted(question, ended, scores)
        if one.repeats > 1
    ]
    metric = METRICS[question.metric]
    least = TOO_SURE * metric.unit / n if n else 0.0
    found = max(least, *sizes) if sizes else None
    if metric.share and found is not None and found >= 1:
        found = None  # No share differs by more than all.
    own = least if found is None else found
    smallest = min(own or ALWAYS_MATTERS, ALWAYS_MATTERS) if metric.share else own
    explored = sum(_explored(question, points)) if question.nuisance else 0
    return Announced(
        detectable=found,
        smallest=question.smallest if question.smallest is not None else smallest,
        n=n,
        points=points,
        repeats=repeats,
        looks=looks,
        trial_seconds=seconds,
        seconds=spent + seconds * (explored + len(question.arms) * repeats),
    )


def _piloted(question: Question, ended: Ended, scores: Scores) -> list[Crossed]:
    """Return the mean squares of the pilot's differences between neighbouring arms of it."""
    jobs = [job for job in pilot_jobs(question) if job in ended]
    arms = sorted({job.arm for job in jobs})
    unit, found = METRICS[question.metric].unit, []
    for arm in arms[1:]:
        rows = []
        for repeat in sorted({job.repeat for job in jobs}):
            pair = [Job(arm=one, point=0, repeat=repeat) for one in (arm, arms[0])]
            if all(job in ended and ended[job].state == "complete" for job in pair):
                rows.append(scores(pair[0]) - scores(pair[1]))
        if rows:
            found.append(crossed(np.array(rows), unit=unit))
    return found


def affordable(question: Question, seconds: float, spent: float) -> tuple[int, int]:
    """Return nuisance settings and repeats for each arm that the rest of the budget pays for.

    Repeats have up to half of it, so that luck can be told from skill; the settings have the rest.
    """
    points, repeats = (question.points if question.nuisance else 1), question.repeats
    if question.budget is None or seconds <= 0:
        return points, repeats
    rounds = max(0.0, question.budget - spent) / (seconds * len(question.arms))
    share = 0.5 if question.nuisance else 1.0
    least = min(2, repeats)
    repeats = max(least, min(repeats, int(rounds * share)))
    return max(1, min(points, int(rounds - repeats))), repeats


def confirm_jobs(
    question: Question, ended: Ended, look: int, open_pairs: tuple[tuple[int, int], ...]
) -> tuple[Job, ...]:
    """Return the trials that a look needs: fresh seeds for the arms of comparisons still open."""
    best = best_points(question, ended)
    arms = sorted({arm for pair in open_pairs if set(pair) <= set(best) for arm in pair})
    return tuple(
        Job(arm=arm, point=best[arm], repeat=repeat)
        for repeat in range(1, look + 1)
        for arm in arms
    )
