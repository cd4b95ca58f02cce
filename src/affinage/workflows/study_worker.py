"""One process at work on a study: every decision is a function of what has ended."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from affinage.errors import AffinageError, RunError
from affinage.records.answer import Answer, Difference
from affinage.records.question import Question, Settings
from affinage.records.recipe import Recipe
from affinage.records.study import Job, StudyRecord, Trial
from affinage.store.study_folder import StudyFolder
from affinage.store.trial_queue import TrialQueue
from affinage.studies.answering import Seen, answer, best_explored, look_at
from affinage.studies.judging import amount
from affinage.studies.planning import (
    announce,
    comparisons,
    confirm_jobs,
    explore_jobs,
    pilot_jobs,
)
from affinage.studies.scoring import METRICS
from affinage.studies.searching import FULL, pruner_of, rungs_of, searched_points
from affinage.studies.wording import so_far
from affinage.workflows.reporter import Reporter, duration
from affinage.workflows.study_guard import check_disk, fits_on_disk
from affinage.workflows.study_recipes import classes_at_once, images_per_class, trial_recipe
from affinage.workflows.study_record import designed, in_order, record_of, write_page

WAIT = 0.2
"""Seconds between two looks at what other workers have done."""


class Runner(Protocol):
    """Runs one trial."""

    def run(
        self,
        job: Job,
        recipe: Recipe,
        *,
        images_per_class: int | None,
        share: float = 1.0,
        classes: int | None = None,
    ) -> NDArray[np.float64]:
        """Return the score of each image, at a share of the whole cost."""

    def close(self) -> None:
        """End what runs beside."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a try of a trial came out."""

    state: str
    score: float | None = None
    error: str = ""


