"""The verb `study import`: past results, from a table or from Optuna's storage, are judged as ours are."""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import polars as pl
from numpy.typing import NDArray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from affinage.errors import DataError
from affinage.records.answer import Answer, Difference
from affinage.records.study import Announced, Job, StudyRecord
from affinage.records.study import TrialState as State
from affinage.store.study_folder import StudyFolder
from affinage.store.trial_queue import TrialQueue
from affinage.studies.answering import Seen, answer, look_at
from affinage.studies.importing import Imported, PastTrial, direction_of, imported, settings_alone
from affinage.studies.planning import comparisons
from affinage.studies.scoring import METRICS
from affinage.workflows.moment import now
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.study import new_folder
from affinage.workflows.study_record import Study, write_page

TIMES = ("seconds", "duration", "time_s")
SCORES = ("score", "accuracy", "val_accuracy", "value", "loss", "val_loss", "mae", "f1")
NOT_SETTINGS = ("number", "state", "error", "datetime_start", "datetime_complete", "trial_id")
SQLITE = b"SQLite format 3\x00"


def study_import(
    source: str | Path,
    *,
    vary: Sequence[str] = (),
    nuisance: Sequence[str] = (),
    metric: str | None = None,
    smallest: float | None = None,
    question: str | None = None,
    why: str | None = None,
    expectation: str | None = None,
    output: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Study:
    """Judge past results as a study of ours.

    Args:
        source: A CSV with a row for each run, or an Optuna storage: its journal or its SQLite file.
        vary: Columns, or parameters, that the question is about.
        nuisance: Columns that were tuned; by default all that differ, but for other scores, times, and
            text that is another for nearly every run.
        metric: Column of the scores of a CSV; the first of the usual names by default.
        smallest: Smallest difference that matters.
        question: In words.
        why: Why it was asked.
        expectation: What was expected.
        output: The study's folder; `affinage-studies/NAME-1`, … by default.
        reporter: Told of progress.

    Raises:
        AffinageError: If the file cannot be read, or there is nothing in it to judge.
    """
    told, path = reporter or Lines(), Path(source)
    if not path.is_file():
        raise DataError(f"There is no file '{path}'.", remedy="Give a CSV or an Optuna storage.")
    names, tuned = ([one.partition("=")[0] for one in given] for given in (vary, nuisance))
    rows, sign = _read(path, metric)
    rows, left_out = settings_alone(rows, vary=names, tuned=tuned)
    if left_out:
        told.say(f"not settings, so left out: {', '.join(left_out)}")
    given = {"question": question, "why": why, "expectation": expectation}
    found = imported(
        rows, source=path.name, vary=names, sign=sign, smallest=smallest,
        words={key: value for key, value in given.items() if value},
    )  # fmt: skip
    folder = StudyFolder(Path(output) if output is not None else new_folder(path.stem))
    folder.begin(found.question, now())
    _enter(folder, found, told)
    return Study(folder.path)


def _read(path: Path, metric: str | None) -> tuple[list[PastTrial], int]:
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(SQLITE):
        return _optuna(path, lambda copy: f"sqlite:///{copy}")
    if head.lstrip().startswith(b'{"op_code"'):
        return _optuna(path, lambda copy: JournalStorage(JournalFileBackend(str(copy))))
    return _table(path, metric)


def _optuna(path: Path, opened: Callable[[Path], Any]) -> tuple[list[PastTrial], int]:
    """Return the trials of a copy of the storage: the user's own file is only read."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        try:
            storage = opened(copy)
            names = optuna.get_all_study_names(storage)
            if len(names) != 1:
                raise DataError(
                    f"'{path}' holds {len(names)} studies: {', '.join(names)}.",
                    remedy="Copy one of them to a storage of its own: optuna.copy_study.",
                )
            loaded = optuna.load_study(study_name=names[0], storage=storage)
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 - a foreign file may break Optuna in any way.
            raise DataError(
                f"'{path}' cannot be read as an Optuna storage: {' '.join(str(error).split())[:200]}",
                remedy="Export it to CSV: study.trials_dataframe().to_csv(...)",
            ) from None
        if len(loaded.directions) > 1:
            raise DataError(
                f"'{path}' has {len(loaded.directions)} objectives.",
                remedy="Export one of them to CSV, and import that.",
            )
        sign = 1 if loaded.direction == optuna.study.StudyDirection.MAXIMIZE else -1
        return [_past(trial) for trial in loaded.get_trials(deepcopy=False)], sign


def _past(trial: optuna.trial.FrozenTrial) -> PastTrial:
    states: dict[TrialState, State] = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
    taken = trial.duration
    return PastTrial(
        params=dict(trial.params),
        score=trial.value if trial.state == TrialState.COMPLETE else None,
        state=states.get(trial.state, "failed"),
        seconds=taken.total_seconds() if taken is not None else 0.0,
        error="" if trial.state in states else f"Optuna: {trial.state.name.lower()}",
    )


def _table(path: Path, metric: str | None) -> tuple[list[PastTrial], int]:
    table = _csv(path)
    columns = {name.lower(): name for name in table.columns}
    score = metric if metric is not None else next((columns[n] for n in SCORES if n in columns), "")
    if score not in table.columns or not table[score].dtype.is_numeric():
        raise DataError(
            f"'{path}' has no column of numbers '{score or ' or '.join(SCORES)}' "
            f"(its columns: {', '.join(table.columns)}).",
            remedy="Name the column of the scores with --metric.",
        )
    times = next((columns[name] for name in TIMES if name in columns), None)
    states = columns.get("state")
    rows = []
    for row in table.iter_rows(named=True):
        settings = {
            key.removeprefix("params_"): value
            for key, value in row.items()
            if key not in (score, times) and key.lower() not in NOT_SETTINGS
        }
        rows.append(
            PastTrial(
                params=settings,
                score=None if row[score] is None else float(row[score]),
                state=_state(row[states]) if states else "complete",
                seconds=float(row[times] or 0) if times else 0.0,
                error=str(row.get(columns.get("error", ""), "") or ""),
            )
        )
    return rows, direction_of(score)


def _csv(path: Path) -> pl.DataFrame:
    """Return a table with commas, or with tabs or semicolons, as spreadsheets write it.

    Where semicolons part the columns, a comma is the sign of decimals.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        mark = max(",;\t", key=first.count)
        return pl.read_csv(
            path, infer_schema_length=None, separator=mark, decimal_comma=mark == ";"
        )
    except pl.exceptions.NoDataError:
        why = "it is empty"
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        why = "its lines are no rows of one table"
    except OSError as error:
        why = error.strerror or str(error)
    raise DataError(
        f"'{path}' cannot be read as CSV: {why}.",
        remedy="Give a CSV whose first line names its columns.",
    )


def _state(text: object) -> State:
    known: dict[str, State] = {"complete": "complete", "pruned": "pruned", "finished": "complete"}
    return known.get(str(text).lower(), "failed")


def _enter(folder: StudyFolder, found: Imported, told: Reporter) -> None:
    """Write the trials into a journal of ours, judge them, and write the page."""
    question, metric = found.question, METRICS[found.question.metric]
    queue = TrialQueue(folder.path, question, sign=metric.sign)
    try:
        left = {trial.job: trial for trial in found.trials}
        jobs = list(left)
        for start in range(0, len(jobs), 64):
            told.phase("entering past results", start, len(jobs))
            queue.add(jobs[start : start + 64], found.points)
            while (taken := queue.take()) is not None:
                queue.tell(*taken, left[taken[1]])
        ended = queue.ended()
    finally:
        queue.close()
    announced = folder.save_announced(_announced(found))

    def scores(job: Job) -> NDArray[np.float64]:
        return np.array([ended[job].score or 0.0])

    seen = Seen(
        question=question, points=found.points, ended=ended, scores=scores, announced=announced
    )
    pairs = comparisons(question)
    decided: list[Difference] = look_at(seen, pairs, question.repeats) if pairs else []
    folder.save_answer(_to_ask_next(answer(seen, decided, finished=True)))
    record = StudyRecord(
        name=folder.name, asked=folder.asked(), question=question, design=found.points, images=None,
        announced=announced, trials=tuple(ended[job] for job in sorted(ended)),
        answer=folder.answer(),
    )  # fmt: skip
    write_page(folder, record)


def _to_ask_next(said: Answer) -> Answer:
    """Return the answer with what the owner of past results can do next."""
    more = [one.more_repeats for one in said.differences if one.more_repeats]
    if not more:
        return replace(said, next_question="Ask it of your images: affinage study ask --help")
    told = f"Run what is compared on {max(more):,} more seeds, and import the results again."
    return replace(said, next_question=told)


def _announced(found: Imported) -> Announced:
    question = found.question
    share = METRICS[question.metric].share
    seconds = [trial.seconds for trial in found.trials]
    return Announced(
        detectable=None,
        smallest=question.smallest if question.smallest is not None else 0.1 if share else 0.0,
        n=1,
        points=question.points,
        repeats=question.repeats,
        looks=(question.repeats,),
        trial_seconds=sum(seconds) / max(1, len(seconds)),
        seconds=sum(seconds),
    )
