"""Faults that are facts: whether it is so, looked at again on the training's own network and images."""

import copy
import math
import time
from itertools import islice
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from affinage.watching.changes import Change
from affinage.watching.copies import copied, set_modes
from affinage.watching.layers import NORMS
from affinage.watching.pools import Pool, classes_of_pool
from affinage.watching.scenes import Fact, Scene, Show
from affinage.watching.showing_data import (
    absent_classes,
    beyond_the_seed,
    changing_images,
    flat_images,
    other_shares,
    repeated_images,
    same_beginning,
    scaled_apart,
    shared_images,
    sorted_labels,
    standardised_together,
    unused_outputs,
)
from affinage.watching.showing_steps import out_of_reach, wild_gradient
from affinage.watching.trials import Plan, outputs_of, trained_copy

_SECONDS = 10.0
_STEPS = 10
_EXACT = 1e-4
_ONE_APART = 1.0
_LOOKED_AT = 64


def one_linear_map(scene: Scene) -> Fact | None:
    """Mix images: a linear network gives for a mixture the mixture of what it gives for each."""
    half = len(scene.train.images) // 2
    first, second = scene.train.images[:half], scene.train.images[half : 2 * half]
    if not half:
        return None
    one, other, mixed = (
        outputs_of(scene.live, replaced(scene.train, x), training=False, change=Change()).double()
        for x in (first, second, (first + second) / 2)
    )
    size = float((one - other).abs().mean()) or 1.0
    off = float((mixed - (one + other) / 2).abs().mean()) / size
    return Fact(
        holds=off < _EXACT,
        said=f"for {half} mixtures of two images the outputs are the mixtures of the two outputs, "
        f"to {off:.1e} of their size",
    )


def replaced(pool: Pool, images: Tensor) -> Pool:
    """Return a pool with other images, its targets cut to as many."""
    return Pool(images=images, targets=pool.targets[: len(images)], batch=pool.batch)


def weights_that_stay(scene: Scene) -> Fact | None:
    """Train a copy from the start for some steps, and see which weights did not move."""
    live = scene.live
    if live.main is None or live.criterion is None:
        return None
    begun, _ = copied(live, scene.train, Change(), seed=0)
    plan = Plan(change=Change(), seed=0, steps=_STEPS, deadline=time.monotonic() + _SECONDS)
    after = dict(trained_copy(live, scene.train, plan).named_parameters())
    still = {name for name, p in begun.named_parameters() if torch.equal(p, after[name])}
    whole = "all layers" in scene.where
    own = {name for name in after if whole or any(_within(name, w) for w in scene.where)}
    moved = len(after) - len(still)
    return Fact(
        holds=bool(own) and own <= still and (whole or moved > 0),
        said=f"after {_STEPS} steps of a copy, {len(own & still)} of these {len(own)} weight tensors are "
        f"the same to the last bit; {moved} of all {len(after)} moved",
    )


def _within(parameter: str, named: str) -> bool:
    return parameter == named or parameter.startswith(f"{named}.")


def same_for_all(scene: Scene) -> Fact:
    """Feed the images, and the images with noise of their own size."""
    x = scene.train.images
    generator = torch.Generator().manual_seed(0)
    noisy = x + x.std() * torch.randn(x.shape, generator=generator)
    spread = max(
        float((o - o[:1]).abs().max())
        for each in (x, noisy)
        for o in [
            outputs_of(scene.live, replaced(scene.train, each), training=False, change=Change())
        ]
    )
    return Fact(
        holds=spread == 0.0,
        said=f"{len(x)} images, and the same with noise as strong as they are, get outputs that are at "
        f"most {spread:.3g} apart",
    )


def equal_as_compared(scene: Scene) -> Fact | None:
    """Compare outputs with targets before and after rounding."""
    outputs = outputs_of(scene.live, scene.train, training=False, change=Change()).flatten()
    wanted = scene.train.targets.flatten().float()
    if outputs.shape != wanted.shape:
        return None
    raw, rounded = int((outputs == wanted).sum()), int((outputs.round() == wanted).sum())
    whole = int((outputs == outputs.round()).sum())
    n = len(wanted)
    return Fact(
        holds=raw < rounded or whole < 0.1 * n,
        said=f"of {n} outputs {whole} are whole numbers, so as compared {raw} can be right; rounded first, "
        f"{rounded} are",
    )


