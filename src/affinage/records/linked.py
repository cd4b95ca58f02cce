"""Groups of images that pairs tie together, directly or through others."""

from collections.abc import Iterable

from affinage.records.finding import Pair


def groups_of(pairs: Iterable[Pair]) -> dict[str, str]:
    """Return the group of each image of the pairs: the smallest image id that it is tied to.

    Args:
        pairs: In any order; the answer does not depend on it.

    Returns:
        Image id to name of its group; images in no pair are left out.

    Source:
        Tarjan, Efficiency of a Good But Not Linear Set Union Algorithm, 1975.
    """
    leader: dict[str, str] = {}

    def find(image: str) -> str:
        while leader.setdefault(image, image) != image:
            leader[image] = leader[leader[image]]
            image = leader[image]
        return image

    for pair in pairs:
        one, other = sorted((find(pair.first_id), find(pair.second_id)))
        leader[other] = one
    return {image: find(image) for image in sorted(leader)}
