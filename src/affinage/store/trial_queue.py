"""The trials of a study: a queue in Optuna's journal, which several processes share and kills survive."""

import contextlib
import fcntl
import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from affinage.errors import RunError
from affinage.records.study import Choice, Job, Nuisance, Question, Settings, Trial

MOST_DEATHS = 2
"""After so many processes that ended while they ran it, a trial counts as failed."""

STUDY = "affinage"

Params = Mapping[str, Any]


class TrialQueue:
    """Trials that wait, run and have ended; no trial is lost, none counted twice.

    Every trial has the key of its job. Under one lock a worker adds keys that nobody has added, and takes
    the next that waits. A worker holds a lock file as long as it lives: a running trial whose worker's
    lock is free was cut off, and waits again.

    Args:
        folder: Of the study; the journal lies in it.
        question: Whose trials they are.
        sign: 1 where a greater score is better, -1 where a lesser is.

    Raises:
        RunError: If the journal cannot be read.
    """

    def __init__(self, folder: Path, question: Question, *, sign: int) -> None:
        self._folder, self._question = folder, question
        (folder / "workers").mkdir(parents=True, exist_ok=True)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._alive = (folder / "workers" / f"{self._name}.lock").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._distributions = distributions(question)
        self._ended: dict[Job, Trial] = {}
        self._known: set[int] = set()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._locked():
            self._study = _opened(folder / "journal.log", sign)

    def add(self, jobs: Iterable[Job], points: tuple[Settings, ...]) -> int:
        """Add the jobs that nobody has added; return how many that were."""
        with self._locked():
            self._reclaim()
            trials = self._study.get_trials(deepcopy=False)
            dead = [t.user_attrs["key"] for t in trials if "cut_off" in t.user_attrs]
            known = {t.user_attrs["key"] for t in trials if "cut_off" not in t.user_attrs}
            new = [job for job in dict.fromkeys(jobs) if job.key not in known]
            for job in new:
                self._study.add_trial(self._trial(job, points, deaths=dead.count(job.key)))
        return len(new)

    def take(self) -> tuple[int, Job] | None:
        """Take the next trial that waits: its number and its job; None where none does."""
        with self._locked():
            waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            if not waiting:
                return None
            trial = self._study.ask()
            trial.set_user_attr("worker", self._name)
        return trial.number, job_of(trial.user_attrs["key"])

    def tell(self, number: int, job: Job, trial: Trial) -> None:
        """Enter how a trial ended."""
        storage, identity = self._storage(number)
        ended = {"seconds": trial.seconds, "error": trial.error, "run": trial.run}
        storage.set_trial_user_attr(identity, "ended", ended)
        if trial.state == "complete":
            storage.set_trial_state_values(
                identity, TrialState.COMPLETE, [float(trial.score or 0.0)]
            )
        else:
            storage.set_trial_state_values(identity, TrialState.FAIL)
        self._ended[job] = trial
        self._known.add(number)

    def ended(self) -> dict[Job, Trial]:
        """Return every trial that has ended, by its job, whoever ran it."""
        states = (TrialState.COMPLETE, TrialState.FAIL)
        for frozen in self._study.get_trials(deepcopy=False, states=states):
            if frozen.number in self._known:
                continue
            self._known.add(frozen.number)
            if "cut_off" not in frozen.user_attrs:
                one = _trial_of(frozen)
                self._ended.setdefault(one.job, one)
        return dict(self._ended)

    def running(self) -> int:
        """Return how many trials are at work now, here or elsewhere."""
        return len(self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    def close(self) -> None:
        """Say that this process takes no more trials."""
        with contextlib.suppress(OSError):
            (self._folder / "workers" / f"{self._name}.lock").unlink()
        self._alive.close()

    def _trial(self, job: Job, points: tuple[Settings, ...], *, deaths: int) -> FrozenTrial:
        params = params_of(self._question, job, points)
        attributes: dict[str, Any] = {"key": job.key}
        state = TrialState.WAITING
        if deaths >= MOST_DEATHS:
            state = TrialState.FAIL
            said = (
                f"The process that ran it ended without a word, {deaths} times: too little memory?"
            )
            attributes["ended"] = {"seconds": 0.0, "error": said, "run": ""}
        return create_trial(
            state=state, params=dict(params), distributions=self._distributions,
            user_attrs=attributes,
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
    return {"arm": arms, **{one.key: _distribution(one) for one in question.nuisance}}


def params_of(question: Question, job: Job, points: tuple[Settings, ...]) -> dict[str, Any]:
    """Return a job's parameters as Optuna keeps them."""
    return {"arm": question.arms[job.arm].name, **dict(points[job.point])}


def job_of(key: str) -> Job:
    """Return the job of a key."""
    arm, point, repeat = (int(part) for part in key.split("-"))
    return Job(arm=arm, point=point, repeat=repeat)


def _distribution(one: Nuisance) -> BaseDistribution:
    if isinstance(one, Choice):
        return CategoricalDistribution(list(one.values))
    if one.whole:
        return IntDistribution(round(one.low), round(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def _opened(journal: Path, sign: int) -> optuna.Study:
    try:
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=STUDY,
            direction="maximize" if sign > 0 else "minimize",
            sampler=optuna.samplers.RandomSampler(),  # Asked for nothing: every trial is planned.
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
    return Trial(
        job=job_of(frozen.user_attrs["key"]),
        state="complete" if complete else "failed",
        score=frozen.value if complete else None,
        **ended,
    )