def near_misses(scene: Scene) -> Fact | None:
    """Count outputs that accuracy calls as wrong as any, though they are next to the count."""
    outputs = outputs_of(scene.live, scene.train, training=False, change=Change()).flatten()
    wanted = scene.train.targets.flatten().float()
    if outputs.shape != wanted.shape or scene.train.targets.ndim == 1 == wanted.max():
        return None
    wrong = outputs.round() != wanted
    near = wrong & ((outputs - wanted).abs() <= 1.5 * _ONE_APART)
    return Fact(
        holds=bool(wrong.any()) and float(wanted.max()) > 1,
        said=f"of {len(wanted)} counts accuracy calls {int(wrong.sum())} wrong alike: {int(near.sum())} of "
        f"them miss by one, the others by more (targets reach {float(wanted.max()):g})",
    )


def without_gradient(scene: Scene) -> Fact | None:
    """Send one batch forward and back through a copy, and see which weights got no gradient."""
    live = scene.live
    if live.main is None or live.criterion is None:
        return None
    network = copy.deepcopy(live.main)
    network.zero_grad(set_to_none=True)
    few = slice(0, scene.train.batch)
    with torch.enable_grad():
        loss = live.criterion(network(scene.train.images[few]), scene.train.targets[few])
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
    own = {n: p for n, p in network.named_parameters() if n in scene.where}
    bare = [name for name, p in own.items() if p.grad is None or not bool(p.grad.any())]
    return Fact(
        holds=bool(own) and len(bare) == len(own),
        said=f"one more batch went forward and back through a copy: {len(bare)} of these {len(own)} "
        f"parameters got no gradient",
    )


def at_rest_at_the_end(scene: Scene) -> Fact | None:
    """Read in which mode the layers that act in training only were in the last steps."""
    if scene.live.main is None or not scene.live.modes:
        return None
    acting = [
        name for name, m in scene.live.main.named_modules()
        if isinstance(m, NORMS | nn.modules.dropout._DropoutNd) and name in scene.live.modes
    ]  # fmt: skip
    resting = [name for name in acting if not scene.live.modes[name]]
    return Fact(
        holds=bool(acting) and len(resting) == len(acting),
        said=f"in the last step that was looked at, {len(resting)} of {len(acting)} layers that act in "
        f"training only were at rest",
    )


def stretched_loss(scene: Scene) -> Fact | None:
    """Compare the loss as it is with the loss of outputs in the shape of their targets."""
    live = scene.live
    outputs = outputs_of(live, scene.train, training=False, change=Change())
    y = scene.train.targets
    if live.criterion is None or outputs.numel() != y.numel() or outputs.shape == y.shape:
        return None
    few = slice(0, scene.train.batch)
    as_is = float(live.criterion(outputs[few], y[few]))
    alike = float(live.criterion(outputs.reshape(y.shape)[few], y[few]))
    return Fact(
        holds=abs(as_is - alike) > _EXACT * abs(as_is),
        said=f"on one batch the loss is {as_is:.4g}, and {alike:.4g} where each output is compared with its "
        f"own target",
    )


def idle_schedule(scene: Scene) -> Fact | None:
    """See whether a schedule holds the optimizer, and whether the learning rate ever left where it began."""
    if not any(_has_schedule(o) for o in scene.live.optimizers) and not _waits(scene):
        return Fact(holds=False, said="no schedule was built on any optimizer")
    own = [(r, g["lr"]) for o in scene.live.optimizers[-1:] for r, g in
           zip(scene.live.rates, o.param_groups, strict=False)]  # fmt: skip
    if not own:
        return None
    return Fact(
        holds=all(abs(a - b) <= _EXACT * abs(a) for a, b in own),
        said=f"the learning rate was {own[-1][0]:g} before the first step and is {own[-1][1]:g} after the "
        f"last one",
    )


