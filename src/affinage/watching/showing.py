"""Faults that are facts: whether it is so, looked at again on the training's own images and network."""

import copy
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from affinage.records.training_facts import Part
from affinage.watching.changes import Change
from affinage.watching.copies import copied
from affinage.watching.live import Live
from affinage.watching.passes import images_in, targets_in
from affinage.watching.pools import Pool, classes_of_pool
from affinage.watching.seeds import same_under_seed
from affinage.watching.trials import Plan, outputs_of, right, trained_copy
from affinage.watching.wholes import tensor_of

_SECONDS = 10.0
_STEPS = 10
_EXACT = 1e-4
_ONE_APART = 1.0
_STANDARD = 1e-3
_ALIKE = (0.4, 2.5)
"""Ratios of spreads between which parts count as scaled alike: as in the rule."""
_BOTH: tuple[Part, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What was looked at, and whether it is as the finding says.

    Attributes:
        holds: Whether it is so.
        said: What was done and what was seen, without a full stop.
    """

    holds: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is to look at.

    Attributes:
        live: The training at rest.
        train: Its training images.
        validation: Its validation images, where there are any.
        where: What the finding speaks of.
    """

    live: Live
    train: Pool
    validation: Pool | None
    where: tuple[str, ...] = ()


Show = Callable[[Scene], Fact | None]
"""Looks; None where there is nothing to look at."""


def shared_images(scene: Scene) -> Fact | None:
    """Look for validation images among training images, pixel by pixel."""
    if scene.validation is None:
        return None
    known = set(_marks(scene.train.images))
    same = [mark in known for mark in _marks(scene.validation.images)]
    n, m, shared = len(same), len(scene.train.images), sum(same)
    said = (
        f"{shared} of {n} validation images, as their loader gives them, are equal to one of "
        f"{m} training images in every pixel"
    )
    return Fact(holds=shared > 0, said=said + _flattered(scene, same))


def _flattered(scene: Scene, same: list[bool]) -> str:
    assert scene.validation is not None
    outputs = outputs_of(scene.live, scene.validation, training=False, change=Change())
    hit = right(outputs, scene.validation)
    if hit is None or all(same) or not any(same):
        return ""
    own = [h for h, s in zip(hit, same, strict=True) if s]
    rest = [h for h, s in zip(hit, same, strict=True) if not s]
    return (
        f"; {sum(own)} of these {len(own)} are right, of the {len(rest)} others {sum(rest)}: without the "
        f"shared ones the score is {sum(rest) / len(rest):.3f} in place of {sum(hit) / len(hit):.3f}"
    )


def _marks(images: Tensor) -> list[str]:
    return [hashlib.sha256(row.contiguous().numpy().tobytes()).hexdigest() for row in images]


def absent_classes(scene: Scene) -> Fact | None:
    """Count the classes of all training and validation images anew."""
    counts = [_counts(scene.live, part) for part in ("train", "validation")]
    if counts[0] is None or counts[1] is None:
        return None
    unseen = [c for c in counts[1] if c not in counts[0]]
    n, m = sum(counts[0].values()), sum(counts[1][c] for c in unseen)
    named = ", ".join(map(str, unseen[:8]))
    return Fact(
        holds=bool(unseen),
        said=f"all {n} training labels were counted again: {len(unseen)} classes of validation "
        f"({m} images{'; by index ' + named if named else ''}) have none",
    )


def other_shares(scene: Scene) -> Fact | None:
    """Count the shares of the classes in both parts anew."""
    counts = [_counts(scene.live, part) for part in ("train", "validation")]
    if not counts[0] or not counts[1]:
        return None
    n, m = sum(counts[0].values()), sum(counts[1].values())
    keys = counts[0].keys() | counts[1].keys()
    distance = sum(abs(counts[0].get(k, 0) / n - counts[1].get(k, 0) / m) for k in keys) / 2
    return Fact(
        holds=distance >= 0.3,
        said=f"the labels of {n} training and {m} validation images were counted again: "
        f"{distance:.0%} of the images would have to change their class",
    )


def _counts(live: Live, part: Part) -> dict[int, int] | None:
    deadline = time.monotonic() + _SECONDS
    counts: dict[int, int] = {}
    try:
        for batch in live.loaders.get(part) or ():
            y = targets_in(batch, None)
            if y is None or y.is_floating_point() or y.ndim != 1:
                return None
            for value in y.tolist():
                counts[value] = counts.get(value, 0) + 1
            if time.monotonic() > deadline:
                return None
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None
    return counts or None


def unused_outputs(scene: Scene) -> Fact | None:
    """Count which outputs are ever the right one."""
    counts = _counts(scene.live, "train")
    outputs = outputs_of(
        scene.live, scene.train.rows(torch.arange(2)), training=False, change=Change()
    )
    if counts is None or outputs.ndim != 2:
        return None
    n, width = sum(counts.values()), outputs.shape[1]
    if width == 1:
        return Fact(holds=True, said="softmax over its one output is 1 for every image")
    return Fact(
        holds=width > len(counts),
        said=f"all {n} training labels were counted again: {len(counts)} of {width} outputs are ever "
        f"the right one",
    )


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


def flat_images(scene: Scene) -> Fact:
    """Count images that are one flat colour, over the pool."""
    x = scene.train.images.flatten(2) if scene.train.images.ndim > 2 else scene.train.images
    flat = int(((x.amax(-1) - x.amin(-1)).flatten(1).amax(1) == 0).sum())
    return Fact(holds=flat >= 0.1 * len(x), said=f"{flat} of {len(x)} training images were looked at "
                "again and are one flat colour")  # fmt: skip


def repeated_images(scene: Scene) -> Fact:
    """Count the distinct images of one pass."""
    marks = _marks(scene.train.images)
    return Fact(
        holds=len(set(marks)) <= 0.8 * len(marks),
        said=f"among the {len(marks)} training images of one more epoch {len(set(marks))} are distinct",
    )


def changing_images(scene: Scene) -> Fact | None:
    """Ask for all validation images twice."""
    if scene.validation is None:
        return None
    again = _first(scene.live, "validation", len(scene.validation.images))
    if again is None or again.shape != scene.validation.images.shape:
        return None
    other = [not torch.equal(a, b) for a, b in zip(scene.validation.images, again, strict=True)]
    return Fact(
        holds=any(other),
        said=f"{len(other)} validation images were asked for twice: {sum(other)} came out different",
    )


def same_beginning(scene: Scene) -> Fact | None:
    """Begin two more epochs, and compare their first images."""
    one, other = (_first(scene.live, "train", scene.train.batch) for _ in range(2))
    if one is None or other is None:
        return None
    return Fact(
        holds=one.shape == other.shape and torch.equal(one, other),
        said=f"two more epochs were begun: their first {len(one)} images were compared, pixel by pixel",
    )


def _first(live: Live, part: Part, count: int) -> Tensor | None:
    found: list[Tensor] = []
    try:
        for batch in live.loaders.get(part) or ():
            x = images_in(batch)
            if x is None:
                return None
            found.append(x)
            if sum(map(len, found)) >= count:
                break
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None
    return torch.cat(found)[:count] if found else None


def beyond_the_seed(scene: Scene) -> Fact | None:
    """Draw the first batch under the same seeds, three times over."""
    same = [same_under_seed(scene.live.loaders.get("train")) for _ in range(3)]
    if None in same:
        return None
    return Fact(
        holds=not all(same),
        said=f"a batch was drawn twice under the same seeds, three times over: {same.count(False)} times "
        f"the two differed",
    )


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
    """See whether the learning rate ever left where it began."""
    own = [(r, g["lr"]) for o in scene.live.optimizers[-1:] for r, g in
           zip(scene.live.rates, o.param_groups, strict=False)]  # fmt: skip
    if not own:
        return None
    return Fact(
        holds=all(abs(a - b) <= _EXACT * abs(a) for a, b in own),
        said=f"the learning rate was {own[-1][0]:g} before the first step and is {own[-1][1]:g} after the "
        f"last one",
    )


def standardised_together(scene: Scene) -> Fact | None:
    """Compute mean and deviation again, of both parts and of training alone."""
    sets = {part: tensor_of(getattr(scene.live.loaders.get(part), "dataset", None))
            for part in _BOTH}  # fmt: skip
    train, other = sets["train"], sets["validation"]
    if train is None or other is None or train.shape[1:] != other.shape[1:]:
        return None
    own, both = (_off(images) for images in (train, torch.cat((train, other))))
    return Fact(
        holds=both <= _STANDARD < own,
        said=f"mean and deviation were computed again: all {len(train) + len(other)} images of both parts "
        f"are {both:.4f} off 0 and 1, the {len(train)} training images alone {own:.4f}",
    )


def _off(images: Tensor) -> float:
    values = images.double().transpose(0, 1).flatten(1)
    by_channel = max(float(values.mean(1).abs().max()), float((values.std(1) - 1).abs().max()))
    return min(by_channel, max(abs(float(values.mean())), abs(float(values.std()) - 1)))


def scaled_apart(scene: Scene) -> Fact | None:
    """Compute mean and spread of all images at hand, beyond those that were looked at while training."""
    if scene.validation is None:
        return None
    (mean, spread), (other, wide) = (
        (float(x.mean()), float(x.std())) for x in (scene.train.images, scene.validation.images)
    )
    shift, ratio = abs(mean - other) / (spread or 1.0), wide / (spread or 1.0)
    return Fact(
        holds=shift >= 1.0 or not _ALIKE[0] < ratio < _ALIKE[1],
        said=f"over {len(scene.train.images)} training and {len(scene.validation.images)} validation images, "
        f"means lie {shift:.2f} deviations apart, and validation is spread {ratio:.3g} times as wide",
    )


def first_loss_again(scene: Scene) -> Fact | None:
    """Measure the loss of a copy as it began, on other images than those of the first step."""
    live, rest = scene.live, scene.train.rows(torch.arange(len(scene.train.images))[-_STEPS:])
    if live.criterion is None or live.start is None:
        return None
    begun, _ = copied(live, scene.train, Change(), seed=0)
    with torch.no_grad():
        outputs = begun.eval()(rest.images)
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
    "first-loss-too-high": first_loss_again,
    "metric-rounded-too-late": equal_as_compared,
    "no-activation-between-layers": one_linear_map,
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
