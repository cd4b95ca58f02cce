"""From a split to folds that keep together what belongs together, and stay as the set grows."""

from collections import Counter
from collections.abc import Mapping, Sequence

from affinage.datasets import split_findings as tell
from affinage.datasets.components import Component
from affinage.datasets.split import images_of, newcomers
from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.records.manifest import Manifest
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Folds, Split

MOST_FOLDS = 20


def make_folds(
    manifest: Manifest,
    split: Split,
    settings: SplitSettings,
    *,
    count: int,
    earlier: Folds | None = None,
    together: Mapping[str, str] | None = None,
) -> tuple[Folds, list[Finding]]:
    """Return folds in proportion to the classes, and what to know about them.

    The images of train and validation, given or cut, are dealt into the folds: the largest groups
    first, each to the fold that has least of its classes. The test part stays apart.

    Args:
        manifest: Images with their labels.
        split: What `make_split` made of the manifest with these settings.
        settings: The group column, and the seed of the lottery.
        count: How many folds, 2 to 20.
        earlier: The last folds of these settings: their images stay where they are.
        together: As for `make_split`.

    Raises:
        DataError: If there is too little to deal, or `count` is out of range.
    """
    if not 2 <= count <= MOST_FOLDS:
        raise DataError(
            f"{count} folds cannot be made.", remedy=f"Ask for 2 to {MOST_FOLDS} folds: --folds 5"
        )
    images = images_of(manifest, settings.group, together)
    pool = sorted(split.train | split.validation)
    stay = _staying(pool, earlier)
    joined, free, left_out = newcomers(pool, stay, images, settings.seed)
    folds = Folds(folds=_deal(free, count, stay | joined, images.label), test=split.test)
    _check(folds, settings.group)
    findings = [
        *tell.links_two_parts(left_out, images.paths),
        *tell.ties_across_folds(folds, images.ties, images.paths, images.reason),
        *tell.classes_that_lack_folds(folds, images.label),
        *tell.folds_uneven(folds, images.reason),
    ]
    return folds, findings


def _staying(pool: Sequence[str], earlier: Folds | None) -> dict[str, str]:
    if earlier is None:
        return {}
    number = {image: str(n) for n, ids in enumerate(earlier.folds) for image in ids}
    return {image: number[image] for image in pool if image in number}


def _deal(
    free: Sequence[Component], count: int, stay: Mapping[str, str], label: Mapping[str, str]
) -> tuple[frozenset[str], ...]:
    """Deal components, the largest first, each to the fold that has least of its classes."""
    folds: list[set[str]] = [set() for _ in range(count)]
    has = [Counter[str]() for _ in range(count)]
    for image, fold in stay.items():
        folds[int(fold)].add(image)
        has[int(fold)][label[image]] += 1
    for component in sorted(free, key=lambda component: -len(component.images)):
        best = min(range(count), key=lambda n: (_load(has[n], component), len(folds[n]), n))
        folds[best].update(component.images)
        has[best].update(component.labels)
    return tuple(map(frozenset, folds))


def _load(has: Mapping[str, int], component: Component) -> float:
    """Return how many images of the component's classes a fold has, as the component weighs them."""
    return sum(has[name] * size for name, size in component.labels.items()) / len(component.images)


def _check(folds: Folds, group: str | None) -> None:
    empty = sum(not ids for ids in folds.folds)
    if empty:
        what = f"values of '{group}'" if group else "images"
        raise DataError(
            f"There are too few {what}: {empty} of {len(folds)} folds would be empty.",
            remedy="Ask for fewer folds, or add images.",
        )
