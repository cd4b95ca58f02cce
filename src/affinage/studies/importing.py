"""Past results of others as a study of ours: rows become trials of a question."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from affinage.errors import DataError
from affinage.records.question import Arm, Choice, Nuisance, Question, Settings, Span, Value
from affinage.records.study import Job, Trial, TrialState
from affinage.studies.asking import WIDE, word
from affinage.studies.scoring import METRICS

SEEDS = ("seed", "random_seed", "random_state", "repeat")
FEW_ROWS = 4
"""Of so few rows it cannot be told which column is a note."""

RESULTS = (
    "loss", "accuracy", "acc", "f1", "auc", "auroc", "mae", "mse", "rmse", "nll",
    "time", "seconds", "minutes", "hours", "runtime", "duration", "timestamp",
)  # fmt: skip
"""Last words of the names of columns that came out of a run: their numbers are no settings."""

LESS_IS_BETTER = ("loss", "error", "mae", "mse", "rmse", "nll")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrial:
    """One row of past results.

    Attributes:
        params: Settings by name.
        score: What came of it; None where it failed or was stopped.
        state: How it ended.
        seconds: How long it took; 0 where not known.
        error: Why it failed, where known.
    """

    params: Mapping[str, Value]
    score: float | None
    state: TrialState = "complete"
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Past results as a question with its trials."""

    question: Question
    points: tuple[Settings, ...]
    trials: tuple[Trial, ...]


def imported(
    rows: Sequence[PastTrial],
    *,
    source: str,
    vary: Sequence[str],
    sign: int,
    words: Mapping[str, str],
    smallest: float | None,
) -> Imported:
    """Return past results as a question with its trials.

    Columns that are varied make arms; a column of seeds tells repeats; all others that differ are tuned
    settings. Where settings were tuned, the first run of each is its exploration and further ones are
    fresh seeds, so that the run that chose a setting does not also judge it.

    Args:
        rows: Past results, in the order in which they were run.
        source: The file, for the record.
        vary: Columns that the question is about; the first value of each is the reference.
        sign: 1 where more is better, -1 where less is.
        words: `question`, `why` and `expectation`, where given.
        smallest: Smallest difference that matters.

    Raises:
        DataError: If there is nothing to judge, or a column that is varied is not there.
    """
    if not rows or all(row.score is None for row in rows):
        raise DataError(
            f"'{source}' holds no result with a score.", remedy="Name the column with --metric."
        )
    columns = list(dict.fromkeys(key for row in rows for key in row.params))
    missing = [key for key in vary if key not in columns]
    if missing:
        raise DataError(
            f"'{source}' has no column {', '.join(missing)} (its columns: {', '.join(columns)}).",
            remedy="Name columns that it has with --vary.",
        )
    seed = next((key for key in columns if key.lower() in SEEDS and key not in vary), None)
    free = [key for key in columns if key not in (*vary, seed) and _differs(key, rows)]
    arms = _arms(rows, vary)
    nuisance = tuple(one for one in (_nuisance(key, rows) for key in free) if one is not None)
    kept = [one.key for one in nuisance]
    points = tuple(dict.fromkeys(_settings(row, kept) for row in rows))
    trials = _trials(rows, arms, vary, points, kept, seed)
    share = all(row.score is None or 0 <= row.score <= 1 for row in rows)
    metric = "loss" if sign < 0 else "share" if share else "score"
    most = max(1, *(trial.job.repeat for trial in trials))
    question = Question(
        question=words.get("question") or _in_words(vary, arms, source),
        why=words.get("why", ""),
        expectation=words.get("expectation", ""),
        sources=(source,),
        arms=arms,
        nuisance=nuisance,
        metric=metric,
        smallest=smallest,
        points=len(points),
        repeats=most,
        fixed=tuple(
            f"{key}={word(rows[0].params[key])}"
            for key in columns
            if key not in (*vary, seed) and not _differs(key, rows) and key in rows[0].params
        ),
    )
    assert metric in METRICS
    return Imported(question=question, points=points, trials=trials)


