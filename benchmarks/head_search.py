"""A head's settings searched by Affinage, Optuna and KerasTuner on the same features.

`python -m benchmarks.studies search [SET]`: each has the same seconds of processor time on one thread, the
same features, the same images to learn from and to be scored on. Affinage and Optuna fit logistic
regression to its optimum over the penalty; KerasTuner searches penalty and learning rate of a Dense
layer with softmax trained by Adam, since that is what it tunes. Shown are the best score that each has
found, and after how many seconds the others had reached KerasTuner's.
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
HELD = 0.25
"""Share of the images that are scored."""

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
    """Features, class indices, and parts: learnt from where 0, scored where 1."""

    features: Any
    labels: Any
    parts: Any

    def score(self, penalty: float, heads: Any) -> float:
        """Return the accuracy on part 1 of a head that learnt from part 0."""
        held = self.parts == 1
        logits = heads.logits(
            self.labels, int(self.labels.max()) + 1, penalty=penalty,
            parts=self.parts - 1,  # Only the part 0 is held out: what is below is learnt from.
        )  # fmt: skip
        return float((logits[held].argmax(1) == self.labels[held]).mean())


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
            "set": name, "seed": seed, "learnt_from": int((bench.parts == 0).sum()),
            "scored_on": int((bench.parts == 1).sum()), "affinage": _summary(ours),
            "optuna": _summary(theirs),
        }  # fmt: skip
        for how in ("bayesian", "hyperband"):
            course = _keras(bench, how, seed)
            told[f"keras_{how}"] = _summary(course) | {
                f"{whose}_has_it_after_s": _reached(found, course[-1].best)
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
    parts = (np.random.default_rng(1).random(len(rows)) < HELD).astype(np.int64)
    return Bench(features=rows, labels=pool.targets, parts=parts)


def _timed(bench: Bench, search: Callable[[Callable[[float], float]], None]) -> list[Step]:
    """Return the course of a search, which ends when its seconds are spent."""
    from affinage.heads.held_out import HeldOutHeads

    start, course = time.process_time(), list[Step]()
    heads = HeldOutHeads(bench.features)  # Turning the features is part of the cost.

    def score(penalty: float) -> float:
        if time.process_time() - start > SECONDS:
            raise TimeoutError
        found = bench.score(penalty, heads)
        best = max([found, *(step.best for step in course[-1:])])
        course.append(Step(seconds=time.process_time() - start, best=best))
        return found

    with contextlib.suppress(TimeoutError):
        search(score)
    return course


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


def _keras(bench: Bench, how: str, seed: int) -> list[Step]:
    """Return the course of a search by KerasTuner, in its own environment, without its start-up."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/bench.npz", **vars(bench))
        done = subprocess.run(
            [python_of("keras_tuner", PEER), Path(__file__).with_name("peers_keras_tuner.py"),
             how, folder, str(SECONDS), str(seed)],
            check=True, capture_output=True, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
    return [Step(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def _summary(course: list[Step]) -> dict[str, float]:
    last = course[-1]
    return {
        "best": last.best, "tried": len(course), "found_after_s": _reached(course, last.best) or 0.0,
    }  # fmt: skip


def _reached(course: list[Step], score: float) -> float | None:
    """Return after how many seconds a search had a score; None where it never had."""
    return next((step.seconds for step in course if step.best >= score - ROUNDING), None)
