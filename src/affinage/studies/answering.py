"""All that has ended becomes an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from affinage.records.answer import Answer, ArmResult, Difference, Exploited, Importance
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.question import Choice, Question, Settings, Span
from affinage.records.study import Announced, Job
from affinage.studies.asking import told_settings
from affinage.studies.bounds import crowded_bound, widened
from affinage.studies.curves import curves_of
from affinage.studies.design import acting, place_of, tuned_for
from affinage.studies.importance import importances, in_bins
from affinage.studies.judging import amount, judge, scored
from affinage.studies.planning import Ended, Scores, best_points, differences
from affinage.studies.scoring import METRICS, Metric, mean_score
from affinage.studies.wording import as_flags, next_question, short, verdict_of

FEASIBLE = 0.5
"""Share of an arm's nuisance settings that must not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A study as far as it has come.

    Attributes:
        question: What was asked.
        points: Nuisance settings of the design.
        ended: Every trial that has ended.
        scores: A trial's score of each image.
        announced: What was said after the pilot.
        labels: Class of each scored image by name, in the order of ids; empty where not known.
    """

    question: Question
    points: tuple[Settings, ...]
    ended: Ended
    scores: Scores
    announced: Announced
    labels: tuple[str, ...] = ()


def answer(seen: Seen, decided: Sequence[Difference], *, finished: bool) -> Answer:
    """Return the answer that these comparisons give.

    Args:
        seen: The study.
        decided: One for each comparison that was looked at.
        finished: Whether every comparison has been answered, or its last look taken.
    """
    arms = tuple(_arm(seen, arm) for arm in range(len(seen.question.arms)))
    importance = _importance(seen)
    carried_on = curves_of(
        seen.question, [np.array(_confirmed(seen, arm)) for arm in range(len(arms))], seen.labels
    )
    findings = (*_bounds(seen), *_infeasible(seen))
    failed = sum(trial.state == "failed" for trial in seen.ended.values())
    return Answer(
        verdict=verdict_of(
            seen.question, seen.announced, decided, arms, importance, finished=finished
        ),
        finished=finished,
        arms=arms,
        differences=tuple(decided),
        importance=importance,
        findings=findings,
        trials=sum(trial.state == "complete" for trial in seen.ended.values()),
        failed=failed,
        seconds=sum(trial.seconds for trial in seen.ended.values()),
        next_question=next_question(
            seen.question, seen.announced, decided, arms, findings, carried_on
        ),
        extrapolated=carried_on,
    )


def best_explored(seen: Seen) -> str:
    """Return in words what scored best in exploration, and how many trials failed."""
    metric = METRICS[seen.question.metric]
    known = [
        (metric.sign * trial.score, job)
        for job, trial in sorted(seen.ended.items())
        if trial.score is not None and _is_explored(seen, job)
    ]
    failed = sum(trial.state == "failed" for trial in seen.ended.values())
    lost = f"; {failed} trial{'s' if failed > 1 else ''} failed" if failed else ""
    if not known:
        return f"nothing was scored{lost}"
    gain, job = max(known, key=lambda one: one[0])
    arm = seen.question.arms[job.arm]
    named = f"'{short(arm.name)}'" if len(seen.question.arms) > 1 else ""
    settings = told_settings(acting(arm, seen.points[job.point]))
    score = Estimate(value=metric.sign * gain, low=None, high=None, n=1)
    found = ", ".join(part for part in (named, settings) if part)
    return f"best {found}: {metric.name} {scored(score, metric)} on one seed{lost}"


def searched_answer(seen: Seen, said: Answer, found: Exploited) -> Answer:
    """Return an answer with what a search has added to it."""
    metric = METRICS[seen.question.metric]
    settings = told_settings(found.settings)
    one = found.confirmed
    seeds = f"{found.seeds} seed{'s' if found.seeds != 1 else ''} that chose nothing"
    score = f"{scored(one, metric)} on {seeds}, n = {one.n:,}" if one.n else "not scored anew"
    best = f"Best of {found.tried} searched: {settings}: {score}{_lucky(found.luck, metric)}."
    alone = len(seen.question.arms) == 1
    flags = as_flags(seen.question, found.settings)
    final = f"Train with the best, and look at the test part once: affinage train SOURCE {flags}"
    failed = sum(trial.state == "failed" for trial in seen.ended.values())
    return replace(
        said,
        verdict=best if alone else f"{said.verdict} {best}",
        exploited=found,
        trials=sum(trial.state == "complete" for trial in seen.ended.values()),
        failed=failed,
        seconds=sum(trial.seconds for trial in seen.ended.values()),
        next_question=final,
    )


def unsearched_answer(question: Question, said: Answer, arm: int) -> Answer:
    """Return the answer where nothing that was to be searched changes anything for the arm that leads."""
    name = question.arms[arm].name
    told = f"Nothing was searched: no tuned setting changes anything for '{name}', which leads."
    return replace(said, verdict=f"{said.verdict} {told}", finished=True)


def _lucky(luck: float | None, metric: Metric) -> str:
    """Return what of a best score was luck, in words; nothing where none was."""
    if luck is None or luck <= 0:
        return ""
    return f"; {amount(luck, metric)} less than when it was found, which was luck"


def look_at(seen: Seen, pairs: Sequence[tuple[int, int]], look: int) -> list[Difference]:
    """Return the verdicts on some comparisons at one look."""
    return [
        judge(
            differences(seen.question, seen.ended, seen.scores, pair, look),
            seen.question,
            seen.announced,
            pair,
            look=look,
            ran=all(_came_to_an_end(seen, arm) for arm in pair),
            explored=[
                explored(seen, arm)[1]
                for arm in pair
                if seen.question.nuisance and tuned_for(seen.question, arm)
            ],
        )
        for pair in pairs
    ]


def _came_to_an_end(seen: Seen, arm: int) -> bool:
    return any(job.arm == arm and trial.state == "complete" for job, trial in seen.ended.items())


def _arm(seen: Seen, arm: int) -> ArmResult:
    best = best_points(seen.question, seen.ended).get(arm)
    own = {job: trial for job, trial in seen.ended.items() if job.arm == arm}
    good = _confirmed(seen, arm)
    explored = own.get(Job(arm=arm, point=best, repeat=0)) if best is not None else None
    confirmed = mean_score(good, METRICS[seen.question.metric])
    means = [float(one.mean()) for one in good]
    seconds = [trial.seconds for trial in own.values() if trial.state == "complete"]
    return ArmResult(
        name=seen.question.arms[arm].name,
        best=acting(seen.question.arms[arm], seen.points[best]) if best is not None else (),
        explored=explored.score if explored is not None else None,
        confirmed=confirmed,
        spread=float(np.std(means, ddof=1)) if len(means) > 1 else None,
        seeds=len(good),
        tried=sum(_is_explored(seen, job) for job in own),
        failed=sum(trial.state == "failed" for trial in own.values()),
        seconds=float(np.mean(seconds)) if seconds else 0.0,
    )


def explored(seen: Seen, arm: int) -> tuple[list[int], NDArray[np.float64]]:
    """Return the nuisance settings that an arm was explored at, and their gains; NaN where failed."""
    jobs = sorted(job for job in seen.ended if job.arm == arm and _is_explored(seen, job))
    sign = METRICS[seen.question.metric].sign
    scores = [seen.ended[job].score for job in jobs]
    gains = [np.nan if score is None else sign * score for score in scores]
    return [job.point for job in jobs], np.array(gains, dtype=np.float64)


def _is_explored(seen: Seen, job: Job) -> bool:
    """Return whether a trial is of exploration; those of a search crowd where it was good."""
    return job.repeat == 0 and (not seen.question.nuisance or job.point < seen.question.points)


def _confirmed(seen: Seen, arm: int) -> list[NDArray[np.float64]]:
    """Return an arm's score of each image on each fresh seed, at the setting that is confirmed."""
    best = best_points(seen.question, seen.ended).get(arm)
    return [
        seen.scores(job)
        for job, trial in sorted(seen.ended.items())
        if job.arm == arm and job.repeat and job.point == best and trial.state == "complete"
    ]


