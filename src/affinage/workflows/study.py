"""The verb `study`: a question is asked, its trials are run, and the answer is written down."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.errors import AffinageError, RunError
from affinage.records.report import Report
from affinage.records.study import (
    Answer,
    Difference,
    Job,
    Question,
    Settings,
    StudyRecord,
    Trial,
)
from affinage.reporting.html import to_html
from affinage.reporting.markdown import to_markdown
from affinage.reporting.study_report import study_report, trials_csv
from affinage.store.study_folder import StudyFolder, studies_in
from affinage.store.trial_queue import TrialQueue
from affinage.studies.answering import Seen, answer, look_at
from affinage.studies.design import nuisance_points
from affinage.studies.judging import amount
from affinage.studies.planning import (
    announce,
    comparisons,
    confirm_jobs,
    explore_jobs,
    pilot_jobs,
)
from affinage.studies.questions import laid_over, question_from, same_question
from affinage.studies.scoring import METRICS
from affinage.workflows.clock import parse_duration
from affinage.workflows.moment import now
from affinage.workflows.places import data_set_name
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Lines, Reporter, duration
from affinage.workflows.study_data import open_pool
from affinage.workflows.study_trials import (
    Runner,
    base_recipe,
    check_question,
    heads_only,
    images_per_class,
    runner_for,
    trial_recipe,
)

STUDIES = "affinage-studies"
FEW_REPEATS = 3
"""Of trials that fine-tune, where nobody says."""
WAIT = 0.2
"""Seconds between two looks at what other workers have done."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study's folder, as Python sees it.

    Args:
        path: The folder that `affinage study ask` wrote.
    """

    path: Path

    @property
    def record(self) -> StudyRecord:
        """All that is known of it."""
        return read_study(self.path)

    @property
    def answer(self) -> Answer | None:
        """The answer so far."""
        return StudyFolder(self.path).answer()

    @property
    def report(self) -> Report:
        """Its page, as data."""
        record = self.record
        return study_report(record, share=METRICS[record.question.metric].share)

    @property
    def page(self) -> Path:
        """Its page, HTML."""
        return StudyFolder(self.path).page


def study(
    source: str | Path | Sequence[str | Path] | None = None,
    *,
    vary: Sequence[str] = (),
    add: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    nuisance: Sequence[str] = (),
    settings: Sequence[str] = (),
    recipe: str | Path | Mapping[str, Any] | None = None,
    metric: str | None = None,
    smallest: float | None = None,
    points: int | None = None,
    repeats: int | None = None,
    budget: str | float | None = None,
    folds: int | None = None,
    images: int | None = None,
    seed: int | None = None,
    question: str | None = None,
    why: str | None = None,
    expectation: str | None = None,
    data: str | Path | None = None,
    output: str | Path | None = None,
    again: bool = False,
    reporter: Reporter | None = None,
    file: str | Path | None = None,
) -> Study:
    """Ask a question about a recipe, run its trials, and return the study with its answer.

    Args:
        source: Folders or tables of images, as `train` takes them.
        vary: Scientific settings, `KEY=a,b`: their combinations are compared with the first.
        add: Steps of a ladder, each `KEY=VALUE`: each is compared with the step before.
        leave_out: Steps of an ablation: all together is compared with all but each.
        nuisance: Tuned anew for each of these, at equal budget: `KEY=low..high` or `KEY=a,b`.
        settings: `KEY=VALUE` that hold for every trial.
        recipe: What trials start from, as `train` takes it.
        metric: `accuracy`, `log_loss`, `label_accuracy` or `mae`; the task's first by default.
        smallest: Smallest difference that matters, in the metric's unit (0.01 is a point of accuracy).
        points: Nuisance settings for each arm; 16 by default.
        repeats: Most fresh seeds for each arm; 10 by default, 3 where trials fine-tune.
        budget: Time that trials may take, such as `10m`.
        folds: Parts held out in turn where only heads are fitted; 5 by default.
        images: Use at most so many images.
        seed: Of the design and of all trials.
        question: In words.
        why: Why it is asked.
        expectation: What you expect to see.
        data: The data set's folder.
        output: The study's folder; `affinage-studies/NAME-1`, … by default.
        again: Ask it although the same question was answered before.
        reporter: Told of progress.
        file: A YAML file with these words as keys; what is given beside it wins.

    Raises:
        AffinageError: If the question cannot be asked of these images.
    """
    told = reporter or Lines()
    given: dict[str, Any] = {
        "source": source, "vary": vary, "add": add, "leave_out": leave_out, "nuisance": nuisance,
        "set": settings, "recipe": recipe, "metric": metric, "smallest": smallest, "points": points,
        "repeats": repeats, "budget": budget, "folds": folds, "images": images, "seed": seed,
        "question": question, "why": why, "expectation": expectation, "data": data,
    }  # fmt: skip
    asked = _question(laid_over(given, Path(file) if file is not None else None))
    check_question(asked)
    earlier = _answered_before(asked)
    if earlier is not None and not again:
        told.say(f"asked before, {earlier.asked()[:10]}: '{earlier.name}'. To run it anew: --again")
        return Study(earlier.path)
    folder = StudyFolder(Path(output) if output is not None else _default_folder(asked))
    folder.begin(asked, now())
    with _without_trace_of_mistakes(folder):
        return study_work(folder.path, reporter=told)


def study_work(study: str | Path, *, reporter: Reporter | None = None) -> Study:
    """Run the trials of a study that are still to be run, beside other processes that do the same.

    Args:
        study: Its folder.
        reporter: Told of progress.

    Raises:
        AffinageError: If it is no study, or its images are gone.
    """
    folder, told = StudyFolder(Path(study)), reporter or Lines()
    question = folder.question()
    done = folder.answer()
    if done is not None and done.finished:
        told.say(f"The study '{folder.name}' has its answer already.")
        return Study(folder.path)
    recipe = base_recipe(question)
    pool = open_pool(question, recipe, reporter=told)
    worker = _Worker(folder, question, told)
    try:
        worker.work(runner_for(question, folder, pool, reporter=told))
    finally:
        worker.close()
    return Study(folder.path)


def read_study(study: str | Path) -> StudyRecord:
    """Return all that is known of a study.

    Raises:
        RunError: If it is no study.
    """
    folder = StudyFolder(Path(study))
    question, announced = folder.question(), folder.announced()
    queue = TrialQueue(folder.path, question, sign=METRICS[question.metric].sign)
    try:
        ended = queue.ended()
    finally:
        queue.close()
    return StudyRecord(
        name=folder.name,
        asked=folder.asked(),
        question=question,
        design=_design(question),
        images=announced.n if announced is not None else None,
        announced=announced,
        trials=tuple(ended[job] for job in sorted(ended)),
        answer=folder.answer(),
    )


def list_studies(words: str = "", *, folder: str | Path | None = None) -> list[StudyRecord]:
    """Return the studies that were asked here, the latest first, whose text has all these words.

    Args:
        words: Looked for in question, why, expectation, settings and verdict, in any case.
        folder: Where studies lie; `affinage-studies` here by default.
    """
    found = []
    for one in _readable(Path(folder) if folder is not None else Path(STUDIES)):
        question, said = one.question(), one.answer()
        text = " ".join(
            [one.name, repr(question), said.verdict if said is not None else ""]
        ).lower()
        if all(word in text for word in words.lower().split()):
            found.append(
                StudyRecord(
                    name=one.name, asked=one.asked(), question=question, design=(), images=None,
                    announced=one.announced(), trials=(), answer=said,
                )
            )  # fmt: skip
    return found


class _Worker:
    """One process at work on a study: every decision is a function of what has ended."""

    def __init__(self, folder: StudyFolder, question: Question, told: Reporter) -> None:
        self._folder, self._question, self._told = folder, question, told
        self._metric = METRICS[question.metric]
        self._points = _design(question)
        self._queue = TrialQueue(folder.path, question, sign=self._metric.sign)
        self._cache: dict[Job, NDArray[np.float64]] = {}

    def close(self) -> None:
        self._queue.close()

    def work(self, runner: Runner) -> None:
        """Pilot, announcement, exploration, then looks until every comparison is answered."""
        self._run_all("pilot", pilot_jobs(self._question), runner)
        announced = self._folder.save_announced(
            announce(self._question, self._queue.ended(), self._scores)
        )
        self._say_announced()
        self._run_all("exploring", explore_jobs(self._question, announced), runner)
        pairs, decided = comparisons(self._question), dict[tuple[int, int], Difference]()
        unanswered = pairs
        for look in announced.looks:
            # Arms without a comparison are scored too; with one arm there is nothing else.
            jobs = confirm_jobs(self._question, self._queue.ended(), look, unanswered or ((0, 0),))
            whole = self._run_all(f"repeats 1 to {look}", jobs, runner)
            last = not whole or look == announced.looks[-1]
            for one in look_at(self._seen(), unanswered, announced.looks[-1] if last else look):
                decided[one.arm, one.against] = one
            unanswered = tuple(
                pair for pair in unanswered if decided[pair].says == "cannot tell yet"
            )
            finished = last or not unanswered
            self._keep([decided[pair] for pair in pairs], finished=finished)
            if finished:
                break

    def _run_all(self, stage: str, jobs: Sequence[Job], runner: Runner) -> bool:
        """Run these jobs beside other workers, until all have ended; False if the budget ends first."""
        if not jobs:
            return True
        while True:
            ended = self._queue.ended()
            left = [job for job in jobs if job not in ended]
            self._told.phase(stage, len(jobs) - len(left), len(jobs))
            if not left:
                return True
            if stage != "pilot" and self._spent(ended):
                self._told.say("The budget is spent.")
                return False
            self._queue.add(left, self._points)
            taken = self._queue.take()
            if taken is None:
                time.sleep(WAIT)
                continue
            self._run_one(*taken, runner)

    def _spent(self, ended: Mapping[Job, Trial]) -> bool:
        budget = self._question.budget
        return budget is not None and sum(trial.seconds for trial in ended.values()) >= budget

    def _run_one(self, number: int, job: Job, runner: Runner) -> None:
        """Run one trial; whatever goes wrong in it is its own affair."""
        start = time.monotonic()
        try:
            recipe = trial_recipe(self._question, job, self._points)
            most = images_per_class(self._question, job)
            scores = runner.run(job, recipe, images_per_class=most)
        except Exception as error:  # noqa: BLE001 - a trial may fail in any way; the study goes on.
            said = (
                error.problem
                if isinstance(error, AffinageError)
                else f"{type(error).__name__}: {error}"
            )
            ended = Trial(
                job=job, state="failed", score=None, seconds=time.monotonic() - start,
                error=" ".join(said.split())[:500],
            )  # fmt: skip
            self._told.say(f"trial {job.key} failed: {ended.error}")
        else:
            if job.repeat:
                self._folder.save_scores(job, scores)
            ended = Trial(
                job=job, state="complete", score=float(scores.mean()),
                seconds=time.monotonic() - start,
                run=job.key if (self._folder.runs / job.key).exists() else "",
            )  # fmt: skip
        self._queue.tell(number, job, ended)

    def _scores(self, job: Job) -> NDArray[np.float64]:
        if job not in self._cache:
            self._cache[job] = self._folder.scores(job)
        return self._cache[job]

    def _seen(self) -> Seen:
        announced = self._folder.announced()
        assert announced is not None
        return Seen(
            question=self._question, points=self._points, ended=self._queue.ended(),
            scores=self._scores, announced=announced,
        )  # fmt: skip

    def _say_announced(self) -> None:
        said = self._folder.announced()
        assert said is not None
        size = amount(said.detectable, self._metric) if said.detectable is not None else None
        each = f"{said.points} settings and " if self._question.nuisance else ""
        self._told.say(
            f"{said.n:,} images; {each}up to {said.repeats} seeds for each of "
            f"{len(self._question.arms)}: about {duration(said.seconds)}. "
            + (
                f"A difference of {size} would be found in four of five such studies."
                if size is not None
                else "What difference would be found cannot be said from this pilot."
            )
        )

    def _keep(self, decided: Sequence[Difference], *, finished: bool) -> None:
        self._folder.save_answer(answer(self._seen(), decided, finished=finished))
        write_page(self._folder, self._record())

    def _record(self) -> StudyRecord:
        ended, announced = self._queue.ended(), self._folder.announced()
        return StudyRecord(
            name=self._folder.name, asked=self._folder.asked(), question=self._question,
            design=self._points, images=announced.n if announced else None, announced=announced,
            trials=tuple(ended[job] for job in sorted(ended)), answer=self._folder.answer(),
        )  # fmt: skip


def write_page(folder: StudyFolder, record: StudyRecord) -> None:
    """Write a study's page, as HTML and Markdown, and its table of trials."""
    report = study_report(record, share=METRICS[record.question.metric].share)
    folder.save_pages(to_html(report), to_markdown(report), trials_csv(record))


