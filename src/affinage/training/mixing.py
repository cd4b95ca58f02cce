"""Mixup and cutmix: two images of a batch become one, and so do their targets."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affinage.records.settings.augment import AugmentSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How the images of one step are mixed.

    Attributes:
        partner: Which image of the batch each is mixed with, shape (n,).
        share: Share of its own that each keeps, in [0.5, 1].
        box: (left, top, right, bottom) of the partner's part, in pixels, for cutmix; None for mixup.
    """

    partner: NDArray[np.int64]
    share: float
    box: tuple[int, int, int, int] | None


def draw_mix(
    settings: AugmentSettings,
    random: np.random.Generator,
    *,
    images: int,
    height: int,
    width: int,
) -> Mix | None:
    """Return how to mix a batch; None where mixing is off.

    With both on, each step does one of the two, with equal chance. The share is Beta(alpha, alpha)
    distributed, and of it and its complement the larger one: as every image is the partner of
    another, that gives the same pairs, and each keeps its own label as the main one.

    Args:
        settings: Alphas of mixup and cutmix.
        random: Of this step; the same numbers are drawn whichever of the two is done.
        images: In the batch.
        height: Of the images, pixels.
        width: Of the images, pixels.

    Source:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018; Yun et al., CutMix, 2019, whose
        box is cut off at the border, so that the share is that of the area that was really kept.
    """
    if not (settings.mixup or settings.cutmix):
        return None
    coin, across, down = random.random(3).tolist()
    partner = random.permutation(images)
    cuts = settings.mixup == 0 or (settings.cutmix > 0 and coin < 0.5)
    alpha = settings.cutmix if cuts else settings.mixup
    drawn = float(random.beta(alpha, alpha))
    share = max(drawn, 1 - drawn)
    if not cuts:
        return Mix(partner=partner, share=share, box=None)
    box = _box(share, across * width, down * height, width=width, height=height)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return Mix(partner=partner, share=1 - area / (width * height), box=box)


def _box(share: float, x: float, y: float, *, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box around (x, y) that leaves `share` of the area, cut off at the border."""
    side = (1 - share) ** 0.5 / 2
    left, right = (round(min(max(x + sign * side * width, 0), width)) for sign in (-1, 1))
    top, bottom = (round(min(max(y + sign * side * height, 0), height)) for sign in (-1, 1))
    return left, top, right, bottom


def mix_images(images: Tensor, mix: Mix) -> Tensor:
    """Return the mixed images: uint8 for cutmix, float in [0, 255] for mixup.

    Args:
        images: uint8, shape (n, height, width, 3).
        mix: How.
    """
    partners = images[torch.from_numpy(mix.partner).to(images.device)]
    if mix.box is None:
        return images.float().lerp_(partners.float(), 1 - mix.share)
    left, top, right, bottom = mix.box
    mixed = images.clone()
    mixed[:, top:bottom, left:right] = partners[:, top:bottom, left:right]
    return mixed


def mix_targets(targets: NDArray[Any], mix: Mix, *, classes: int) -> NDArray[np.float32]:
    """Return soft targets, shape (n, classes); rows of classes still add up to 1.

    Args:
        targets: Class indices, shape (n,), or shares or 0 and 1, shape (n, classes).
        mix: How the images were mixed.
        classes: Number of classes.
    """
    soft = targets if targets.ndim == 2 else np.eye(classes)[targets.astype(np.int64)]
    share = mix.share
    return np.asarray(share * soft + (1 - share) * soft[mix.partner], dtype=np.float32)
