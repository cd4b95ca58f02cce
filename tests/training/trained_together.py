"""Run by torchrun, or alone: train on digits and write down what happened.

Arguments: folder of images, output, settings.
"""

import copy
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
from tiny_training import TINY

from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.models.build import build_backbone, stack
from affinage.records.recipe_text import parse_recipe
from affinage.training.finetune import Observed, finetune
from affinage.training.losses import make_objective
from affinage.training.plan import make_plan
from affinage.training.processes import in_shares, joined
from affinage.training.stopping import Scores
from affinage.training.together import Job, leading, lend_a_hand, train_together

IMAGES = 57


def sums(model: torch.nn.Module) -> list[float]:
    return [float(tensor.double().sum()) for tensor in model.state_dict().values()]


def again(job, start, observed, processes, model) -> bool:
    """Rank 0 leads the same training, twice as a run does, and the other lends a hand."""
    if not processes.first:
        return lend_a_hand(processes) == 2
    with leading(processes):
        for phase in ("refit", "finetune"):
            folder = job.folder / phase
            folder.mkdir()
            other = dataclasses.replace(job, model=copy.deepcopy(start), folder=folder, phase=phase)
            train_together(other, observed, device=torch.device("cpu"), processes=processes)
    return sums(other.model) == sums(model)


def main(images: Path, output: Path, settings: list[str]) -> None:
    torch.set_num_threads(1)
    paths = sorted(images.glob("*/*.png"))[:IMAGES]
    items = [Item(content_id(path.read_bytes()), path) for path in paths]
    labels = np.array([int(path.parent.name) for path in paths], dtype=np.int64)
    recipe = parse_recipe(None, [*TINY, *settings])
    with joined() as processes:
        seed = recipe.seed + processes.rank  # Rank 0's weights must win.
        model = stack(build_backbone(recipe.model, seed=seed), classes=3)
        order = np.arange(len(items) - 1, dtype=np.float32)[:, None]
        whole = in_shares(order, lambda part: 2 * part, processes)
        points, wrote = [], []

        def evaluate(module: torch.nn.Module) -> Scores:
            return Scores(judged=float(processes.rank), values={"loss": 1.0})

        observed = Observed(
            evaluate=evaluate if "judge" in output.name else None, evaluate_train=None,
            observe=points.append, progress=lambda done, total: wrote.append(done),
            out_of_time=lambda: False,
        )  # fmt: skip
        job = Job(
            model=model, items=items, targets=labels, classes=3, recipe=recipe, threads=1,
            plan=make_plan(recipe.finetune, len(items)),
            folder=output.parent / f"{output.stem}-checkpoints",
        )  # fmt: skip
        handed = copy.deepcopy(model)
        ended = finetune(
            model, items, labels, recipe=recipe, plan=job.plan, observed=observed, threads=1,
            objective=make_objective(recipe, classes=3, targets=labels), processes=processes,
            folder=job.folder, device=torch.device("cpu"),
        )  # fmt: skip
        same = True
        if "judge" in output.name:
            same = again(job, handed, observed, processes, model)
        output.with_suffix(f".{processes.rank}.json").write_text(
            json.dumps(
                {
                    "world": processes.world,
                    "losses": [p.value for p in points if p.series == "loss"],
                    "seen": [p.value for p in points if p.series == "accuracy"],
                    "steps": ended.steps,
                    "weights": sums(model),
                    "same": same,
                    "gathered": bool((whole == 2 * order).all()),
                    "progress": len(wrote),
                }
            )
        )


if __name__ == "__main__":
    (output := Path(sys.argv[2])).parent.mkdir(parents=True, exist_ok=True)
    (output.parent / f"{output.stem}-checkpoints").mkdir(exist_ok=True)
    main(Path(sys.argv[1]), output, sys.argv[3:])