def _question(laid: dict[str, Any]) -> Question:
    """Return the question of what was given; what follows from other settings is filled in."""
    recipe = resolve_recipe(laid.get("recipe"), laid.get("set", ()))
    start = resolve_recipe(laid.get("recipe"))
    if "budget" in laid:
        laid["budget"] = parse_duration(laid["budget"])
    question = question_from(
        laid, recipe=start.model_dump(mode="json", exclude_unset=True), task=recipe.task
    )
    if "repeats" not in laid and not heads_only(question):
        question = replace(question, repeats=FEW_REPEATS)
    return question


def _readable(folder: Path) -> Iterator[StudyFolder]:
    """Yield the studies that can be read, the latest first: a damaged one is no reason to stop."""
    for one in studies_in(folder):
        with contextlib.suppress(RunError):
            _ = one.question(), one.answer(), one.announced()
            yield one


def _design(question: Question) -> tuple[Settings, ...]:
    return nuisance_points(question.nuisance, points=question.points, seed=question.seed)


def _answered_before(question: Question) -> StudyFolder | None:
    for one in _readable(Path(STUDIES)):
        said = one.answer()
        if said is not None and said.finished and same_question(one.question(), question):
            return one
    return None


def _default_folder(question: Question) -> Path:
    name = data_set_name([Path(source) for source in question.sources])
    number = 1
    while (Path(STUDIES) / f"{name}-{number}").exists():
        number += 1
    return Path(STUDIES) / f"{name}-{number}"


@contextlib.contextmanager
def _without_trace_of_mistakes(folder: StudyFolder) -> Iterator[None]:
    """Remove the study's folder where its images cannot be used: there is nothing to go on with."""
    try:
        yield
    except AffinageError:
        if folder.announced() is None:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
