"""fastai as its book has it: `vision_learner`, random crops, `aug_transforms`, `fine_tune` at its rate.

Runs alone in an environment without Affinage: `python peers_fastai.py JOB.json` prints one line of JSON.
One epoch with the body frozen, then as many whole epochs as fit into the time (rounded to the nearest).
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH, TRIAL_STEPS, SECONDS_TO_FINISH = 32, 6, 1.5
CLOCKS = {"wall": time.time, "processor": time.process_time}


def main(job: dict[str, Any]) -> dict[str, Any]:
    import timm
    from fastai.vision.all import accuracy, set_seed, vision_learner
    from safetensors.torch import load_file

    set_seed(job["seed"])
    blocks = loaders(job)
    body = timm.create_model(job["backbone"], num_classes=0).state_dict().keys()
    assert set(load_file(job["weights"])) == set(body), "other weights than the body's"

    def learner() -> Any:
        return vision_learner(
            blocks, job["backbone"], metrics=accuracy,
            pretrained_cfg_overlay={"file": job["weights"]},
        )  # fmt: skip

    epochs = affordable(learner(), blocks, job)
    learn = learner()
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs)
        tests = blocks.test_dl(job["test"])
        scores, _ = learn.get_preds(dl=tests)
    names = list(blocks.vocab)
    found = [names[index] for index in scores.argmax(1).tolist()]
    right = sum(name == label for name, (_, label) in zip(found, job["test"], strict=True))
    return {"right": right, "n": len(found), "epochs": epochs}


def loaders(job: dict[str, Any]) -> Any:
    """Return fastai's loaders over all training images; one of them stands in as validation."""
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        RandomResizedCrop,
        aug_transforms,
    )

    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=_path,
        get_y=_label,
        splitter=_no_validation,
        item_tfms=RandomResizedCrop(224, min_scale=0.5),
        batch_tfms=aug_transforms(),
    )
    return block.dataloaders(job["train"], bs=BATCH, num_workers=job["workers"])


def _path(row):  # type: ignore[no-untyped-def]  # fastai reads annotations as types to dispatch on.
    return row[0]


def _label(row):  # type: ignore[no-untyped-def]
    return row[1]


def _no_validation(rows: Any) -> tuple[list[int], list[int]]:
    return list(range(len(rows))), [0]


def affordable(learn: Any, blocks: Any, job: dict[str, Any]) -> int:
    """Return how many epochs fit after the frozen one, the last look paid first."""
    now = CLOCKS[job["clock"]]
    frozen = _step_seconds(learn, blocks, now)
    learn.unfreeze()
    free = _step_seconds(learn, blocks, now)
    steps = len(blocks.train)
    look = frozen * len(job["test"]) / BATCH
    left = job["seconds"] - (now() - job["began"]) - look - SECONDS_TO_FINISH
    return max(1, round((left - frozen * steps) / (free * steps)))


def _step_seconds(learn: Any, blocks: Any, now: Callable[[], float]) -> float:
    learn.model.train()
    learn.create_opt()
    times = [now()]
    for images, labels in itertools.islice(blocks.train, TRIAL_STEPS):
        learn.loss_func(learn.model(images), labels).backward()
        learn.opt.step()
        learn.opt.zero_grad()
        times.append(now())
    return statistics.median(b - a for a, b in itertools.pairwise(times[1:]))


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
