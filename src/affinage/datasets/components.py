"""Components: images that must lie in one part because a group ties them together."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """Images that must not be parted.

    Attributes:
        images: Their ids, sorted.
        labels: How many of them each label has; images that stand alone share it, so it is not to be
            changed.
        order: Where it stands in the lottery: a hash of the seed and its smallest id.
    """

    images: tuple[str, ...]
    labels: Mapping[str, int]
    order: str


def components(
    images: Iterable[str],
    *,
    groups: Mapping[str, frozenset[str]],
    labels: Mapping[str, str],
    seed: int,
) -> list[Component]:
    """Return the connected components of images and the groups that they belong to, in order.

    Args:
        images: Ids to arrange.
        groups: Group values of each image; images without any stand alone.
        labels: Label of each image.
        seed: Decides the order; the same images and seed give the same one.
    """
    leader: dict[str, str] = {}
    one_of = {label: {label: 1} for label in set(labels.values())}  # Shared: most stand alone.

    def find(node: str) -> str:
        while leader.setdefault(node, node) != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    made: list[Component] = []
    tied = []
    for image in images:
        if groups.get(image):
            tied.append(image)
        else:
            made.append(Component((image,), one_of[labels[image]], _order(seed, image)))
    for image in sorted(tied):
        for group in groups[image]:
            leader[find(f"group {group}")] = find(image)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for image in sorted(tied):
        members[find(image)].append(image)
    made += [
        Component(tuple(ids), Counter(labels[image] for image in ids), _order(seed, ids[0]))
        for ids in members.values()
    ]
    return sorted(made, key=lambda component: component.order)


def _order(seed: int, image: str) -> str:
    return hashlib.sha256(f"{seed} {image}".encode()).hexdigest()
