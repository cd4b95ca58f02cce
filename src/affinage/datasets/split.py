"""From a manifest to a split without leaks that stays as it is when the data set grows."""

import difflib
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl

from affinage.datasets import split_findings as tell
from affinage.datasets.allotting import Shares, allot, targets
from affinage.datasets.components import Component, components
from affinage.datasets.sources import OWN_COLUMNS
from affinage.datasets.targets import labelled, strata
from affinage.errors import DataError
from affinage.records.finding import Finding
from affinage.records.manifest import PARTS, SCHEMA, Manifest
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The kept images of a manifest, each once however many rows it has.

    Attributes:
        label: Of each image.
        given: Parts that the user gave its rows; empty where none was given at all.
        groups: Its values of the group column; images without any are missing.
        ties: `groups`, and the group of near-duplicates that it belongs to.
        paths: Relative paths of its rows, sorted.
        reason: What ties images, in words; None where nothing does.
    """

    label: Mapping[str, str]
    given: Mapping[str, frozenset[str]]
    groups: Mapping[str, frozenset[str]]
    ties: Mapping[str, frozenset[str]]
    paths: Mapping[str, tuple[str, ...]]
    reason: str | None


def make_split(
    manifest: Manifest,
    settings: SplitSettings,
    *,
    earlier: Split | None = None,
    together: Mapping[str, str] | None = None,
    recut: bool = False,
) -> tuple[Split, list[Finding]]:
    """Return which images to learn from, to choose by and to judge by, and what to know about it.

    Parts are cut by content: equal bytes, images that share a value of the group column, and
    near-duplicates that the caller names stay together. Each class is cut in proportion. Parts that
    the user gave are respected; bytes in several of them count in test, else in validation. What the
    user did not give is cut from train (rows without a part are train). The outcome depends on the
    images, the settings, `together` and `earlier` only, never on the order of rows.

    Args:
        manifest: Images with their labels and given parts.
        settings: Shares, the group column, and the seed of the lottery.
        earlier: The last split of these settings: its images stay where they are. A new image that
            would tie two of its parts together through groups is left out.
        together: Group of each image that must lie in one part with its twins, by image id.
        recut: Cut all parts, whatever the user gave.

    Returns:
        The split, and findings on what was left out, lacks images or leaks.

    Raises:
        DataError: If the group column is missing or groups nothing, or no image is left to train.
    """
    images = images_of(manifest, settings.group, together)
    if recut:
        images = replace(images, given={})
    given = _given(images, closed_set=settings.closed_set)
    shares = _shares(given.values(), settings)
    pool = [image for image in sorted(images.label) if given.get(image, "train") == "train"]
    if not pool:
        raise DataError(
            "All images lie in the given test and validation parts: none is left to train on.",
            remedy="Add a train folder, or rows whose split is 'train'.",
        )
    stay = {} if settings.closed_set else _staying(pool, earlier, shares)
    joined, free, left_out = newcomers(pool, stay, images, settings.seed)
    stay.update(joined)
    pool = [image for image in pool if image not in left_out]
    beside = Counter(images.label[image] for image, part in given.items() if part != "train")
    aims = targets(Counter(images.label[image] for image in pool), shares, beside=beside)
    chosen = allot(free, aims, held=_held(stay, images.label))
    part_of = {image: part for image, part in given.items() if part != "train"} | stay
    for part, placed in chosen.items():
        part_of.update(dict.fromkeys((i for component in placed for i in component.images), part))
    parts = {name: frozenset(i for i, part in part_of.items() if part == name) for name in PARTS}
    split = Split(
        train=parts["train"],
        validation=parts["train"] if settings.closed_set else parts["validation"],
        test=parts["test"],
        closed_set=settings.closed_set,
        carved=not settings.closed_set and "validation" not in given.values(),
    )
    findings = [
        *tell.crosses_parts(images.given, images.paths, closed_set=settings.closed_set),
        *tell.links_two_parts(left_out, images.paths),
        *tell.group_across_parts(split, images.groups, images.paths, settings.group),
        *tell.twins_across_parts(split, together or {}, images.paths, given=bool(given)),
        *(tell.classes_that_lack_parts(part_of, images.label, aims) if labelled(manifest) else ()),
        *tell.shares_not_reached(part_of, pool, aims, images.reason),
        *tell.test_cut_from_train(split, given=set(given.values())),
    ]
    return split, findings


def split_name(settings: SplitSettings, *, recut: bool = False) -> str:
    """Return the name under which a data set keeps the split of these settings.

    Args:
        settings: Those that differ from the defaults make a name of their own.
        recut: As for `make_split`.
    """
    end = "-recut" if recut else ""
    changed = {
        key: value
        for key, value in settings.model_dump().items()
        if value != SplitSettings.model_fields[key].default and key != "given"
    }
    if not changed:
        return f"default{end}"
    return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:12] + end


def images_of(manifest: Manifest, group: str | None, together: Mapping[str, str] | None) -> Images:
    """Return the kept images with everything that decides where they may lie.

    Args:
        manifest: Rows, of which the kept ones count.
        group: Column whose values must not straddle parts.
        together: As for `make_split`; of images that are not kept, nothing is said.

    Raises:
        DataError: If there is no such column, or it groups nothing.
    """
    kept = manifest.table.with_columns(strata(manifest).alias("label")).filter(
        pl.col("status") == "kept"
    )
    groups = _group_column(kept, group) if group else None
    table = kept.select(
        "image",
        "label",
        "part",
        "path",
        (pl.lit(None, pl.String) if groups is None else groups).alias("group"),
    ).sort("path")
    ids = table["image"].to_list()
    label = dict(zip(ids, table["label"].to_list(), strict=True))
    tied = _grouped((image, value.strip() or None) for image, value in _filled(table, "group"))
    ties = dict(tied)
    for image, twins in sorted((together or {}).items()):
        if image in label:
            # The mark in front: never the same as a user's value.
            ties[image] = ties.get(image, frozenset()) | {f"\0{twins}"}
    given: dict[str, frozenset[str]] = {}
    if table["part"].null_count() < table.height:
        given = _grouped(zip(ids, table["part"].fill_null("train").to_list(), strict=True))
    paths: dict[str, tuple[str, ...]] = {}
    for image, path in zip(ids, table["path"].to_list(), strict=True):
        paths[image] = (*paths.get(image, ()), path)
    return Images(
        label=label,
        given=given,
        groups=tied,
        ties=ties,
        paths=paths,
        reason=f"values of {group}" if group else "near-duplicates" if together else None,
    )


def _filled(table: pl.DataFrame, column: str) -> Iterator[tuple[str, str]]:
    """Yield image and value of each row that has one."""
    rows = table.select("image", column).drop_nulls()
    yield from zip(rows["image"].to_list(), rows[column].to_list(), strict=True)


def _grouped(values: Iterable[tuple[str, str | None]]) -> dict[str, frozenset[str]]:
    """Return the values of each image; images of one value share the set, for there may be millions."""
    single: dict[str, frozenset[str]] = {}
    found: dict[str, frozenset[str]] = {}
    for image, value in values:
        if value is None:
            continue
        own = single.setdefault(value, frozenset((value,)))
        found[image] = found[image] | own if image in found else own
    return found


def _group_column(kept: pl.DataFrame, group: str) -> pl.Series:
    """Return the values to group by, after making sure that they group something.

    Raises:
        DataError: If there is no such column, or each row (or no two) has a value of its own.
    """
    own = {*SCHEMA, *OWN_COLUMNS} - {"source"}
    names = [name for name in kept.columns if name not in own]
    name = next((n for n in names if n.lower() == group.strip().lower()), None)
    if name is None:
        near = difflib.get_close_matches(group, names, n=1, cutoff=0.5)
        listed = ", ".join(f"'{n}'" for n in names)
        raise DataError(
            f"There is no column '{group}' to group by; there are {listed}.",
            remedy=f"Use --group {near[0]}." if near else "Name one of these with --group.",
        )
    values = kept[name].cast(pl.String)
    filled = values.drop_nulls()
    if filled.n_unique() == filled.len() and kept.height > 1:
        raise DataError(
            f"The column '{name}' has a different value in each of its {filled.len():,} rows:"
            " it groups nothing.",
            remedy="Name a column whose value several images share, such as a patient or a slide.",
        )
    if filled.n_unique() == 1 and filled.len() == kept.height:
        raise DataError(
            f"The column '{name}' has one value, '{filled[0]}': all images would be in one part.",
            remedy="Name a column with a value for each patient, slide or place, or no group.",
        )
    return values


def _given(images: Images, *, closed_set: bool) -> dict[str, str]:
    """Return the part of each image where the user gave any: test over validation over train."""
    strongest = ("test",) if closed_set else ("test", "validation")
    return {
        image: next((part for part in strongest if part in parts), "train")
        for image, parts in images.given.items()
    }


def _shares(given: Collection[str], settings: SplitSettings) -> Shares:
    if settings.closed_set:
        return Shares(validation=0, test=0)
    return Shares(
        validation=0 if "validation" in given else settings.validation,
        test=0 if "test" in given else settings.test,
    )


def _staying(pool: Iterable[str], earlier: Split | None, shares: Shares) -> dict[str, str]:
    """Return the part of each image that an earlier split assigned, and that may still be cut."""
    if earlier is None or earlier.closed_set:
        return {}
    cut = {"train": 1.0, "validation": shares.validation, "test": shares.test}
    parts = ((image, earlier.part_of(image)) for image in pool)
    return {image: part for image, part in parts if part is not None and cut[part]}


def newcomers(
    pool: Iterable[str], stay: Mapping[str, str], images: Images, seed: int
) -> tuple[dict[str, str], list[Component], set[str]]:
    """Return newcomers whose group has a part already, the free ones, and those to leave out.

    Args:
        pool: Ids of all images that are to be parted.
        stay: The part of those that have one already.
        images: What ties them.
        seed: Of the lottery.

    Returns:
        The part of images that join their group there; components without a part, in the order of the
        lottery; ids whose groups lie in several parts.
    """
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for image, part in stay.items():
        for group in images.ties.get(image, ()):
            taken[group].add(part)

    def ties(ids: Iterable[str]) -> set[str]:
        return {
            part for i in ids for group in images.ties.get(i, ()) for part in taken.get(group, ())
        }

    new = [image for image in pool if image not in stay]
    left_out = {image for image in new if len(ties([image])) > 1}
    joined: dict[str, str] = {}
    free: list[Component] = []
    rest = (image for image in new if image not in left_out)
    for component in components(rest, groups=images.ties, labels=images.label, seed=seed):
        parts = ties(component.images)
        if len(parts) > 1:
            left_out.update(component.images)
        elif parts:
            joined.update(dict.fromkeys(component.images, parts.pop()))
        else:
            free.append(component)
    return joined, free, left_out


def _held(stay: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, Counter[str]]:
    held: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for image, part in stay.items():
        held[part][labels[image]] += 1
    return held
