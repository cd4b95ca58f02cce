"""Allotting: which component goes to which part, so that every class has its share in each."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from affinage.datasets.components import Component

Targets = Mapping[str, Mapping[str, int]]  # Part → label → number of images.


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The shares to cut: `test` of all images, then `validation` of what remains; 0 cuts none."""

    validation: float
    test: float


def targets(counts: Mapping[str, int], shares: Shares, *, beside: Mapping[str, int]) -> Targets:
    """Return how many images of each class each part should have.

    A class is first given an image to learn from, then one for test, then one for validation.

    Args:
        counts: Images of each label that are to be parted.
        shares: What to cut from them.
        beside: Images of each label in a part that was given and is not to be cut again; they count
            in "all images", of which test is a share.
    """
    made: dict[str, dict[str, int]] = {"train": {}, "validation": {}, "test": {}}
    for label, n in counts.items():
        test = _share(shares.test, n, of=n + beside.get(label, 0))
        validation = _share(shares.validation, n - test, of=n - test)
        made["test"][label], made["validation"][label] = test, validation
        made["train"][label] = n - test - validation
    return made


def _share(share: float, available: int, *, of: int) -> int:
    if not share or available < 2:
        return 0
    return min(max(1, math.floor(share * of + 0.5)), available - 1)


def allot(
    free: Sequence[Component], aims: Targets, *, held: Mapping[str, Mapping[str, int]]
) -> dict[str, list[Component]]:
    """Return the components of each part.

    Large components are placed first, each where it fills most of what is lacking; then every class
    that lacks a part altogether gets a component there, if another part can spare one.

    Args:
        free: Components to place, in the order of the lottery.
        aims: How many images of each label each part should have.
        held: Images of each label that the parts have already and keep.
    """
    state = _State(aims, held)
    for component in sorted(free, key=lambda component: -len(component.images)):
        state.add(component, state.best(component))
    for part in ("train", "test", "validation"):
        for label in sorted(aims[part]):
            if aims[part][label] and not state.has[part][label]:
                state.borrow(label, part)
    return {
        part: sorted(chosen.values(), key=lambda component: component.order)
        for part, chosen in state.placed.items()
    }


class _State:
    """What each part has while components are placed."""

    def __init__(self, aims: Targets, held: Mapping[str, Mapping[str, int]]) -> None:
        self.aims = aims
        self.has = {part: Counter(held.get(part, {})) for part in aims}
        self.placed: dict[str, dict[str, Component]] = {part: {} for part in aims}

    def best(self, component: Component) -> str:
        """Return the part where the component fills most and overfills least; of equals, the first."""
        found, most = "train", (-math.inf, 0.0)
        for part in ("train", "test", "validation"):
            merit = self._merit(component, part)
            if merit > most:
                found, most = part, merit
        return found

    def _merit(self, component: Component, part: str) -> tuple[int, float]:
        gain, lacking, aimed = 0, 0, 0
        aims, has = self.aims[part], self.has[part]
        for label, size in component.labels.items():
            aim = aims[label]
            room = max(aim - has[label], 0)
            gain += size if size <= room else 2 * room - size
            lacking += room
            aimed += aim
        return gain, lacking / aimed if aimed else 0.0

    def add(self, component: Component, part: str) -> None:
        for label, size in component.labels.items():
            self.has[part][label] += size
        self.placed[part][component.order] = component

    def _remove(self, component: Component, part: str) -> None:
        self.has[part].subtract(component.labels)
        del self.placed[part][component.order]

    def borrow(self, label: str, part: str) -> None:
        """Move the smallest component that has the label into the part, from one that can spare it.

        `train` may take what the others need, `test` what `validation` needs.
        """
        weaker = {"train": ("validation", "test"), "test": ("validation",), "validation": ()}[part]
        donors = [donor for donor in ("train", "validation", "test") if donor != part]
        options = [
            (donor in weaker, len(component.images), component.order, donor)
            for donor in donors
            for component in self.placed[donor].values()
            if label in component.labels
            and self._can_spare(component, donor, sparing=donor not in weaker)
        ]
        if options:
            *_, order, donor = min(options)
            component = self.placed[donor][order]
            self._remove(component, donor)
            self.add(component, part)

    def _can_spare(self, component: Component, donor: str, *, sparing: bool) -> bool:
        left = (self.has[donor][label] - size for label, size in component.labels.items())
        return not sparing or all(count > 0 for count in left)