def _bounds(seen: Seen) -> list[Finding]:
    """Return a finding for each range whose bound cuts the optimum of some arm off."""
    found = []
    for place, one in enumerate(seen.question.nuisance):
        if isinstance(one, Choice):
            continue
        crowded: dict[str, list[str]] = {}
        for arm, named in enumerate(seen.question.arms):
            if one.key in dict(named.idle):
                continue
            points, gains = explored(seen, arm)
            places = [place_of(one, _number(seen.points[point][place][1])) for point in points]
            side = crowded_bound(places, gains) if points else None
            if side is not None:
                crowded.setdefault(side, []).append(named.name)
        found += [_crowded(one, side, arms) for side, arms in sorted(crowded.items())]
    return found


def _crowded(span: Span, side: str, arms: list[str]) -> Finding:
    at, wide = (span.low if side == "low" else span.high), widened(span, side)  # type: ignore[arg-type]
    who = ", ".join(f"'{arm}'" for arm in arms)
    return Finding(
        code="optimum-at-bound",
        severity="warning",
        subject=f"{span.key}: the scores of {who} still rise at the {side} end of the range, {at:g}: the "
        "best value probably lies beyond it.",
        evidence=(f"Tried from {span.low:g} to {span.high:g}.",),
        remedy=f"Ask again with --nuisance {span.key}={wide.low:g}..{wide.high:g}",
    )


