"""A tuned plain script: timm, AdamW and one cycle, as many steps as fit into the time it is given.

Runs alone in an environment without Affinage: `python peers_plain.py JOB.json` prints one line of JSON.
BatchNorm is frozen, the rate was chosen among three on validation beforehand; crop, flip, cross-entropy.
"""

import copy
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BATCH, TRIAL_STEPS, SECONDS_TO_FINISH = 32, 7, 1.5
CLOCKS = {"wall": time.time, "processor": time.process_time}


def main(job: dict[str, Any]) -> dict[str, Any]:
    import timm
    import torch
    from safetensors.torch import load_file

    torch.manual_seed(job["seed"])
    classes = sorted({label for _, label in job["train"]})
    batches = endless(loader(job["train"], classes, job["workers"], train=True))
    model = timm.create_model(job["backbone"], num_classes=len(classes))
    missing = model.load_state_dict(load_file(job["weights"]), strict=False)
    assert set(missing.missing_keys) == {"classifier.weight", "classifier.bias"}, missing
    model = model.to(memory_format=torch.channels_last)
    tests = loader(job["test"], classes, job["workers"], train=False)
    steps = affordable(copy.deepcopy(model), batches, job, tests)
    fit(model, batches, steps, job["rate"])
    right = correct(model, tests)
    return {"right": right, "n": len(job["test"]), "steps": steps}


def loader(rows: list[list[str]], classes: list[str], workers: int, *, train: bool) -> Any:
    """Return batches of images and class indices; shuffled and augmented for training."""
    import torch
    from PIL import Image
    from torchvision import transforms as change

    bicubic = change.InterpolationMode.BICUBIC
    grow = [change.RandomResizedCrop(224, scale=(0.5, 1), interpolation=bicubic),
            change.RandomHorizontalFlip()]  # fmt: skip
    fit_in = [change.Resize(256, interpolation=bicubic), change.CenterCrop(224)]
    whole = change.Compose([
        *(grow if train else fit_in), change.ToTensor(), change.Normalize([0.5] * 3, [0.5] * 3),
    ])  # fmt: skip

    class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            path, label = rows[index]
            return whole(Image.open(path).convert("RGB")), classes.index(label)

    return torch.utils.data.DataLoader(
        Rows(),
        BATCH,
        shuffle=train,
        drop_last=train,
        num_workers=workers,
        persistent_workers=train and workers > 0,
    )


def endless(batches: Any) -> Iterator[Any]:
    """Return the batches of epoch after epoch."""
    return itertools.chain.from_iterable(itertools.repeat(batches))


def affordable(trial: Any, batches: Iterator[Any], job: dict[str, Any], tests: Any) -> int:
    """Return how many steps fit into what is left of the time, the last look paid first."""
    now = CLOCKS[job["clock"]]
    times: list[float] = []
    fit(trial, batches, TRIAL_STEPS, 1e-5, after=lambda: times.append(now()))
    step = statistics.median(b - a for a, b in itertools.pairwise(times))
    # A forward pass is a third of a step; reading goes on beside both.
    look = step / 3 * len(tests)
    left = job["seconds"] - (now() - job["began"]) - look - SECONDS_TO_FINISH
    return max(1, int(left / step))


def fit(
    model: Any,
    batches: Iterator[Any],
    steps: int,
    rate: float,
    *,
    after: Callable[[], object] = int,
) -> None:
    """Train a model for so many steps under one cycle."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    for images, labels in itertools.islice(batches, steps):
        logits = model(images.to(memory_format=torch.channels_last))
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        after()


def correct(model: Any, tests: Any) -> int:
    """Return how many test images are called what they are."""
    import torch

    model.eval()
    with torch.inference_mode():
        return sum(
            int((model(images).argmax(1) == labels).sum().item()) for images, labels in tests
        )


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
