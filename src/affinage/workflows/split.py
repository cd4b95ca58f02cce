"""The verb `split`: which images teach, choose and judge, and what keeping them apart costs."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from affinage.datasets.folds import make_folds
from affinage.datasets.split import make_split, split_name
from affinage.models.process import usable_cores
from affinage.records.finding import Finding
from affinage.records.linked import groups_of
from affinage.records.manifest import PARTS, Manifest
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Folds, PartCounts, Split, SplitResult
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.opened import open_data
from affinage.workflows.reporter import Lines, Reporter

_TWINS = frozenset({"near-duplicates", "near-conflicts", "leaks-across-parts"})
"""Findings whose pairs must not be parted."""


def split(
    source: str | Path | Sequence[str | Path],
    *,
    data: str | Path | None = None,
    group: str | None = None,
    validation: float | None = None,
    test: float | None = None,
    folds: int | None = None,
    seed: int | None = None,
    name: str | None = None,
    keep_near: bool = True,
    recut: bool = False,
    reporter: Reporter | None = None,
) -> SplitResult:
    """Cut a data set into parts without leaks, or bring its cut up to date, and return what it holds.

    Copies, near-duplicates that the last audit found, and images that share a value of `group` lie
    in one part. Images that have a part keep it. A training with the same settings takes this cut.

    Args:
        source: A data set's folder, or folders and tables of images.
        data: The data set's folder; its own, or `affinage-data/NAME`, by default.
        group: Column whose values must not straddle parts.
        validation: Share of the training images; 0.2 by default.
        test: Share of all images; 0.2 by default, 0 for no test part.
        folds: Deal train and validation into so many folds, 2 to 20, instead.
        seed: Another cut of the same images.
        name: Under which the cut is kept; by default one that the settings determine.
        keep_near: Keep near-duplicates in one part.
        recut: Cut all parts anew, whatever parts the source gives.
        reporter: Told of progress.

    Raises:
        DataError: If the source cannot be used, or the group column is missing or groups nothing.
        RecipeError: If a share or the seed is out of range.
    """
    settings = _settings(group=group, validation=validation, test=test, seed=seed)
    sources = [Path(one) for one in ([source] if isinstance(source, (str, Path)) else source)]
    opened = open_data(
        sources,
        Path(data) if data is not None else None,
        reporter=reporter or Lines(),
        threads=usable_cores(),
        beside=Path(),
    )
    dataset, manifest = opened.dataset, opened.manifest
    kept_name = name or split_name(settings, recut=recut)
    together = near_groups(dataset) if keep_near else {}
    earlier = dataset.load_split(kept_name)
    made, findings = make_split(manifest, settings, earlier=earlier, together=together, recut=recut)
    findings = [*opened.findings, *findings, *_not_looked_for(dataset, keep_near=keep_near)]
    dataset.save_split(kept_name, made.remembering(earlier))
    parts, before = _parts(made), _parts(earlier)
    if folds is not None:
        kept_name = f"{kept_name}-{folds}-folds"
        earlier_folds = dataset.load_folds(kept_name)
        dealt, more = make_folds(
            manifest, made, settings, count=folds, earlier=earlier_folds, together=together
        )
        dataset.save_folds(kept_name, dealt.remembering(earlier_folds))
        findings = [*_on_test(findings), *more]
        parts, before = _fold_parts(dealt), _fold_parts(earlier_folds)
    part_of = {image: part for part, ids in parts.items() for image in ids}
    stayed = sum(part_of.get(image) == part for part, ids in before.items() for image in ids)
    return SplitResult(
        data=dataset.name,
        name=kept_name,
        folds=folds or 0,
        group=settings.group,
        images={part: len(ids) for part, ids in parts.items()},
        classes=_classes(manifest, part_of, list(parts)),
        groups=_groups(manifest, part_of, list(parts), settings.group),
        kept_together=sum(image in part_of for image in together),
        stayed=stayed,
        findings=tuple(findings),
    )


def near_groups(dataset: DatasetFolder) -> dict[str, str]:
    """Return the group of each image that the last audit found to have near-duplicates.

    Raises:
        DataError: If what the audit found is damaged.
    """
    return groups_of(
        pair
        for finding in dataset.load_findings()
        if finding.code in _TWINS
        for pair in finding.pairs
    )


def _settings(**given: object) -> SplitSettings:
    """Return settings with what was given; out of range, the recipe says so."""
    asked = {name: value for name, value in given.items() if value is not None}
    return parse_recipe({"split": asked}).split


def _not_looked_for(dataset: DatasetFolder, *, keep_near: bool) -> list[Finding]:
    if dataset.audited or not keep_near:
        return []
    return [
        Finding(
            code="near-duplicates-unknown",
            severity="note",
            subject="Nobody has looked for near-duplicates yet: they may lie on both sides of this cut.",
            remedy="Before any training: affinage audit DATA, then cut again.",
        )
    ]


def _on_test(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that hold for folds too: not those on validation, which is dealt out."""
    spoken_of_parts = {"class-lacks-part", "tiny-class", "shares-not-reached"}
    return [finding for finding in findings if finding.code not in spoken_of_parts]


def _parts(split: Split | None) -> dict[str, frozenset[str]]:
    return {part: getattr(split, part) if split else frozenset() for part in PARTS}


def _fold_parts(folds: Folds | None) -> dict[str, frozenset[str]]:
    if folds is None:
        return {}
    numbered = {f"fold {number}": ids for number, ids in enumerate(folds.folds, start=1)}
    return {**numbered, "test": folds.test}


def _classes(
    manifest: Manifest, part_of: Mapping[str, str], parts: Sequence[str]
) -> tuple[PartCounts, ...]:
    rows = manifest.kept.select("image", "label").unique().sort("image")
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image, label in rows.iter_rows():
        counts[label][part_of.get(image, "")] += 1
    return tuple(
        PartCounts(label=label, images={part: counts[label][part] for part in parts})
        for label in manifest.label_order
    )


def _groups(
    manifest: Manifest, part_of: Mapping[str, str], parts: Sequence[str], group: str | None
) -> dict[str, int]:
    if group is None:
        return {}
    name = next(name for name in manifest.table.columns if name.lower() == group.strip().lower())
    rows = manifest.kept.select("image", pl.col(name).alias("value")).drop_nulls().unique()
    held: defaultdict[str, set[str]] = defaultdict(set)
    for image, value in rows.iter_rows():
        held[part_of.get(image, "")].add(value)
    return {part: len(held[part]) for part in parts}
