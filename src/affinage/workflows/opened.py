"""A source or a data set's folder, opened: its manifest with the owner's decisions applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from affinage.datasets.decisions import EXCLUDED, apply_decisions, standing
from affinage.datasets.sources import scan
from affinage.datasets.verifying import located, verify
from affinage.errors import DataError
from affinage.imaging.batches import Item
from affinage.records.decision import Decision
from affinage.records.finding import Finding
from affinage.records.manifest import Manifest
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.places import default_data_folder, place
from affinage.workflows.reporter import Reporter

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A data set that agrees with its files and with its owner.

    Attributes:
        dataset: Its folder.
        manifest: With every decision applied.
        ignored: Relative paths of files that are no images, by reason; empty for a folder of data.
        findings: What decisions leave out, and which files changed since they were read.
    """

    dataset: DatasetFolder
    manifest: Manifest
    ignored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def is_data_folder(path: Path) -> bool:
    """Return whether a path is a data set's folder, as collect, audit, split or train write it."""
    return path.is_dir() and DatasetFolder(path).exists


def data_folder(sources: Sequence[Path], data: Path | None, *, beside: Path) -> DatasetFolder:
    """Return the folder of the data set that sources belong to.

    Args:
        sources: Images and tables; or one data set's folder, which is its own.
        data: Where the caller wants it; None for the source's own, or the default.
        beside: The working folder, where `affinage-data` lies.

    Raises:
        DataError: If a data set's folder stands among several sources, or beside another `data`.
    """
    folders = [source for source in sources if is_data_folder(source)]
    if not folders:
        return DatasetFolder(
            data if data is not None else default_data_folder(sources, beside=beside)
        )
    if len(sources) > 1:
        raise DataError(
            f"'{folders[0]}' is a data set's folder, and cannot be joined with other sources.",
            remedy="Give it alone, or give the folders of images that it was made of.",
        )
    if data is not None and data.resolve() != folders[0].resolve():
        raise DataError(
            f"'{folders[0]}' is a data set's folder already: '{data}' cannot be another for it.",
            remedy="Leave --data out.",
        )
    return DatasetFolder(folders[0])


def open_data(
    sources: Sequence[Path],
    data: Path | None,
    *,
    reporter: Reporter,
    threads: int,
    beside: Path,
    classes_needed: int = 2,
    counts: Sequence[str] = (),
) -> Opened:
    """Return a data set, brought up to date with its files, with its owner's decisions applied.

    A data set's folder is taken as it is known: files whose size or time of change differ are read
    again, and new files are not looked for. Any other source is scanned, reading only what is new or
    changed. The folder keeps the manifest as found; the decisions stay beside it, so that neither
    way loses one.

    Args:
        sources: Folders and tables, or one data set's folder.
        data: The data set's folder; None for the default beside the work.
        reporter: Told of progress.
        threads: Files read at once.
        beside: The working folder.
        classes_needed: The least number of classes that are left, where images have a label each.
        counts: Columns of tables that hold counts.

    Raises:
        DataError: If a source is missing or not understood, or decisions leave too little.
    """
    dataset = data_folder(sources, data, beside=beside)

    def tell(done: int, total: int | None) -> None:
        reporter.phase("reading images", done, total)

    ignored: Mapping[str, Sequence[str]] = {}
    findings: list[Finding] = []
    known = dataset.load_manifest()
    if known is not None and len(sources) == 1 and is_data_folder(sources[0]):
        verified = verify(located(known, dataset.path), threads=threads, progress=tell)
        if verified.changed or verified.manifest.sources != known.sources:
            dataset.save_manifest(verified.manifest)
        found = verified.usable
        findings += _changed_files(verified.changed)
    else:
        scanned = scan(
            sources, known=known, threads=threads, progress=tell,
            classes_needed=classes_needed, counts=counts,
        )  # fmt: skip
        dataset.save_manifest(scanned.manifest)
        found, ignored = scanned.manifest, scanned.ignored
    decisions = dataset.decisions()
    manifest = apply_decisions(found, decisions)
    _check(manifest, found, classes_needed)
    findings += decided(manifest, standing(decisions))
    return Opened(dataset=dataset, manifest=manifest, ignored=ignored, findings=tuple(findings))


def decided(manifest: Manifest, decisions: Sequence[Decision]) -> list[Finding]:
    """Return the finding that decisions leave images out, with their reasons."""
    rows = manifest.table.filter(manifest.table["reason"].str.starts_with(EXCLUDED))
    rows = rows.filter(~pl.col("image").is_in(manifest.kept["image"].implode()))
    if not rows.height:  # None, or all have copies where no decision holds.
        return []
    reasons = rows.group_by("reason").len().sort("len", "reason", descending=[True, False])
    images = rows["image"].n_unique()
    made = sum(decision.action == "exclude" for decision in decisions)
    return [
        Finding(
            code="left-out-by-decision",
            severity="note",
            subject=f"{images:,} {'image is' if images == 1 else 'images are'} left out by"
            f" {made:,} decision{'s' if made > 1 else ''} of the owner.",
            evidence=tuple(
                f"{n:,} × {reason.removeprefix(EXCLUDED)}"
                for reason, n in reasons.head(10).iter_rows()
            ),
            remedy="See the decisions, and take one back: affinage include DATA --list",
        )
    ]


def _changed_files(paths: Sequence[str]) -> list[Finding]:
    if not paths:
        return []
    more = len(paths) - _SHOWN
    return [
        Finding(
            code="changed-files",
            severity="note",
            subject=f"{len(paths):,} {'file has' if len(paths) == 1 else 'files have'} changed since"
            " they were read, and were read again.",
            evidence=(*paths[:_SHOWN], *([f"and {more:,} more"] if more > 0 else [])),
            images=tuple(paths),
        )
    ]


def _check(manifest: Manifest, found: Manifest, classes_needed: int) -> None:
    labelled = found.kept["label"].is_not_null().all()
    if len(manifest.label_order) >= classes_needed or (not labelled and manifest.kept.height):
        return
    left = ", ".join(f"'{label}'" for label in manifest.label_order) or "none"
    raise DataError(
        f"Too few classes are left: {left} of {len(found.label_order)}, and"
        f" {classes_needed} are needed.",
        remedy="Take a decision back: affinage include DATA --last",
    )


def items_of(manifest: Manifest, images: pl.DataFrame) -> list[Item]:
    """Return where images lie, in the order of their rows (columns `image`, `source`, `path`)."""
    return [
        Item(image=image, path=place(manifest, source, path))
        for image, source, path in images.select("image", "source", "path").iter_rows()
    ]