def _infeasible(seen: Seen) -> list[Finding]:
    found = []
    for arm, named in enumerate(seen.question.arms):
        _, gains = explored(seen, arm)
        failed = int(np.isnan(gains).sum())
        if not len(gains) or failed <= (1 - FEASIBLE) * len(gains):
            continue
        errors = {
            trial.error
            for job, trial in seen.ended.items()
            if job.arm == arm and trial.state == "failed"
        }
        found.append(
            Finding(
                code="few-feasible-settings",
                severity="warning",
                subject=f"{failed} of the {len(gains)} settings tried for '{named.name}' failed: it was tuned"
                " with fewer than the others.",
                evidence=tuple(sorted(errors)[:5]),
                remedy="Narrow the ranges to where trials do not fail, and ask again.",
            )
        )
    return found


def _importance(seen: Seen) -> tuple[Importance, ...]:
    """Return what the spread of exploration goes with; of a grid without exploration, that of its trials."""
    question = seen.question
    if not question.nuisance:
        return _importance_in_grid(seen)
    jobs = sorted(
        job
        for job, trial in seen.ended.items()
        if _is_explored(seen, job)
        and trial.score is not None
        and not question.arms[job.arm].idle  # Such settings cannot have moved its score.
    )
    if not jobs:
        return ()
    scores = np.array([seen.ended[job].score for job in jobs], dtype=np.float64)
    groups = {}
    if len({job.arm for job in jobs}) > 1:
        groups["arm"] = np.array([job.arm for job in jobs])
    for place, one in enumerate(question.nuisance):
        values = [seen.points[job.point][place][1] for job in jobs]
        if isinstance(one, Span):
            groups[one.key] = in_bins(np.array([place_of(one, _number(value)) for value in values]))
        else:
            groups[one.key] = np.array([one.values.index(value) for value in values])
    return importances(groups, scores, seed=question.seed)


def _importance_in_grid(seen: Seen) -> tuple[Importance, ...]:
    """Return what the spread of scores goes with where arms are all pairs of several settings' values."""
    arms = seen.question.arms
    keys = {tuple(key for key, _ in arm.settings) for arm in arms}
    if len(keys) != 1 or len(names := next(iter(keys))) < 2:
        return ()
    ended = [(job, trial.score) for job, trial in sorted(seen.ended.items())]
    scored = [(job, score) for job, score in ended if score is not None]
    groups = {}
    for place, name in enumerate(names):
        values = [arms[job.arm].settings[place][1] for job, _ in scored]
        known = list(dict.fromkeys(values))
        groups[name] = np.array([known.index(value) for value in values])
    scores = np.array([score for _, score in scored], dtype=np.float64)
    return importances(groups, scores, seed=seen.question.seed)


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]
