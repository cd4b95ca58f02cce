"""A head's settings searched by Affinage, Optuna and KerasTuner on the same features.

`python -m benchmarks.studies search [SET]`: each has the same seconds of processor time on one thread, the
same features, the same images to learn from and to be scored on. Affinage and Optuna fit logistic
regression to its optimum over the penalty; KerasTuner searches penalty and learning rate of a Dense
layer with softmax trained by Adam, since that is what it tunes. Shown are the best score that each has
found, what that head scores on fresh images that chose nothing, and after how many seconds the others
had reached KerasTuner's.
"""

import contextlib
import functools
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.venvs import Peer, python_of

PEER = {
    "keras_tuner": Peer(
        packages=("keras-tuner[bayesian]", "tensorboard", "tensorflow-cpu"), pinned=()
    ),
}
SECONDS = 5.0
"""Of processor time, for each search."""

PENALTY, LOW, HIGH = "penalty", 1e-4, 10.0
LEARNT, HELD, FRESH = 0, 1, 2
SHARES = (0.6, 0.2, 0.2)
"""Of the images: to learn from, to be scored on in the search, and to score what it has chosen."""

ROUNDING = 1e-6
"""KerasTuner's scores are of single precision."""

EXPLORED = 8
"""Settings of ours that are spread evenly, before those that are chosen by what was seen."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A trial that has ended: seconds of processor time since the start, and the best score so far."""

    seconds: float
    best: float


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Features, class indices, and parts: LEARNT, HELD, FRESH."""

    features: Any
    labels: Any
    parts: Any

    def score(self, penalty: float, heads: Any, *, on: int = HELD) -> float:
        """Return the accuracy on a part of a head that learnt from the first."""
        asked, learnt = self.parts == on, self.parts == LEARNT
        logits = heads.logits(
            self.labels, int(self.labels.max()) + 1, penalty=penalty, learning=learnt,
            parts=np.where(learnt, -1, 0),  # No part below 0 is held out.
        )  # fmt: skip
        return float((logits[asked].argmax(1) == self.labels[asked]).mean())


@dataclass(frozen=True, kw_only=True)
class Found:
    """The course of a search, and what the best that it found scores on fresh images."""

    course: list[Step]
    fresh: float


def measured(samples: Path, *, name: str, images: int, seeds: int = 5) -> Iterator[dict[str, Any]]:
    """Yield what each search found on a set, and when, for one seed of the searches after the other.

    Args:
        samples: Where the image sets lie.
        name: Of the set.
        images: Use at most so many.
        seeds: How often each searches.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # A line for each trial costs its share.
    bench = _bench(samples / name / "labels.csv", images)
    for seed in range(seeds):
        ours, theirs = (
            _timed(bench, functools.partial(how, seed=seed)) for how in (_ours, _optuna)
        )
        told: dict[str, Any] = {
            "set": name, "seed": seed,
            **{
                part: int((bench.parts == number).sum())
                for number, part in ((LEARNT, "learnt_from"), (HELD, "scored_on"), (FRESH, "fresh_images"))
            },
            "affinage": _summary(ours), "optuna": _summary(theirs),
        }  # fmt: skip
        for how in ("bayesian", "hyperband"):
            keras = _keras(bench, how, seed)
            told[f"keras_{how}"] = _summary(keras) | {
                f"{whose}_has_it_after_s": _reached(found.course, keras.course[-1].best)
                for whose, found in (("affinage", ours), ("optuna", theirs))
            }
        yield told


def _bench(source: Path, images: int) -> Bench:
    from affinage.records.question import Question
    from affinage.records.recipe import Recipe
    from affinage.workflows.reporter import Silent
    from affinage.workflows.study_data import open_pool
    from affinage.workflows.study_features import shared_features

    with tempfile.TemporaryDirectory() as folder:
        data = os.environ.get("AFFINAGE_BENCH_DATA") or folder
        place = str(Path(data) / source.parent.name)
        question = Question(
            question="?", sources=(str(source),), arms=(), images=images, data=place
        )
        pool = open_pool(question, Recipe(), reporter=Silent())
        rows = shared_features(pool, Recipe(), told=Silent())
    parts = np.random.default_rng(1).choice(3, size=len(rows), p=SHARES)
    return Bench(features=rows, labels=pool.targets, parts=parts)


