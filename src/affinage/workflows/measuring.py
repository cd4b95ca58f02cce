"""Experiments on scores of validation: what is measured is the score that the fault harms."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

from affinage.diagnosis.reading import finite, majority
from affinage.metrics.intervals import paired_difference
from affinage.metrics.paired_runs import paired_mean
from affinage.records.signals import Signals
from affinage.records.verdict import Outcome
from affinage.watching.changes import Change
from affinage.watching.copies import live_is_pretrained
from affinage.watching.live import Live
from affinage.watching.pools import Pool
from affinage.watching.scenes import Scene
from affinage.watching.showing import batches_waited_for, matched_labels
from affinage.watching.trials import (
    Plan,
    accuracy_after,
    hits,
    outputs_of,
    right,
    trained_copy,
)
from affinage.workflows.outcomes import WORTHWHILE, marked, shown, unconfirmed

_MOST_STEPS = 400
_MOST_IMAGES = 256
_LARGER = 32
"""Images of a batch in which BatchNorm knows its means well: Wu and He, Group Normalization, 2018."""
_LOWER = 0.1
"""Share by which as many steps again must lower the loss: as in the rule."""
_BATCHES = 20
_STARVED = 0.25
"""Share of the time that waiting must take to count; assumed."""
_WORSE = 0.25
"""Share of the best loss by which a later one must lie above it to count: as in the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a measurement has at hand."""

    live: Live
    train: Pool
    validation: Pool | None
    signals: Signals
    deadline: float
    pairs: int

    def scene(self) -> Scene:
        """Return what there is to look at."""
        return Scene(live=self.live, train=self.train, validation=self.validation)


Measure = Callable[[Bench], Outcome]


def as_training_is_scaled(bench: Bench) -> Outcome:
    """Scale validation images as training images are, channel by channel."""
    if bench.validation is None:
        return unconfirmed("there are no validation images at hand")
    to_training = _moved(bench.validation.images, bench.train.images)
    as_is, changed = (
        hits(bench.live, bench.validation, training=False, change=change)
        for change in (Change(), Change(scale=to_training))
    )
    if as_is is None or changed is None:
        return unconfirmed("targets are no classes, so there is no accuracy to compare")
    return marked(
        paired_difference(changed, as_is), WORTHWHILE,
        f"The same {len(as_is)} validation images score {sum(as_is) / len(as_is):.3f} as they are and "
        f"{sum(changed) / len(changed):.3f} when scaled as training images are",
    )  # fmt: skip


def _moved(images: Tensor, wanted: Tensor) -> Callable[[Tensor], Tensor]:
    axes = [axis for axis in range(images.ndim) if axis != 1]
    own = images.mean(axes, keepdim=True), images.std(axes, keepdim=True).clamp_min(1e-9)
    goal = wanted.mean(axes, keepdim=True), wanted.std(axes, keepdim=True)
    return lambda x: (x - own[0]) / own[1] * goal[1] + goal[0]


def by_matched_labels(bench: Bench) -> Outcome:
    """Match the numbers of the classes on half of validation, and score the other half."""
    found = matched_labels(bench.scene())
    if found is None:
        return unconfirmed("targets are no classes, or there are no validation images at hand")
    as_is, changed = found
    return marked(
        paired_difference(changed, as_is), WORTHWHILE,
        f"The numbers of the classes were matched on half of the validation images; the other {len(as_is)} "
        f"score {sum(as_is) / len(as_is):.3f} as they are and {sum(changed) / len(changed):.3f} matched",
    )  # fmt: skip


def in_both_modes(bench: Bench) -> Outcome:
    """Score the same training images in training mode and in evaluation mode."""
    training, resting = (
        hits(bench.live, bench.train, training=mode, change=Change()) for mode in (True, False)
    )
    if training is None or resting is None:
        return unconfirmed("targets are no classes, so there is no accuracy to compare")
    n = len(training)
    better, worse = (resting, training) if sum(resting) >= sum(training) else (training, resting)
    return marked(
        paired_difference(better, worse), WORTHWHILE,
        f"The same {n} training images score {sum(training) / n:.3f} in training mode and "
        f"{sum(resting) / n:.3f} in evaluation mode",
    )  # fmt: skip


def trained_on(bench: Bench) -> Outcome:
    """Train a copy on from where the training ended, for as many steps again: does the loss fall?"""
    steps, criterion = min(bench.signals.steps or 0, _MOST_STEPS), bench.live.criterion
    if criterion is None or not steps or bench.live.main is None:
        return unconfirmed("the loss of the training is not known")
    pool = _judged(bench)
    pool = pool.rows(torch.arange(min(len(pool.images), _MOST_IMAGES)))
    plan = Plan(change=Change(onward=True), seed=0, steps=steps, deadline=bench.deadline)
    outputs = (
        outputs_of(bench.live, pool, training=False, change=Change()),
        _outputs(trained_copy(bench.live, bench.train, plan), pool),
    )
    before, after = (_losses(criterion, each, pool) for each in outputs)
    if not all(map(math.isfinite, (*before, *after))):
        return unconfirmed("a loss is not a number")
    mean = sum(before) / len(before)
    which = "validation" if bench.validation is not None else "training"
    return marked(
        paired_mean([b - a for b, a in zip(before, after, strict=True)]), _LOWER * mean,
        f"A copy was trained for {steps} more steps: the same {len(before)} {which} images have a loss of "
        f"{mean:.3g} before and {sum(after) / len(after):.3g} after them{_beside(outputs, pool)}",
    )  # fmt: skip


def _losses(
    criterion: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, pool: Pool
) -> list[float]:
    """Return the loss of each image."""
    with torch.no_grad():
        return [
            float(criterion(outputs[i : i + 1], pool.targets[i : i + 1]))
            for i in range(len(outputs))
        ]


def _beside(outputs: tuple[Tensor, Tensor], pool: Pool) -> str:
    hit = [right(each, pool) for each in outputs]
    if hit[0] is None or hit[1] is None:
        return ""
    shares = [sum(each) / len(each) for each in hit if each is not None]
    return f" (accuracy {shares[0]:.3f} and {shares[1]:.3f})"


def in_tiny_batches(bench: Bench) -> Outcome:
    """Score the same training images in training mode, in batches as they were and in larger ones."""
    size = bench.train.batch
    if size >= _LARGER:
        return shown(f"batches have {size} images", holds=False)
    tiny, larger = (
        hits(bench.live, replace(bench.train, batch=batch), training=True, change=Change())
        for batch in (size, _LARGER)
    )
    if tiny is None or larger is None:
        return unconfirmed("targets are no classes, so there is no accuracy to compare")
    n = len(tiny)
    return marked(
        paired_difference(larger, tiny), WORTHWHILE,
        f"The same {n} training images, each normalised by its batch, score {sum(tiny) / n:.3f} in batches "
        f"of {size} and {sum(larger) / n:.3f} in batches of {_LARGER}",
    )  # fmt: skip


def _judged(bench: Bench) -> Pool:
    return bench.validation if bench.validation is not None else bench.train


def _outputs(network: torch.nn.Module, pool: Pool) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(x) for x in torch.split(pool.images, 64)])


def with_a_larger_network(bench: Bench) -> Outcome:
    """Train two dense layers of 256 units on the same images for as many steps."""
    steps = min(bench.signals.steps or 0, _MOST_STEPS)
    before = hits(bench.live, bench.train, training=False, change=Change())
    if before is None or bench.live.criterion is None or not steps:
        return unconfirmed("there is no accuracy to compare, or the loss is not known")
    plan = Plan(change=Change(plain=True), seed=0, steps=steps, deadline=bench.deadline)
    network = trained_copy(bench.live, bench.train, plan)
    after = right(_outputs(network, bench.train), bench.train) or before
    return marked(
        paired_difference(after, before), WORTHWHILE,
        f"A larger network, two dense layers of 256 units, was trained for {steps} steps: the same "
        f"{len(before)} training images score {sum(before) / len(before):.3f} in this network and "
        f"{sum(after) / len(after):.3f} in the larger one",
    )  # fmt: skip


def since_its_best(bench: Bench) -> Outcome:
    """Train anew up to the best epoch and up to the end; compare the losses of validation."""
    curve, live = bench.signals.curve("loss", "validation"), bench.live
    if bench.validation is None or live.criterion is None or live.start is None or not curve:
        return unconfirmed(
            "validation images, the loss or the weights at the start are not at hand"
        )
    best = min(curve, key=lambda p: p.value).epoch
    total = bench.signals.steps or 0
    at_best = round(total * best / max(curve[-1].epoch, 1e-9))
    pairs = []
    for seed in range(bench.pairs):
        losses = [
            _loss(trained_copy(live, bench.train, plan), bench)
            for steps in (at_best, total)
            for plan in [Plan(change=Change(), seed=seed, steps=steps, deadline=bench.deadline)]
        ]
        if any(not math.isfinite(loss) for loss in losses):
            return unconfirmed("a loss of validation is not a number")
        if _late(bench):
            break
        pairs.append(losses)
    if len(pairs) < 2:
        return unconfirmed("fewer than two pairs of trainings fitted into the time")
    first, last = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return marked(
        paired_mean([b - a for a, b in pairs]), _WORSE * first,
        f"{len(pairs)} trainings anew: the loss of validation is {first:.3g} after {at_best} steps (the best "
        f"epoch) and {last:.3g} after all {total}",
    )  # fmt: skip


def _loss(network: torch.nn.Module, bench: Bench) -> float:
    assert bench.live.criterion is not None
    assert bench.validation is not None
    with torch.no_grad():
        return float(
            bench.live.criterion(_outputs(network, bench.validation), bench.validation.targets)
        )


def _late(bench: Bench) -> bool:
    return time.monotonic() > bench.deadline


def against_validation(bench: Bench) -> Outcome:
    """Train on half of validation and score the other half: can these labels be learnt from images at all?

    Where they can, and training's cannot be carried over to the same images, it is training's labels (or
    its images) that are of another kind.
    """
    if bench.validation is None or bench.live.criterion is None or live_is_pretrained(bench.live):
        return unconfirmed("there are no validation images at hand, or the loss is not known")
    n, steps = len(bench.validation.images), min(bench.signals.steps or 0, _MOST_STEPS)
    even = torch.arange(n) % 2 == 0
    own, rest = bench.validation.rows(even), bench.validation.rows(~even)
    scores = []
    for seed in range(bench.pairs):
        pair = [
            accuracy_after(
                bench.live, replace(pool, batch=bench.train.batch), Change(), seed=seed, steps=steps,
                deadline=bench.deadline, on=rest,
            )
            for pool in (bench.train, own)
        ]  # fmt: skip
        if _late(bench):
            break
        scores.append(pair)
    if len(scores) < 2:
        return unconfirmed("fewer than two pairs of trainings fitted into the time")
    first, other = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    return marked(
        paired_mean([b - a for a, b in scores]), WORTHWHILE,
        f"{len(scores)} pairs of trainings of {steps} steps: half of the validation images score {first:.3f} "
        f"after training on the {len(bench.train.images)} training images, {other:.3f} after training on the "
        f"{len(own.images)} other validation images",
    )  # fmt: skip


def with_other_seeds(bench: Bench) -> Outcome:
    """Train anew from other starts: is validation above what ignoring the image gives in any of them?"""
    base, pool = majority(bench.signals, "validation"), bench.validation
    if base is None or pool is None or bench.live.criterion is None:
        return unconfirmed("there are no validation images at hand, or the loss is not known")
    if live_is_pretrained(bench.live):
        return unconfirmed("pretrained weights cannot begin anew")
    live, steps = replace(bench.live, start=None), min(bench.signals.steps or 0, _MOST_STEPS)
    found = []
    for seed in range(bench.pairs):
        found.append(
            accuracy_after(
                live,
                bench.train,
                Change(),
                seed=seed,
                steps=steps,
                deadline=bench.deadline,
                on=pool,
            )
        )
        if _late(bench):
            found.pop()
            break
    if len(found) < 2:
        return unconfirmed("fewer than two trainings fitted into the time")
    below = paired_mean([base[0] + 2 * WORTHWHILE - value for value in found])
    outcome = marked(
        below, WORTHWHILE,
        f"{len(found)} trainings anew from other starts score {sum(found) / len(found):.3f} on "
        f"{len(pool.images)} validation images, where ignoring them gives {base[0]:.3f}; "
        f"to {base[0] + 2 * WORTHWHILE:.3f} are missing",
    )  # fmt: skip
    words = {"proved": "it was no bad luck", "refuted": "it was bad luck"}
    end = words.get(outcome.mark, "this cannot be told yet")
    return replace(outcome, said=f"{outcome.said.rsplit('; ', 1)[0]}; {end}.")


def from_memory(bench: Bench) -> Outcome:
    """Wait for batches with nothing else to do, beside the time that a step computes."""
    computing = finite(bench.signals.series_of("computing_seconds"))[1:]
    waited = batches_waited_for(bench.scene(), count=_BATCHES)[1:]
    if len(computing) < 2 or len(waited) < 2:
        return unconfirmed("fewer than two batches were timed")
    step = median(computing)
    return marked(
        paired_mean([w / max(w + step, 1e-9) for w in waited]), _STARVED,
        f"{len(waited)} batches were waited for, {sum(waited) / len(waited):.3g} s each beside {step:.3g} s "
        f"of computing: batches from memory would save this share of the time",
    )  # fmt: skip


MEASURES: dict[str, Measure] = {
    "batchnorm-tiny-batches": in_tiny_batches,
    "data-starved": from_memory,
    "label-order-mismatch": by_matched_labels,
    "memorising": against_validation,
    "modes-measured-differently": in_both_modes,
    "no-better-than-baseline": with_other_seeds,
    "not-converged": trained_on,
    "overfitting": since_its_best,
    "parts-scaled-differently": as_training_is_scaled,
    "underfitting": with_a_larger_network,
}
"""By finding."""
