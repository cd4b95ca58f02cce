"""The search for the best settings: what Optuna is asked, and how its best are tried again."""

import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial

from affinage.records.question import Nuisance, Question, Search, Settings, Span, Value
from affinage.records.study import Job
from affinage.studies.narrowing import lies_in
from affinage.studies.planning import Ended, Scores
from affinage.studies.scoring import METRICS

FULL = 9
"""Cost of a whole try; `asha` and `hyperband` begin at a ninth, then a third of it."""

FACTOR = 3
STARTUP = 5
"""Settings that must have been seen before the next is chosen by what was seen."""


EVERYWHERE = 2
"""One in so many tries looks in the whole space: exploration may have been unlucky where the best is."""


def space_of_try(
    number: int, narrow: tuple[Nuisance, ...], whole: tuple[Nuisance, ...]
) -> tuple[Nuisance, ...]:
    """Return where the try of a number, from 0, looks: in the narrowed space, or now and then anywhere."""
    return whole if number % EVERYWHERE == EVERYWHERE - 1 else narrow


def pruner_of(search: Search | None) -> BasePruner:
    """Return what ends a worse setting early.

    Source:
        Li et al., A System for Massively Parallel Hyperparameter Tuning (ASHA), 2020; Li et al.,
        Hyperband, 2018; the choice of settings by a model within it: Falkner et al., BOHB, 2018.
    """
    match search.method if search is not None else "":
        case "asha":
            return SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
        case "hyperband":
            return HyperbandPruner(min_resource=1, max_resource=FULL, reduction_factor=FACTOR)
        case _:
            return NopPruner()


def rungs_of(search: Search) -> tuple[int, ...]:
    """Return the costs at which a setting is tried, in ninths of the whole, the last the whole."""
    return (1, 3, FULL) if search.method in ("asha", "hyperband") else (FULL,)


def next_settings(
    search: Search,
    space: tuple[Nuisance, ...],
    distributions: Mapping[str, BaseDistribution],
    seen: Sequence[FrozenTrial],
    *,
    sign: int,
    seed: int,
) -> Settings:
    """Return the settings to try next, by all that was seen of this arm in this space.

    The same trials and seed give the same settings, in whatever process.

    Args:
        search: How to choose.
        space: Where.
        distributions: Optuna's word for the space.
        seen: Trials of exploration and search, those still running too.
        sign: 1 where more is better.
        seed: Of this choice.

    Source:
        Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011 (TPE); Snoek et al., Practical
        Bayesian Optimization of Machine Learning Algorithms, 2012 (Gaussian processes).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            sampler=_sampler(search, seed), direction="maximize" if sign > 0 else "minimize"
        )
        keys = [one.key for one in space]
        for trial in seen:
            settings = tuple((key, trial.params[key]) for key in keys)
            if lies_in(space, settings):
                study.add_trial(_bare(trial, keys, distributions))
        asked = study.ask(dict(distributions))
    return tuple((one.key, _rounded(one, asked.params[one.key])) for one in space)


def _sampler(search: Search, seed: int) -> BaseSampler:
    if search.method == "gp":
        return GPSampler(seed=seed, n_startup_trials=STARTUP)
    return TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, constant_liar=True)


def _bare(
    trial: FrozenTrial, keys: list[str], distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """Return a trial with the searched parameters alone."""
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params={key: trial.params[key] for key in keys},
        distributions={key: distributions[key] for key in keys},
        intermediate_values=trial.intermediate_values,
    )


def _rounded(one: Nuisance, value: Value) -> Value:
    if not isinstance(one, Span) or one.whole or value is None:
        return value
    return min(one.high, max(one.low, float(f"{value:.6g}")))


def searched_points(question: Question) -> range:
    """Return the indices of the settings that the search may try."""
    return range(
        question.points, question.points + (question.search.points if question.search else 0)
    )


def leading_arm(
    question: Question, ended: Ended, scores: Scores, best: Mapping[int, int]
) -> int | None:
    """Return the arm with the best score on fresh seeds; without any, that of the best exploration."""
    sign = METRICS[question.metric].sign
    ranked = []
    for arm, point in best.items():
        fresh = [
            float(scores(job).mean())
            for job, trial in sorted(ended.items())
            if job.arm == arm and job.repeat and job.point == point and trial.state == "complete"
        ]
        tried = ended.get(Job(arm=arm, point=point, repeat=0))
        alone = tried.score if tried is not None else None
        if fresh or alone is not None:
            score = sum(fresh) / len(fresh) if fresh else alone
            ranked.append((bool(fresh), sign * (score or 0.0), -arm))
    return -max(ranked)[2] if ranked else None


def finalists(question: Question, ended: Ended, arm: int) -> tuple[int, ...]:
    """Return the best settings of exploration and search of an arm, the best first."""
    sign, search = METRICS[question.metric].sign, question.search
    scored = [
        (-sign * trial.score, job.point)
        for job, trial in ended.items()
        if job.arm == arm and not job.repeat and trial.score is not None
    ]
    return tuple(point for _, point in sorted(scored)[: search.top if search else 0])


def choosing_seeds(repeats: int) -> range:
    """Return the fresh seeds that choose among finalists; the rest of them choose nothing."""
    return range(1, max(1, repeats // 2) + 1)


def winner(question: Question, ended: Ended, arm: int, points: Sequence[int]) -> int | None:
    """Return the finalist with the best mean on the seeds that choose; None where all failed."""
    sign, found = METRICS[question.metric].sign, []
    for place, point in enumerate(points):
        fresh = fresh_scores(ended, arm, point, choosing_seeds(question.repeats))
        if fresh:
            found.append((-sign * sum(fresh) / len(fresh), place, point))
    return min(found)[2] if found else None


def fresh_scores(ended: Ended, arm: int, point: int, seeds: range) -> list[float]:
    """Return the mean scores of a setting on some seeds, of the trials that are complete."""
    trials = [ended.get(Job(arm=arm, point=point, repeat=seed)) for seed in seeds]
    return [one.score for one in trials if one is not None and one.score is not None]


def final_jobs(question: Question, arm: int, points: Sequence[int]) -> tuple[Job, ...]:
    """Return the trials that choose among finalists."""
    seeds = choosing_seeds(question.repeats)
    return tuple(Job(arm=arm, point=point, repeat=seed) for seed in seeds for point in points)


def proving_jobs(question: Question, arm: int, points: Sequence[int]) -> tuple[Job, ...]:
    """Return the trials on seeds that chose nothing: of the winner, and of what it is compared with."""
    seeds = range(choosing_seeds(question.repeats).stop, question.repeats + 1)
    return tuple(Job(arm=arm, point=p, repeat=s) for s in seeds for p in dict.fromkeys(points))