def settings_alone(
    rows: Sequence[PastTrial], *, vary: Sequence[str], tuned: Sequence[str]
) -> tuple[list[PastTrial], list[str]]:
    """Return rows with what was varied, tuned or fixed alone, and the names of columns left out.

    Left out are numbers that came of a run, such as other scores and times, and text that is another for more
    than half of the rows or for each seed, such as names and notes: as settings they would make every run
    the only one of its kind. Where `tuned` names columns, only these count as tuned.

    Raises:
        DataError: If a column that is said to be tuned is not there.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row.params))
    missing = [key for key in tuned if key not in columns]
    if missing:
        raise DataError(
            f"There is no column {', '.join(missing)} (columns: {', '.join(columns)}).",
            remedy="Name columns that there are with --nuisance.",
        )
    seed = next((key for key in columns if key.lower() in SEEDS and key not in vary), None)
    known = {*vary, *tuned, *(key for key in columns if key.lower() in SEEDS)}
    left = [
        key
        for key in columns
        if key not in known
        and _differs(key, rows)
        and (tuned or _came_out(key, rows) or _own_text(key, rows, seed))
    ]
    kept = [
        replace(row, params={key: row.params[key] for key in row.params if key not in left})
        for row in rows
    ]
    return kept, left


def _came_out(key: str, rows: Sequence[PastTrial]) -> bool:
    """Return whether a column holds numbers under the name of a result."""
    last = re.split(r"[^a-z0-9]+", key.lower())[-1]
    values = [row.params.get(key) for row in rows]
    return last in RESULTS and all(v is None or isinstance(v, (int, float)) for v in values)


def _own_text(key: str, rows: Sequence[PastTrial], seed: str | None) -> bool:
    """Return whether a column is text that is another for more than half of the rows, or for each seed."""
    values = [row.params.get(key) for row in rows]
    if len(rows) <= FEW_ROWS or not any(isinstance(value, str) for value in values):
        return False
    pairs = {(row.params.get(key), row.params.get(seed)) for row in rows} if seed else set()
    each = len({one for one, _ in pairs}) == len({two for _, two in pairs}) == len(pairs) > 1
    return each or 2 * len(set(values)) > len(rows)


def direction_of(column: str) -> int:
    """Return 1 where more of a score of this name is better, -1 where less is."""
    name = column.lower()
    return -1 if any(one in name for one in LESS_IS_BETTER) else 1


def _differs(key: str, rows: Sequence[PastTrial]) -> bool:
    return len({row.params.get(key) for row in rows}) > 1


def _arms(rows: Sequence[PastTrial], vary: Sequence[str]) -> tuple[Arm, ...]:
    if not vary:
        return (Arm(name="tuned", settings=()),)
    found = dict.fromkeys(tuple((key, row.params.get(key)) for key in vary) for row in rows)
    return tuple(Arm(name=", ".join(word(v) for _, v in one), settings=one) for one in found)


def _nuisance(key: str, rows: Sequence[PastTrial]) -> Nuisance | None:
    """Return where a column was tuned: the range that its numbers span, or its values."""
    values = [row.params.get(key) for row in rows]
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) < len(values) or not all(math.isfinite(v) for v in numbers):
        return Choice(key=key, values=tuple(dict.fromkeys(values)))
    low, high = min(numbers), max(numbers)
    whole = all(isinstance(value, int) for value in values)
    return Span(key=key, low=low, high=high, log=low > 0 and high / low >= WIDE, whole=whole)


def _settings(row: PastTrial, kept: Sequence[str]) -> Settings:
    return tuple((key, row.params.get(key)) for key in kept)


def _trials(
    rows: Sequence[PastTrial],
    arms: Sequence[Arm],
    vary: Sequence[str],
    points: Sequence[Settings],
    kept: Sequence[str],
    seed: str | None,
) -> tuple[Trial, ...]:
    """Return a trial for each row; the same seed is the same repeat in every arm."""
    place = {arm.settings: index for index, arm in enumerate(arms)}
    where = {settings: index for index, settings in enumerate(points)}
    seeds: dict[Value, int] = {}
    if seed is not None:
        for row in rows:
            seeds.setdefault(row.params.get(seed), len(seeds))
    counted: dict[tuple[int, int], int] = {}
    trials = []
    for row in rows:
        arm = place[tuple((key, row.params.get(key)) for key in vary)] if vary else 0
        point = where[_settings(row, kept)]
        run = counted.get((arm, point), 0)
        counted[arm, point] = run + 1
        repeat = seeds[row.params.get(seed)] if seed is not None else run
        job = Job(arm=arm, point=point, repeat=repeat if kept else repeat + 1)
        good = row.score is not None and math.isfinite(row.score)
        state: TrialState = row.state if good or row.state != "complete" else "failed"
        trials.append(
            Trial(
                job=job,
                state=state,
                score=row.score if state == "complete" else None,
                seconds=row.seconds,
                error=row.error or ("" if good else "It has no score."),
            )
        )
    return tuple({trial.job: trial for trial in trials}.values())


def _in_words(vary: Sequence[str], arms: Sequence[Arm], source: str) -> str:
    if not vary:
        return f"What was best in {source}?"
    others = ", ".join(arm.name for arm in arms[1:4])
    return f"{', '.join(vary)}: does {others} help against {arms[0].name} in {source}?"
