"""What the loop costs: a training with events, progress and curves against a bare PyTorch loop."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = 640
ROUNDS = 5
SETTINGS = (
    "finetune.unfreeze=all", "finetune.label_smoothing=0", "model.width=128", "model.height=128",
)  # fmt: skip
"""Small images: the shorter the steps, the more any overhead weighs."""


def overhead(samples: Path) -> dict[str, Any]:
    """Time the same steps both ways on the same images, in turn, and give the median of the ratios."""
    import torch

    from affinage.imaging.batches import Item, augmented_batches
    from affinage.imaging.hashing import content_id
    from affinage.models.build import build_backbone, stack
    from affinage.models.freeze import layer_groups, set_modes, set_trainable
    from affinage.models.process import usable_cores
    from affinage.records.recipe_text import parse_recipe
    from affinage.store.run_folder import RunFolder
    from affinage.training.finetune import Observed, finetune
    from affinage.training.losses import make_objective
    from affinage.training.optimizer import build_optimizer
    from affinage.training.plan import Plan
    from affinage.workflows.reporter import Silent

    recipe = parse_recipe(None, SETTINGS)
    paths = sorted((samples / "flowers12" / "train").glob("*/*.jpg"))[:IMAGES]
    items = [Item(content_id(path.read_bytes()), path) for path in paths]
    names = sorted({path.parent.name for path in paths})
    labels = np.array([names.index(path.parent.name) for path in paths], dtype=np.int64)
    cpu, threads = torch.device("cpu"), usable_cores()
    torch.set_num_threads(threads)
    plan = Plan(steps=len(items) // 32, steps_per_epoch=len(items) // 32)

    def fresh() -> Any:
        return stack(build_backbone(recipe.model), classes=len(names))

    def bare() -> None:
        model = fresh()
        groups = layer_groups(model)
        set_trainable(model, groups)
        optimizer = build_optimizer(model, groups, recipe.optimizer, layer_decay=0.85)
        set_modes(model, batchnorm="frozen")
        criterion = torch.nn.CrossEntropyLoss()
        views = augmented_batches(
            items,
            model.preprocessing,
            recipe.augment,
            seed=0,
            epoch=0,
            batch_size=32,
            threads=threads,
        )
        for start, images in enumerate(views):
            wanted = torch.from_numpy(labels[start * 32 :][: len(images)])
            optimizer.zero_grad(set_to_none=True)
            criterion(model(torch.from_numpy(images)), wanted).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    def ours() -> None:
        with tempfile.TemporaryDirectory() as name:
            run = RunFolder(Path(name))
            reporter = Silent()
            finetune(
                fresh(), items, labels, recipe=recipe, plan=plan, device=cpu, threads=threads,
                objective=make_objective(recipe, classes=len(names), targets=labels),
                observed=Observed(
                    evaluate=None, evaluate_train=None, observe=run.observe,
                    progress=lambda done, total: reporter.phase("fine-tuning", done, total),
                    out_of_time=lambda: False,
                ),
                folder=Path(name),
            )  # fmt: skip

    bare()  # Warm: images in the page cache, kernels chosen.
    pairs = []
    for _ in range(ROUNDS):
        pairs.append((_seconds(bare), _seconds(ours)))
        print(f"bare and ours, s and s of processor: {pairs[-1]}", flush=True)
    wall, processor = ([mine[kind] / plain[kind] for plain, mine in pairs] for kind in (0, 1))
    return {
        "steps of 32 images": plan.steps,
        "bare loop, s, median": round(statistics.median(plain[0] for plain, _ in pairs), 2),
        "ratio of times, median (goal: at most 1.03, the checkpoint of the end included)": round(
            statistics.median(wall), 3
        ),
        "ratio of processor times, median": round(statistics.median(processor), 3),
        "ratios of times": [round(ratio, 3) for ratio in sorted(wall)],
    }


def _seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Return the time that passed and the processor time that was used."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]