class Worker:
    """Takes the trials of a study, one after another, beside others that do the same.

    Args:
        folder: Of the study.
        question: What was asked.
        told: Told of progress.
    """

    def __init__(self, folder: StudyFolder, question: Question, told: Reporter) -> None:
        self.folder, self.question, self._told = folder, question, told
        self.metric = METRICS[question.metric]
        self._designed = dict(enumerate(designed(question)))
        self.queue = TrialQueue(
            folder.path, question, sign=self.metric.sign, pruner=pruner_of(question.search)
        )
        self.labels: tuple[str, ...] = ()
        self._cache: dict[Job, NDArray[np.float64]] = {}

    def close(self) -> None:
        """Take no more trials."""
        self.queue.close()

    def work(self, runner: Runner) -> None:
        """Pilot, announcement, exploration, then looks until every comparison is answered."""
        self.run_all("pilot", pilot_jobs(self.question), runner)
        self._check_pilot()
        announced = self.folder.save_announced(
            announce(self.question, self.queue.ended(), self.scores)
        )
        self._say_announced()
        self.run_all("exploring", explore_jobs(self.question, announced), runner)
        self._say_explored()
        pairs, decided = comparisons(self.question), dict[tuple[int, int], Difference]()
        unanswered = pairs
        searched_alone = self.question.search is not None and not pairs
        for look in () if searched_alone else announced.looks:
            # Arms without a comparison are scored too; with one arm there is nothing else.
            jobs = confirm_jobs(self.question, self.queue.ended(), look, unanswered or ((0, 0),))
            whole = self.run_all(f"repeats 1 to {look}", jobs, runner)
            last = not whole or look == announced.looks[-1]
            for one in look_at(self.seen(), unanswered, announced.looks[-1] if last else look):
                decided[one.arm, one.against] = one
            unanswered = tuple(
                pair for pair in unanswered if decided[pair].says == "cannot tell yet"
            )
            finished = last or not unanswered
            self.keep([decided[pair] for pair in pairs], finished=finished)
            if finished:
                break
            self._say_so_far()
        else:
            self.keep([], finished=True)

    def _check_pilot(self) -> None:
        """Stop where no trial of the pilot could be run: the others would fail of the same.

        Raises:
            RunError: With the reasons.
        """
        ended = self.queue.ended()
        pilot = [ended[job] for job in pilot_jobs(self.question)]
        if any(trial.state == "complete" for trial in pilot):
            return
        reasons = "; ".join(dict.fromkeys(trial.error for trial in pilot))
        raise RunError(
            f"All {len(pilot)} trials of the pilot failed: {reasons}",
            remedy="Mend what they say, and ask again.",
        )

    def run_all(self, stage: str, jobs: Sequence[Job], runner: Runner) -> bool:
        """Run these jobs beside other workers, until all have ended; False if the budget ends first."""
        if not jobs:
            return True
        while True:
            ended = self.queue.ended()
            left = [job for job in jobs if job not in ended]
            self._told.phase(stage, len(jobs) - len(left), len(jobs))
            if not left:
                return True
            if stage != "pilot" and self.spent(ended):
                self._told.say("The budget is spent.")
                return False
            self.queue.add(left, self.points())
            if not self.run_next(runner):
                time.sleep(WAIT)

    def run_next(self, runner: Runner) -> bool:
        """Run the next trial that waits; False where none does."""
        taken = self.queue.take()
        if taken is None:
            return False
        self._run_one(*taken, runner)
        return True

    def points(self) -> dict[int, Settings]:
        """Return the settings of every point: of the design, and of a search as they stand in the journal."""
        if self.question.search is None:
            return self._designed
        return self.queue.points() | self._designed

    def spent(self, ended: Mapping[Job, Trial]) -> bool:
        """Return whether the budget is spent."""
        budget = self.question.budget
        return budget is not None and sum(trial.seconds for trial in ended.values()) >= budget

    def _run_one(self, number: int, job: Job, runner: Runner) -> None:
        """Run one trial; whatever goes wrong in it is its own affair, but for a full disk."""
        start = time.monotonic()
        try:
            came = self._try(number, job, runner)
        except Exception as error:  # noqa: BLE001 - a trial may fail in any way; the study goes on.
            check_disk(self.folder.path, error)
            said = (
                error.problem
                if isinstance(error, AffinageError)
                else f"{type(error).__name__}: {error}"
            )
            came = _Ended("failed", error=" ".join(said.split())[:500])
            self._told.say(f"trial {job.key} failed: {came.error}")
        ended = Trial(
            job=job, state=came.state, score=came.score, error=came.error,  # type: ignore[arg-type]
            seconds=time.monotonic() - start,
            run=job.key if (self.folder.runs / job.key).exists() else "",
        )  # fmt: skip
        with fits_on_disk(self.folder.path):
            self.queue.tell(number, job, ended)

    def _try(self, number: int, job: Job, runner: Runner) -> _Ended:
        """Run a trial, in a search by its cheaper tries first."""
        recipe = trial_recipe(self.question, job, self.points())
        most, search = images_per_class(self.question, job), self.question.search
        told = classes_at_once(self.question, job)
        given = {"images_per_class": most} | ({} if told is None else {"classes": told})
        if search is not None and job.point in searched_points(self.question) and not job.repeat:
            for rung in rungs_of(search)[:-1]:
                scores = runner.run(job, recipe, **given, share=rung / FULL)
                if self.queue.report(number, rung, float(scores.mean())):
                    return _Ended("pruned")
        scores = runner.run(job, recipe, **given)  # type: ignore[arg-type]
        if job.repeat:
            self.folder.save_scores(job, scores)
        return _Ended("complete", score=float(scores.mean()))

    def scores(self, job: Job) -> NDArray[np.float64]:
        """Return a trial's score of each image."""
        if job not in self._cache:
            self._cache[job] = self.folder.scores(job)
        return self._cache[job]

    def seen(self) -> Seen:
        """Return the study as far as it has come."""
        announced = self.folder.announced()
        assert announced is not None
        return Seen(
            question=self.question, points=in_order(self.points()), ended=self.queue.ended(),
            scores=self.scores, announced=announced, labels=self.labels,
        )  # fmt: skip

    def _say_announced(self) -> None:
        said = self.folder.announced()
        assert said is not None
        size = amount(said.detectable, self.metric) if said.detectable is not None else None
        arms = len(self.question.arms)
        each = f"{said.points} settings and " if self.question.nuisance else ""
        told = f"{said.n:,} images; {each}up to {said.repeats} seeds"
        if arms == 1:
            self._told.say(f"{told}: about {duration(said.seconds)}.")
            return
        found = (
            f"A difference of {size} would be found in four of five such studies."
            if size is not None
            else self._say_nothing_found()
        )
        self._told.say(f"{told} for each of {arms}: about {duration(said.seconds)}. {found}")
        asked = self.question.smallest
        if asked is not None and said.detectable is not None and said.detectable > asked:
            self._told.say(
                f"You ask about {amount(asked, self.metric)}, which is less: expect 'cannot tell yet', and "
                "if that will not do, ask with more images or repeats, or with a greater --smallest."
            )

    def _say_nothing_found(self) -> str:
        """Return why no difference can be announced: too small a study, or a pilot that failed in part."""
        ended = self.queue.ended()
        if all(ended[job].state == "complete" for job in pilot_jobs(self.question)):
            return "No difference is large enough to be sure to be found by so small a study."
        return "What difference would be found cannot be said from this pilot: trials failed."

    def _say_explored(self) -> None:
        """Say what is best after exploration, on one seed, where settings were tuned."""
        if self.question.nuisance:
            self._told.say(f"so far: {best_explored(self.seen())}")

    def _say_so_far(self) -> None:
        """Say what is best on fresh seeds, and which comparisons are answered."""
        said = self.folder.answer()
        assert said is not None
        self._told.say(f"so far: {so_far(self.question, said)}")

    def keep(self, decided: Sequence[Difference], *, finished: bool) -> None:
        """Write the answer so far, and its page; a search that was asked for is still to come."""
        said = answer(self.seen(), decided, finished=finished)
        self.save(said if self.question.search is None else replace(said, finished=False))

    def save(self, said: Answer) -> None:
        """Write an answer and its page."""
        with fits_on_disk(self.folder.path):
            self.folder.save_answer(said)
            write_page(self.folder, self.record())

    def record(self) -> StudyRecord:
        """Return all that is known of the study."""
        return record_of(self.folder, self.question, self.queue)
