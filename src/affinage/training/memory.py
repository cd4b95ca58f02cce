"""How much memory a training step needs, told by a small one, and how much there is."""

import contextlib
from pathlib import Path

import torch
from torch import Tensor

from affinage.models.classifier import Classifier
from affinage.models.freeze import set_modes
from affinage.records.recipe import Recipe
from affinage.training.precision import autocast, precision_of

USABLE = 0.5
"""Share of the free memory that a step may take: allocators keep pieces, and images wait in line."""

OVERHEAD = 2.0
"""What a step needs at its peak over what it keeps for the backward pass: the gradients of activations on
their way, and scratch space. Measured on a processor: 1.2 for ViT-tiny, 1.4 for EfficientNet-Lite0, 1.7
for ResNet-18 (growth of the peak from 8 to 40 images, docs/log.md)."""


def bytes_per_image(model: Classifier, recipe: Recipe, device: torch.device) -> float:
    """Return the bytes of activations that a training step keeps for each image.

    Every tensor that autograd saves is weighed, each storage once, for 2 images and for 4; the
    difference is what grows with the batch, exactly. The model is left as it was.

    Args:
        model: With what is trained in it chosen.
        recipe: Its BatchNorm mode and precision count.
        device: Where the model is.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    few, more = (_saved(model, recipe, device, images) for images in (2, 4))
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    return OVERHEAD * (more - few) / 2


def _saved(model: Classifier, recipe: Recipe, device: torch.device, images: int) -> int:
    size = model.preprocessing
    batch = torch.zeros((images, size.height, size.width, 3), dtype=torch.uint8, device=device)
    seen: dict[int, int] = {}

    def weigh(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    set_modes(model, batchnorm=recipe.finetune.batchnorm)
    with (
        torch.random.fork_rng(),
        torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor),
        autocast(device, precision_of(recipe.compute)),
    ):
        outputs = model(batch)
    del outputs
    return sum(seen.values())


def free_bytes(device: torch.device) -> int:
    """Return the memory that a training may still take here, bytes.

    On a processor that is what the system calls available, or what a container's limit leaves.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [_available()]
    with contextlib.suppress(OSError, ValueError):
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii").strip()
        if limit != "max":
            found.append(int(limit) - int(used))
    return max(0, min(found))


def _available() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    return 4 << 30  # Where the system does not say: little enough for any machine of today.
