"""What a study costs beside its trainings, and how often it is wrong: `python -m benchmarks.studies`.

The speed of head-level trials needs the sample image sets; the error rates are simulated with the same
functions that a study calls (`tests/studies/test_simulated_studies.py`).
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

STUDIES = 2000
ROOT = Path(__file__).resolve().parents[1]


def errors() -> dict[str, Any]:
    """Return shares of simulated studies that are wrong, and that find what was announced."""
    simulated, _ = _simulations()
    random, told = np.random.default_rng(0), {}
    kinds = [(name, noise, simulated.run_study) for name, noise in simulated.NOISES.items()]
    kinds += [(name, noise, simulated.run_share_study) for name, noise in simulated.SHARES.items()]
    for name, noise, run in kinds:
        for arms in (2, 5, 15):
            wrong = sum(
                bool({"helps", "hurts"} & set(run(random, noise, arms=arms)))
                for _ in range(STUDIES)
            )
            told[f"{name}, {arms} arms"] = {"false": wrong / STUDIES, "n": STUDIES}
        found = sum(
            run(random, noise, effect=lambda size: size) == ["helps"] for _ in range(STUDIES)
        )
        told[f"{name}, 2 arms"]["found"] = found / STUDIES
    return told


def tuned_errors() -> dict[str, Any]:
    """Return the same of studies in which both arms are tuned, by noise and by how narrow the best is."""
    simulated, tuned = _simulations()
    random, told = np.random.default_rng(0), {}
    for name, noise in simulated.NOISES.items():
        for curve in tuned.CURVES:
            wrong = sum(
                tuned.run_tuned_study(random, noise, curve) in ("helps", "hurts")
                for _ in range(STUDIES)
            )
            found = sum(
                tuned.run_tuned_study(random, noise, curve, size=1.0) == "helps"
                for _ in range(STUDIES)
            )
            told[f"{name}, tuned, {curve:g} a decade squared"] = {
                "false": wrong / STUDIES, "found": found / STUDIES, "n": STUDIES,
            }  # fmt: skip
    return told


def bounds() -> dict[str, Any]:
    """Return in which share of explorations a range is said to cut the optimum off."""
    simulated, _ = _simulations()
    random, told = np.random.default_rng(0), {}
    for optimum in (-5.0, 0.0, -3.2, -2.5, -1.8):
        named = sum(
            any(
                f.code == "optimum-at-bound"
                for f in simulated.explored_study(random, optimum).findings
            )
            for _ in range(STUDIES)
        )
        told[f"range 1e-4..1e-1, optimum 10^{optimum:g}"] = {"named": named / STUDIES, "n": STUDIES}
    return told


def _simulations() -> tuple[Any, Any]:
    """Return the simulations of the tests, without what does not enter a verdict."""
    sys.path.insert(0, str(ROOT / "tests"))
    from affinage.studies import answering, judging
    from studies import test_simulated_studies as simulated
    from studies import test_tuned_studies as tuned

    vars(judging)["paired_bootstrap"] = lambda table, seed: None
    vars(answering)["importances"] = lambda *_, seed: ()
    return simulated, tuned


def head_trials(samples: Path, *, trials: int = 200, images: int = 1000) -> dict[str, Any]:
    """Time a study of head-level trials on cached features of malaria cells, and what is not fitting."""
    import affinage
    from affinage.workflows.reporter import Silent

    with tempfile.TemporaryDirectory() as folder:
        data = os.environ.get("AFFINAGE_BENCH_DATA") or f"{folder}/data"
        given: dict[str, Any] = {
            "settings": ["split.test=0", "features.folds=5"], "images": images, "data": data,
            "reporter": Silent(), "again": True,
        }  # fmt: skip
        source = samples / "malaria" / "labels.csv"
        affinage.study(
            source, nuisance=["features.penalties=1e-4..10"], points=1, repeats=1,
            output=f"{folder}/warm", **given,
        )  # fmt: skip
        wall, cpu = time.perf_counter(), time.process_time()
        study = affinage.study(
            source, nuisance=["features.penalties=1e-4..10"], points=trials - 3, repeats=3,
            output=f"{folder}/timed", **given,
        )  # fmt: skip
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        answer = study.answer
        assert answer is not None
        n = study.record.images
    return {
        "trials": answer.trials, "images": n, "wall_s": wall, "cpu_s": cpu,
        "fitting_s": answer.seconds, "overhead_ms": 1000 * (wall - answer.seconds) / answer.trials,
    }  # fmt: skip


def queue(*, trials: int = 10_000) -> dict[str, Any]:
    """Time what a trial costs beside its work, as a study fills up: enter, take, tell and look."""
    from affinage.records.question import Arm, Question, Span
    from affinage.records.study import Job, Trial
    from affinage.store.trial_queue import TrialQueue

    half = trials // 2
    question = Question(
        question="?", sources=("x",), arms=(Arm(name="a", settings=()), Arm(name="b", settings=())),
        nuisance=(Span(key="lr", low=1e-4, high=2.0, log=True),), points=half,
    )  # fmt: skip
    points = tuple((("lr", 1e-4 + place / trials),) for place in range(half))
    jobs = [Job(arm=arm, point=point, repeat=0) for point in range(half) for arm in (0, 1)]
    told: dict[str, Any] = {"cpu_ms_a_trial": {}, "wall_ms_a_trial": {}}
    with tempfile.TemporaryDirectory() as folder:
        waiting = TrialQueue(Path(folder), question, sign=1)
        step, done = max(1, trials // 5), 0
        cpu, wall = time.process_time(), time.perf_counter()
        while True:
            ended = waiting.ended()  # As a worker does: once for each trial.
            left = [job for job in jobs if job not in ended]
            if not left:
                break
            waiting.add(left, points)
            taken = waiting.take()
            assert taken is not None
            number, job = taken
            waiting.tell(number, job, Trial(job=job, state="complete", score=0.5, seconds=0.1))
            done = len(ended) + 1
            if done % step == 0:
                told["cpu_ms_a_trial"][done] = 1000 * (time.process_time() - cpu) / step
                told["wall_ms_a_trial"][done] = 1000 * (time.perf_counter() - wall) / step
                cpu, wall = time.process_time(), time.perf_counter()
        waiting.close()
        start = time.process_time()
        again = TrialQueue(Path(folder), question, sign=1)
        again.ended()
        again.close()
        told["reopened_cpu_s"] = time.process_time() - start
    return told


if __name__ == "__main__":
    place = os.environ.get("AFFINAGE_SAMPLES")
    where = Path(place) if place else ROOT.parent / "shared" / "data"
    wanted = sys.argv[1:] or ["errors", "tuned_errors", "bounds", "head_trials"]
    for simulate in (errors, tuned_errors, bounds):
        if simulate.__name__ in wanted:
            print(json.dumps({simulate.__name__: simulate()}, indent=1))
    if "head_trials" in wanted:
        print(json.dumps({"head_trials": head_trials(where)}, indent=1))
    if "queue" in wanted:
        print(json.dumps({"queue": queue()}, indent=1))
    if "same_questions" in wanted:
        from benchmarks.real_questions import real_questions

        for one in real_questions(where, wanted):
            print(json.dumps(one), flush=True)
    if "search" in wanted:
        from benchmarks.head_search import measured

        for name, images in (("flowers12", 720), ("cifar10", 2000)):
            if name not in wanted and len(wanted) > 1:
                continue
            for one in measured(where, name=name, images=images):
                print(json.dumps(one, indent=1), flush=True)
    if "regret" in wanted:
        from benchmarks.regret import regret

        print(json.dumps({"regret": regret()}, indent=1))
