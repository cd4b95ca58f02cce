"""How far a search ends from the best of a table of stored trials: `python -m benchmarks.studies regret`.

Tables are the `trials.csv` of studies with tuned numbers, named by AFFINAGE_BENCH_TABLE, with `:` between
several: what is asked of a setting is what its nearest stored neighbour scored.
"""

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from affinage.records.question import Question, Search, Span
from affinage.store.trial_queue import distribution
from affinage.studies.design import nuisance_points, place_of
from affinage.studies.narrowing import narrowed
from affinage.studies.searching import next_settings, space_of_try

WIDE = 20.0
"""A range whose ends differ by more than this factor is searched by its logarithm."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Stored trials: where they lie in their ranges, and what they scored, more is better."""

    space: tuple[Span, ...]
    places: Any
    scores: Any

    def __call__(self, settings: dict[str, Any]) -> float:
        """Return what the nearest stored trial scored."""
        here = np.array([place_of(one, settings[one.key]) for one in self.space])
        return float(self.scores[((self.places - here) ** 2).sum(axis=1).argmin()])


def regret(*, tries: int = 24, searches: int = 100) -> dict[str, Any]:
    """Return by how much each search falls short of each table's best, at the same number of trials.

    Ours explores a third by a Sobol sequence, narrows, and goes on by TPE there and, every other time,
    anywhere; Optuna's TPE has its own defaults.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = {}
    for place in os.environ["AFFINAGE_BENCH_TABLE"].split(os.pathsep):
        table = read_table(Path(place))
        best = float(table.scores.max())
        gaps = {
            name: np.array([best - search(table, tries, seed) for seed in range(searches)])
            for name, search in (("ours", _ours), ("optuna_tpe", _optuna))
        }
        difference = gaps["ours"] - gaps["optuna_tpe"]
        found[Path(place).parent.name] = {
            "trials": len(table.scores), "settings": len(table.space), "tries": tries,
            "searches": searches, "spread": float(table.scores.std()),
            **{f"mean_regret_{name}": float(gap.mean()) for name, gap in gaps.items()},
            "difference": float(difference.mean()),
            "standard_error": float(difference.std(ddof=1) / np.sqrt(searches)),
        }  # fmt: skip
    return found


def read_table(file: Path) -> Scores:
    """Return the complete explored trials of a study; errors are negated, so that more is better."""
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    rows = [row for row in rows if row["stage"] == "explore" and row["state"] == "complete"]
    names = list(rows[0])
    metric = names[names.index("repeat") + 1]
    keys = names[1 : names.index("stage")]
    values = np.array([[float(row[key]) for key in keys] for row in rows])
    space = tuple(
        Span(
            key=key, low=float(v.min()), high=float(v.max()),
            log=bool(v.min() > 0 and v.max() / v.min() >= WIDE),
        )
        for key, v in zip(keys, values.T, strict=True)
    )  # fmt: skip
    places = [
        [place_of(one, value) for one, value in zip(space, row, strict=True)] for row in values
    ]
    sign = -1 if metric in ("log_loss", "mae", "loss") else 1
    scores = sign * np.array([float(row[metric]) for row in rows])
    return Scores(space=space, places=np.array(places), scores=scores)


def _ours(table: Scores, tries: int, seed: int) -> float:
    points, space = tries // 3, table.space
    design = nuisance_points(space, points=points, seed=seed)
    explored = sorted(((one, table(dict(one))) for one in design), key=lambda pair: -pair[1])
    question = Question(question="?", sources=(), arms=(), nuisance=space, points=points)
    inner = narrowed(question, explored)
    wide = {one.key: distribution(one) for one in space}
    seen = [
        optuna.trial.create_trial(value=found, params=dict(one), distributions=wide)
        for one, found in explored
    ]
    for number in range(tries - points):
        here = space_of_try(number, inner, space)
        words = {one.key: distribution(one) for one in here}
        asked = dict(
            next_settings(
                Search(method="tpe"), here, words, seen, sign=1, seed=1000 * seed + number
            )
        )
        seen.append(
            optuna.trial.create_trial(value=table(asked), params=asked, distributions=words)
        )
    return max(trial.value or -np.inf for trial in seen)


def _optuna(table: Scores, tries: int, seed: int) -> float:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    words = {one.key: distribution(one) for one in table.space}
    for _ in range(tries):
        trial = study.ask(words)
        study.tell(trial, table(trial.params))
    return float(study.best_value)
