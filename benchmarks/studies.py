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
    sys.path.insert(0, str(ROOT / "tests"))
    from affinage.studies import answering, judging
    from studies import test_simulated_studies as simulated

    # The second opinion and the importances stand beside a verdict and do not enter it.
    vars(judging)["paired_bootstrap"] = lambda table, seed: None
    vars(answering)["importances"] = lambda *_, seed: ()
    random, told = np.random.default_rng(0), {}
    for name, noise in simulated.NOISES.items():
        wrong = sum(
            bool({"helps", "hurts"} & set(simulated.run_study(random, noise)))
            for _ in range(STUDIES)
        )
        found = sum(
            simulated.run_study(random, noise, effect=lambda size: size) == ["helps"]
            for _ in range(STUDIES)
        )
        told[name] = {"false": wrong / STUDIES, "found": found / STUDIES, "n": STUDIES}
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


if __name__ == "__main__":
    place = os.environ.get("AFFINAGE_SAMPLES")
    where = Path(place) if place else ROOT.parent / "shared" / "data"
    wanted = sys.argv[1:] or ["errors", "head_trials"]
    if "errors" in wanted:
        print(json.dumps({"errors": errors()}, indent=1))
    if "head_trials" in wanted:
        print(json.dumps({"head_trials": head_trials(where)}, indent=1))