def _has_schedule(optimizer: Any) -> bool:
    """Return whether a schedule of torch was built on an optimizer: it leaves its mark on it."""
    marked = getattr(optimizer.step, "_wrapped_by_lr_sched", False)
    return marked or any("initial_lr" in group for group in optimizer.param_groups)


def _waits(scene: Scene) -> bool:
    """Return whether the finding speaks of ReduceLROnPlateau, which leaves no mark."""
    return any("Plateau" in name for name in scene.where)


def first_loss_again(scene: Scene) -> Fact | None:
    """Measure the loss of a copy as it began, on other images than those of the first step."""
    live, rest = scene.live, scene.train.rows(torch.arange(len(scene.train.images))[-_LOOKED_AT:])
    if live.criterion is None or live.start is None:
        return None
    begun, _ = copied(live, scene.train, Change(), seed=0)
    set_modes(begun, live, Change(), training=True)  # As it was in the first step.
    with torch.no_grad():
        outputs = begun(rest.images)
        loss = float(live.criterion(outputs, rest.targets))
    if classes_of_pool(rest, outputs.shape[-1]) is None:
        return None
    chance = math.log(outputs.shape[1])
    return Fact(
        holds=not loss < 2.5 * chance + 1.0,
        said=f"a copy as it began has a loss of {loss:.3g} on {len(rest.images)} other training images; "
        f"knowing nothing gives {chance:.3g}",
    )


SHOWS: dict[str, Show] = {
    "accuracy-on-counts": near_misses,
    "augmentation-in-evaluation": changing_images,
    "broadcast-in-loss": stretched_loss,
    "class-not-in-training": absent_classes,
    "class-shares-differ": other_shares,
    "constant-inputs": flat_images,
    "exploding-gradient": wild_gradient,
    "first-loss-too-high": first_loss_again,
    "metric-rounded-too-late": equal_as_compared,
    "no-activation-between-layers": one_linear_map,
    "left-in-evaluation-mode": at_rest_at_the_end,
    "loss-activation-mismatch": out_of_reach,
    "nothing-trainable": weights_that_stay,
    "outputs-collapsed": same_for_all,
    "outputs-do-not-fit-classes": unused_outputs,
    "parameters-not-in-optimizer": weights_that_stay,
    "parameters-without-gradient": without_gradient,
    "parts-scaled-differently": scaled_apart,
    "repeated-inputs": repeated_images,
    "results-change-with-seed-kept": beyond_the_seed,
    "same-order-every-epoch": same_beginning,
    "schedule-idle": idle_schedule,
    "split-leak": shared_images,
    "statistics-of-all-parts": standardised_together,
    "unshuffled-training": sorted_labels,
    "validation-is-training": shared_images,
}
"""By finding; each may say that it is not so."""


def batches_waited_for(scene: Scene, *, count: int) -> list[float]:
    """Return the seconds for which each of some batches was waited, nothing being computed meanwhile."""
    found, begun = [], time.monotonic()
    loader: Any = scene.live.loaders.get("train") or ()
    for _ in islice(iter(loader), count):
        found.append(time.monotonic() - begun)
        begun = time.monotonic()
    return found


def matched_labels(scene: Scene) -> tuple[list[bool], list[bool]] | None:
    """Return hits on validation as its labels are, and with the numbers of classes matched.

    The matching that makes most images right is found on every other image, and scored on the rest.

    Source:
        Kuhn, The Hungarian Method for the Assignment Problem, 1955 (in SciPy).
    """
    pool = scene.validation
    if pool is None:
        return None
    outputs = outputs_of(scene.live, pool, training=False, change=Change())
    classes = classes_of_pool(pool, outputs.shape[-1]) if outputs.ndim == 2 else None
    if classes is None:
        return None
    width, said = outputs.shape[1], outputs.argmax(1)
    counts = torch.zeros(width, width)
    counts.index_put_((classes[::2], said[::2]), torch.ones(len(classes[::2])), accumulate=True)
    counts += 0.5 * torch.eye(width)  # Ties go to the order as it is.
    matched = torch.tensor(linear_sum_assignment(counts.numpy(), maximize=True)[1])
    rest, own = classes[1::2], said[1::2]
    return (own == rest).tolist(), (own == matched[rest]).tolist()
