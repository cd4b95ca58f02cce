"""A small training on real digits, with a network that takes milliseconds."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import TINY

from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.models.build import build_backbone, stack
from affinage.models.classifier import Classifier
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import parse_recipe
from affinage.records.signals import Point
from affinage.training.finetune import Finetuned, Observed, finetune
from affinage.training.losses import make_objective
from affinage.training.plan import Plan, make_plan

CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits:
    """Real digits, and how a training of them goes."""

    items: list[Item]
    labels: np.ndarray

    def recipe(self, *settings: str) -> Recipe:
        return parse_recipe(None, [*TINY, *settings])

    def model(self, recipe: Recipe) -> Classifier:
        return stack(build_backbone(recipe.model), classes=3, dropout=recipe.model.dropout)

    def plan(self, recipe: Recipe) -> Plan:
        return make_plan(recipe.finetune, len(self.items))

    def train(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        model: Classifier | None = None,
        targets: Any = None,
        evaluate: Callable[[Classifier], Any] | None = None,
        out_of_time: Callable[[], bool] = lambda: False,
        points: list[Point] | None = None,
        threads: int = 2,
        cuts: tuple[tuple[float, float], ...] = (),
    ) -> tuple[Classifier, Finetuned]:
        model = model or self.model(recipe)
        table = self.labels if targets is None else targets
        objective = make_objective(
            recipe, classes=3, targets=table if isinstance(table, np.ndarray) else self.labels
        )
        seen = points if points is not None else []
        ended = finetune(
            model, self.items, table, objective=objective, recipe=recipe, plan=self.plan(recipe),
            observed=Observed(
                evaluate=evaluate, evaluate_train=None, observe=seen.append,
                progress=lambda done, total: None, out_of_time=out_of_time,
            ),
            folder=folder, device=CPU, threads=threads, cuts=cuts,
        )  # fmt: skip
        return model, ended


@pytest.fixture(scope="session")
def small(digits: Path) -> Digits:
    paths = sorted(digits.glob("*/*.png"))
    return Digits(
        items=[Item(content_id(path.read_bytes()), path) for path in paths],
        labels=np.array([int(path.parent.name) for path in paths], dtype=np.int64),
    )


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on two threads, and very much so beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
