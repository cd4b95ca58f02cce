"""Whether a model that learnt more is proposed in place of the deployed one."""

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.intervals import paired_difference
from affinage.records.estimate import Estimate
from affinage.records.feedback import Proposal

FEWEST = 10
"""Test images of a class below which nothing is said of it alone."""


def propose(untouched: Estimate, new: Estimate, worse_on: tuple[str, ...]) -> tuple[Proposal, str]:
    """Return what to propose, and why, in a sentence.

    Args:
        untouched: Difference of accuracy on the test part as it was, candidate less deployed.
        new: The same on new images.
        worse_on: Classes on which the candidate is surely worse.
    """
    told = f"on the untouched test part {_points(untouched)}, on new images {_points(new)}"
    if _below(untouched) or worse_on:
        classes = (
            f"; worse on class {', '.join(repr(name) for name in worse_on)}" if worse_on else ""
        )
        return "worse", f"The new model is worse: {told}{classes}."
    if _above(untouched) or _above(new):
        return "better", f"The new model is better: {told}; it is surely worse on no class."
    return "not better than noise", f"Not better than noise: {told}."


def worse_classes(
    candidate: NDArray[np.bool_], deployed: NDArray[np.bool_], labels: NDArray[np.str_]
) -> tuple[str, ...]:
    """Return the classes on which the candidate is surely worse, over all classes at once.

    Args:
        candidate: Whether it is right on each image, shape (n,).
        deployed: The same, shape (n,).
        labels: Truth, shape (n,).

    Source:
        Newcombe 1998 for each class; Bonferroni over the classes.
    """
    names = [name for name in np.unique(labels).tolist() if (labels == name).sum() >= FEWEST]
    found = []
    for name in names:
        own = labels == name
        level = 1 - 0.05 / len(names)
        if _below(paired_difference(candidate[own], deployed[own], confidence=level)):
            found.append(str(name))
    return tuple(found)


def _below(difference: Estimate) -> bool:
    return difference.high is not None and difference.high < 0


def _above(difference: Estimate) -> bool:
    return difference.low is not None and difference.low > 0


def _points(difference: Estimate) -> str:
    if difference.value is None or difference.low is None or difference.high is None:
        return "nothing can be said (n = 0)"
    value, low, high = (100 * end for end in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}; n = {difference.n}]"
