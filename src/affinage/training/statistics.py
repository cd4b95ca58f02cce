"""BatchNorm statistics measured anew on training images, once the weights are final."""

from collections.abc import Sequence

import numpy as np
import torch

from affinage.imaging.batches import Item, prepared_batches
from affinage.models.classifier import Classifier, batchnorms
from affinage.models.freeze import set_modes
from affinage.training.feeding import seed_of

IMAGES = 2048
"""Their means and variances are as good as those of all: the error of a mean falls with 1/√n."""


def recompute_statistics(
    model: Classifier,
    items: Sequence[Item],
    *,
    seed: int,
    batch_size: int,
    device: torch.device,
    threads: int,
) -> int:
    """Replace the statistics that adapted in training by those of training images under these weights.

    The running statistics of training lag behind the weights. Here every adapting layer gets the plain
    mean over batches of images as evaluation sees them. Frozen layers keep theirs.

    Args:
        model: On `device`; which parameters are trained tells which layers adapt.
        items: Training images; a fixed sample of 2,048 is used where there are more.
        seed: Of that sample.
        batch_size: Images per batch; a short last one is left out, unless it is the only one.
        device: Where to compute.
        threads: Threads that decode ahead.

    Returns:
        How many layers were measured.

    Source:
        Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, section 3.
    """
    set_modes(model, batchnorm="recompute")
    layers = [layer for layer in batchnorms(model) if layer.training]
    model.eval()
    if not layers:
        return 0
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # A cumulative mean.
        layer.train()
    with torch.no_grad():
        for images in prepared_batches(
            _sample(items, seed, batch_size), model.preprocessing,
            batch_size=batch_size, threads=threads,
        ):  # fmt: skip
            model(torch.from_numpy(images).to(device))
    model.eval()
    return len(layers)


def _sample(items: Sequence[Item], seed: int, batch_size: int) -> list[Item]:
    count = min(IMAGES, len(items))
    count = count // batch_size * batch_size or count
    order = np.random.default_rng(seed_of(seed, "statistics")).permutation(len(items))
    return [items[index] for index in order[:count]]
