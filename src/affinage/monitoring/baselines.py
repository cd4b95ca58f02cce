"""What a window is compared with: the images that the bundle carries."""

from dataclasses import dataclass

import numpy as np

from affinage.monitoring.permuting import judge, memberships
from affinage.monitoring.two_samples import mean_discrepancy, principal, told_apart
from affinage.records.bundle import MEASURES, Baseline, BaselinePart
from affinage.records.seen import LOOKS, Seen

MOST = 700
"""Images that a window is compared with: twice as many cost four times as long."""

_ALIKE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The images that a window is compared with.

    Attributes:
        inputs: For looks and features.
        answers: For probabilities: of the validation part alone, as a model is surer of what it learnt.
        learnt: Whether training images are among `inputs`: only where features of the training part
            cannot be told from those of validation, as with a frozen backbone.
    """

    inputs: Seen
    answers: Seen
    learnt: bool


def seen_of(part: BaselinePart, *, exclusive: bool = True) -> Seen:
    """Return a part of a baseline as the monitor takes it."""
    columns = [MEASURES.index(name) for name in LOOKS]
    return Seen(
        images=part.images,
        looks=part.measures[:, columns].astype(np.float64),
        features=part.features.astype(np.float32),
        probabilities=part.outputs.astype(np.float64),
        exclusive=exclusive,
    )


def compared_with(baseline: Baseline, *, exclusive: bool = True, seed: int = 0) -> Compared:
    """Return what windows are compared with.

    A network that was fine-tuned has learnt its training images by heart to some degree: their
    features would make every new image seem to differ. A frozen one has not, and then more images
    make the comparison sharper.

    Args:
        baseline: Of the bundle.
        exclusive: Whether an image has one label.
        seed: Of the shuffles, and of the draw where there are more than `MOST`.
    """
    train = seen_of(baseline.train, exclusive=exclusive)
    validation = seen_of(baseline.validation, exclusive=exclusive)
    alike = _alike(train, validation, seed=seed)
    inputs = _drawn(_both(validation, train), seed) if alike else _drawn(validation, seed)
    return Compared(inputs=inputs, answers=_drawn(validation, seed), learnt=alike)


def _alike(train: Seen, validation: Seen, *, seed: int) -> bool:
    """Return whether features of the two parts cannot be told apart."""
    if min(len(train), len(validation)) < 20 or train.features is None:
        return False
    one, other = _drawn(train, seed), _drawn(validation, seed)
    if one.features is None or other.features is None:
        return False
    rows = principal(np.concatenate([one.features, other.features]))
    members = memberships(len(one), len(other), seed=seed, shuffles=499)
    statistics = {"mmd": mean_discrepancy(rows), "classifier": told_apart(rows, seed=seed)}
    return min(found.p for found in judge(statistics, members).values()) >= _ALIKE


def _both(first: Seen, second: Seen) -> Seen:
    """Return the images of both without their probabilities."""
    if first.looks is None or first.features is None:
        return first
    if second.looks is None or second.features is None:
        return first
    return Seen(
        images=first.images + second.images,
        looks=np.concatenate([first.looks, second.looks]),
        features=np.concatenate([first.features, second.features]),
    )


def _drawn(seen: Seen, seed: int) -> Seen:
    if len(seen) <= MOST:
        return seen
    return seen.rows(np.sort(np.random.default_rng(seed).permutation(len(seen))[:MOST]))