def _timed(bench: Bench, search: Callable[[Callable[[float], float]], None]) -> Found:
    """Return what a search finds, which ends when its seconds are spent."""
    from affinage.heads.held_out import HeldOutHeads

    start, course, chosen = time.process_time(), list[Step](), LOW
    heads = HeldOutHeads(bench.features)  # Turning the features is part of the cost.

    def score(penalty: float) -> float:
        nonlocal chosen
        if time.process_time() - start > SECONDS:
            raise TimeoutError
        found = bench.score(penalty, heads)
        if not course or found > course[-1].best:
            chosen = penalty
        best = max([found, *(step.best for step in course[-1:])])
        course.append(Step(seconds=time.process_time() - start, best=best))
        return found

    with contextlib.suppress(TimeoutError):
        search(score)
    return Found(course=course, fresh=bench.score(chosen, heads, on=FRESH))


def _ours(score: Callable[[float], float], *, seed: int) -> None:
    """Explore by a Sobol sequence, narrow, and go on by TPE there and, every other time, anywhere."""
    from affinage.records.question import Question, Search, Span
    from affinage.store.trial_queue import distribution
    from affinage.studies.design import nuisance_points
    from affinage.studies.narrowing import narrowed
    from affinage.studies.searching import next_settings, space_of_try

    space = (Span(key=PENALTY, low=LOW, high=HIGH, log=True),)
    design = nuisance_points(space, points=EXPLORED, seed=seed)
    explored = [(one, score(_penalty(one))) for one in design]
    explored.sort(key=lambda pair: -pair[1])
    inner = narrowed(
        Question(question="?", sources=(), arms=(), nuisance=space, points=EXPLORED), explored
    )
    wide = {PENALTY: distribution(space[0])}
    seen = [
        optuna.trial.create_trial(value=found, params=dict(one), distributions=wide)
        for one, found in explored
    ]
    for number in itertools.count():
        here = space_of_try(number, inner, space)
        words = {PENALTY: distribution(here[0])}
        asked = next_settings(
            Search(method="tpe"), here, words, seen, sign=1, seed=1000 * seed + number
        )
        found = score(_penalty(asked))
        seen.append(optuna.trial.create_trial(value=found, params=dict(asked), distributions=words))


def _penalty(settings: Any) -> float:
    return float(dict(settings)[PENALTY])


def _optuna(score: Callable[[float], float], *, seed: int) -> None:
    """Search with Optuna's defaults."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(
        lambda trial: score(trial.suggest_float(PENALTY, LOW, HIGH, log=True)), n_trials=100_000
    )


def _keras(bench: Bench, how: str, seed: int) -> Found:
    """Return what a search by KerasTuner finds, in its own environment, without its start-up."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/bench.npz", **vars(bench))
        done = subprocess.run(
            [python_of("keras_tuner", PEER), Path(__file__).with_name("peers_keras_tuner.py"),
             how, folder, str(SECONDS), str(seed)],
            check=True, capture_output=True, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    return Found(course=[Step(**one) for one in told["course"]], fresh=told["fresh"])


def _summary(found: Found) -> dict[str, float]:
    course, last = found.course, found.course[-1]
    return {
        "best": last.best, "fresh": found.fresh, "tried": len(course),
        "found_after_s": _reached(course, last.best) or 0.0,
    }  # fmt: skip


def _reached(course: list[Step], score: float) -> float | None:
    """Return after how many seconds a search had a score; None where it never had."""
    return next((step.seconds for step in course if step.best >= score - ROUNDING), None)
