"""The trials of a study: a queue in Optuna's journal, which several processes share and kills survive."""

import contextlib
import fcntl
import itertools
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from affinage.errors import RunError
from affinage.records.question import Choice, Nuisance, Question, Settings, Value
from affinage.records.study import Job, Trial

MOST_DEATHS = 2
"""After so many processes that ended while they ran it, a trial counts as failed."""

LONGEST = 1 << 20
"""No line of the journal is longer, bytes."""

AHEAD = 64
"""Trials that wait at most: entering thousands at once would keep every worker from its first."""

STUDY = "affinage"

ANEW = "run again"
"""What the study calls the numbers of failed trials that do not count any more."""

ARM = "arm"
"""What Optuna calls the parameter that says which arm a trial belongs to."""


class TrialQueue:
    """Trials that wait, run and have ended; no trial is lost, none counted twice.

    Every trial has the key of its job. Under one lock a worker adds keys that nobody has added, and takes
    the next that waits. A worker holds a lock file as long as it lives: a running trial whose worker's
    lock is free was cut off, and waits again.

    Args:
        folder: Of the study; the journal lies in it.
        question: Whose trials they are.
        sign: 1 where a greater score is better, -1 where a lesser is.
        pruner: Decides which searched trials end early; none by default.

    Raises:
        RunError: If the journal cannot be read.
    """

    def __init__(
        self, folder: Path, question: Question, *, sign: int, pruner: BasePruner | None = None
    ) -> None:
        self._folder, self._question = folder, question
        (folder / "workers").mkdir(parents=True, exist_ok=True)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._alive = (folder / "workers" / f"{self._name}.lock").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._distributions = distributions(question)
        self._ended: dict[Job, Trial] = {}
        self._known: set[int] = set()
        self._points: dict[int, Settings] = {}
        self._placed = 0
        self._taken: dict[int, optuna.Trial] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # Its hints are for its own users.
        with self._locked():
            _mend(folder / "journal.log")
            self._study = _opened(folder / "journal.log", sign, pruner)

    def add(self, jobs: Iterable[Job], points: Mapping[int, Settings] | Sequence[Settings]) -> int:
        """Add the first of the jobs that nobody has added; return how many that were."""
        first = list(itertools.islice(dict.fromkeys(jobs), AHEAD))
        with self._locked():
            self._reclaim()
            wanted, anew = {job.key for job in first}, self._anew()
            trials = [
                t
                for t in self._study.get_trials(deepcopy=False)
                if t.user_attrs["key"] in wanted and t.number not in anew
            ]
            dead = [t.user_attrs["key"] for t in trials if "cut_off" in t.user_attrs]
            known = {t.user_attrs["key"] for t in trials if "cut_off" not in t.user_attrs}
            new = [job for job in first if job.key not in known]
            for job in new:
                settings = points[job.point]
                self._study.add_trial(self._trial(job, settings, deaths=dead.count(job.key)))
        return len(new)

    def propose(self, arm: int, points: range, ask: Callable[[int], Settings]) -> bool:
        """Add the next setting of a search; return False where all of them were proposed.

        Args:
            arm: Whose settings are searched.
            points: Indices of the settings that the search may try.
            ask: Chooses the setting of an index by all that is known; called under the queue's lock.
        """
        with self._locked():
            known = self.points()
            left = next((point for point in points if point not in known), None)
            if left is None:
                return False
            job = Job(arm=arm, point=left, repeat=0)
            self._study.add_trial(self._trial(job, ask(left), deaths=0))
        return True

    def points(self) -> dict[int, Settings]:
        """Return the settings of every point that was added, as they stand in the journal."""
        trials = self._study.get_trials(deepcopy=False)
        for frozen in trials[self._placed :]:
            point = job_of(frozen.user_attrs["key"]).point
            if point not in self._points:
                keys = [key for key in frozen.params if key != ARM]
                self._points[point] = tuple((key, _kept(frozen.params[key])) for key in keys)
        self._placed = len(trials)
        return dict(self._points)

    def searched(self, jobs: Iterable[Job]) -> list[FrozenTrial]:
        """Return what Optuna knows of these trials: for choosing the next."""
        keys, anew = {job.key for job in jobs}, self._anew()
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.user_attrs["key"] in keys
            and "cut_off" not in trial.user_attrs
            and trial.number not in anew
        ]

    def report(self, number: int, step: int, score: float) -> bool:
        """Enter the score of a cheaper try; return whether the trial should end here."""
        trial = self._taken[number]
        trial.report(score, step)
        return trial.should_prune()

    def take(self) -> tuple[int, Job] | None:
        """Take the next trial that waits: its number and its job; None where none does."""
        with self._locked():
            waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            if not waiting:
                return None
            trial = self._study.ask()
            trial.set_user_attr("worker", self._name)
        self._taken[trial.number] = trial
        return trial.number, job_of(trial.user_attrs["key"])

    def tell(self, number: int, job: Job, trial: Trial) -> None:
        """Enter how a trial ended."""
        storage, identity = self._storage(number)
        self._taken.pop(number, None)
        ended = {"seconds": trial.seconds, "error": trial.error, "run": trial.run}
        states = {"failed": TrialState.FAIL, "pruned": TrialState.PRUNED}
        storage.set_trial_user_attr(identity, "ended", ended)
        if trial.state == "complete":
            storage.set_trial_state_values(
                identity, TrialState.COMPLETE, [float(trial.score or 0.0)]
            )
        else:
            storage.set_trial_state_values(identity, states[trial.state])
        self._ended[job] = trial
        self._known.add(number)

    def ended(self) -> dict[Job, Trial]:
        """Return every trial that has ended, by its job, whoever ran it."""
        states = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
        anew = self._anew()
        for frozen in self._study.get_trials(deepcopy=False, states=states):
            if frozen.number in self._known:
                continue
            self._known.add(frozen.number)
            if "cut_off" not in frozen.user_attrs and frozen.number not in anew:
                one = _trial_of(frozen)
                self._ended.setdefault(one.job, one)
        return dict(self._ended)

    def again(self) -> int:
        """Let every trial that has failed wait again; return how many these are."""
        with self._locked():
            failed = self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
            left = [one for one in failed if one.number not in self._anew()]
            if left:
                self._study.set_user_attr(ANEW, sorted(one.number for one in failed))
        self._ended = {job: one for job, one in self._ended.items() if one.state != "failed"}
        return sum("cut_off" not in one.user_attrs for one in left)

    def _anew(self) -> set[int]:
        """Return the numbers of failed trials that were asked for again."""
        return set(self._study.user_attrs.get(ANEW, ()))

    def running(self) -> int:
        """Return how many trials are at work now, here or elsewhere."""
        return len(self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    def close(self) -> None:
        """Say that this process takes no more trials."""
        with contextlib.suppress(OSError):
            (self._folder / "workers" / f"{self._name}.lock").unlink()
        self._alive.close()

    def _trial(self, job: Job, settings: Settings, *, deaths: int) -> FrozenTrial:
        params = {ARM: self._question.arms[job.arm].name, **dict(settings)}
        attributes: dict[str, Any] = {"key": job.key}
        state = TrialState.WAITING
        if deaths >= MOST_DEATHS:
            state = TrialState.FAIL
            said = (
                f"The process that ran it ended without a word, {deaths} times: too little memory?"
            )
            attributes["ended"] = {"seconds": 0.0, "error": said, "run": ""}
        return create_trial(
            state=state, params=params, user_attrs=attributes,
            distributions={
                key: _holding(one, params[key]) for key, one in self._distributions.items()
            },
        )  # fmt: skip

    def _reclaim(self) -> None:
        """Let the trials of processes that are no more count as cut off."""
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if self._lives(frozen.user_attrs.get("worker")):
                continue
            storage, identity = self._storage(frozen.number)
            storage.set_trial_user_attr(identity, "cut_off", True)  # noqa: FBT003 - Optuna's signature.
            storage.set_trial_state_values(identity, TrialState.FAIL)

    def _lives(self, worker: str | None) -> bool:
        if worker == self._name:
            return True
        lock = self._folder / "workers" / f"{worker}.lock"
        if worker is None or not lock.exists():
            return False
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        lock.unlink(missing_ok=True)
        return False

    def _storage(self, number: int) -> tuple[Any, int]:
        storage = self._study._storage
        return storage, storage.get_trial_id_from_study_id_trial_number(
            self._study._study_id, number
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "queue.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def distributions(question: Question) -> dict[str, BaseDistribution]:
    """Return what Optuna is to know of the parameters: its dashboard draws by it."""
    arms = CategoricalDistribution([arm.name for arm in question.arms])
    return {ARM: arms, **{one.key: distribution(one) for one in question.nuisance}}


def job_of(key: str) -> Job:
    """Return the job of a key."""
    arm, point, repeat = (int(part) for part in key.split("-"))
    return Job(arm=arm, point=point, repeat=repeat)


def distribution(one: Nuisance) -> BaseDistribution:
    """Return Optuna's word for where a parameter is tuned."""
    if isinstance(one, Choice):
        return CategoricalDistribution(list(one.values))
    if one.whole:
        return IntDistribution(round(one.low), round(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def _holding(one: BaseDistribution, value: Value) -> BaseDistribution:
    """Return a distribution that holds a value: a search may go beyond a bound that cut the optimum off."""
    if isinstance(one, IntDistribution) and isinstance(value, int):
        return IntDistribution(min(one.low, value), max(one.high, value), log=one.log)
    if isinstance(one, FloatDistribution) and isinstance(value, (int, float)):
        return FloatDistribution(min(one.low, value), max(one.high, value), log=one.log)
    return one


def _kept(value: Any) -> Value:
    found: Value = value
    return found


def _mend(journal: Path) -> None:
    """Cut off a last line that a full disk or a kill has left torn: nothing after it could be read."""
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - LONGEST)
        file.seek(start)
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if tail and whole < len(tail) and (whole or start == 0):
            file.truncate(start + whole)


def _opened(journal: Path, sign: int, pruner: BasePruner | None) -> optuna.Study:
    try:
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=STUDY,
            direction="maximize" if sign > 0 else "minimize",
            sampler=optuna.samplers.RandomSampler(),  # Asked for nothing: every trial is planned.
            pruner=pruner or optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
    except (ValueError, KeyError, OSError) as error:
        raise RunError(
            f"The study's journal cannot be read: {' '.join(str(error).split())}",
            remedy=f"Restore '{journal.name}' from a copy, or ask the question again.",
        ) from None


def _trial_of(frozen: FrozenTrial) -> Trial:
    ended = frozen.user_attrs.get("ended", {"seconds": 0.0, "error": "", "run": ""})
    complete = frozen.state == TrialState.COMPLETE
    pruned = frozen.state == TrialState.PRUNED
    return Trial(
        job=job_of(frozen.user_attrs["key"]),
        state="complete" if complete else "pruned" if pruned else "failed",
        score=frozen.value if complete else None,
        steps=tuple(sorted(frozen.intermediate_values.items())),
        **ended,
    )
