"""Whether a change to images changes what they show: by what it costs to teach it."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.intervals import paired_difference, wilson
from affinage.records.augmentation import AugmentationTrial, LabelVerdict, Turned
from affinage.records.estimate import Estimate

COSTS = 0.02
"""Accuracy on plain images that teaching a change must cost for anything to be said against it."""

HARMLESS = 0.03
"""Accuracy that it may cost, at the interval's low end, to be called one that keeps the label."""

NEEDED = 60
"""Images below which nothing is said."""

FEWEST, MIXED = 4, 0.1
"""Images of a class, and share of it, that must be called one other class: chance errors scatter."""


def judge_change(
    *,
    change: str,
    setting: str,
    off: str,
    truth: NDArray[np.int64],
    plain: NDArray[np.int64],
    changed: NDArray[np.int64],
    taught: NDArray[np.int64],
    classes: tuple[str, ...],
) -> AugmentationTrial:
    """Return what it costs to teach a change.

    That a judge errs on changed images says little: it may just not be used to them. So it is taught
    with them, under their old labels. Where a change keeps the label, it learns both; where it makes a 9
    of a 6, what it is taught contradicts itself, and it errs on images as they are.

    Args:
        change: Its name.
        setting: The recipe's setting that draws it.
        off: The value that turns it off.
        truth: Class indices, shape (n,).
        plain: What a judge that was taught with plain images says of plain ones, shape (n,).
        changed: What it says of the changed ones, shape (n,).
        taught: What a judge that was taught with both says of the plain ones, shape (n,).
        classes: Class names.
    """
    right, still = plain == truth, taught == truth
    n = len(truth)
    difference = paired_difference(still, right)
    mixed = _mixed(truth[right], taught[right], classes)
    verdict = _verdict(difference, mixed)
    return AugmentationTrial(
        change=change,
        setting=setting,
        off=off,
        before=wilson(int(right.sum()), n),
        changed=wilson(int((changed == truth).sum()), n),
        taught=wilson(int(still.sum()), n),
        difference=difference,
        verdict=verdict,
        turned=tuple(mixed) if verdict == "mixes classes up" else (),
    )


def _verdict(difference: Estimate, mixed: list[Turned]) -> LabelVerdict:
    value, low, high = difference.value, difference.low, difference.high
    if difference.n < NEEDED or value is None or low is None or high is None:
        return "too few images"
    if high < 0 and value <= -COSTS:
        return "mixes classes up" if mixed else "costs accuracy"
    return "keeps the label" if low > -HARMLESS else "hard to tell"


def _mixed(
    truth: NDArray[np.int64], taught: NDArray[np.int64], classes: tuple[str, ...]
) -> list[Turned]:
    found = []
    for index, name in enumerate(classes):
        called = Counter(taught[truth == index].tolist())
        of = called.total()
        others = [(n, other) for other, n in called.items() if other != index]
        if not others:
            continue
        images, other = max(others, key=lambda pair: (pair[0], -pair[1]))
        if images >= FEWEST and images >= MIXED * of:
            found.append(Turned(label=name, called=classes[other], images=images, of=of))
    return sorted(found, key=lambda one: (-one.images / one.of, one.label))
