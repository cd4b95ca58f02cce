"""The verb `audit`: one decode pass and one feature pass feed every check of a data set."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.checks import DEEP, by_cost
from affinage.auditing.checks import audit as run_checks
from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.near_duplicates import find_near_duplicates
from affinage.auditing.source_quality import source_reports
from affinage.datasets.split import make_split, split_name
from affinage.errors import DataError
from affinage.imaging.batches import Item, read
from affinage.imaging.decode import decode
from affinage.imaging.hashing import shrunk
from affinage.imaging.measuring import FACTS, measure_all
from affinage.models.process import usable_cores
from affinage.records.audit import AuditResult
from affinage.records.manifest import Manifest
from affinage.records.settings.split import SplitSettings
from affinage.records.split import Split
from affinage.reporting.audit_report import audit_report, pictures_wanted
from affinage.reporting.html import to_html
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.files import write_text
from affinage.store.measure_cache import MeasureCache
from affinage.workflows.opened import Opened, items_of, open_data
from affinage.workflows.pictures import pictures_of
from affinage.workflows.places import place
from affinage.workflows.reporter import Lines, Reporter


def audit(
    source: str | Path | Sequence[str | Path],
    *,
    data: str | Path | None = None,
    group: str | None = None,
    quick: bool = False,
    backbone: str | None = None,
    report: str | Path | None = None,
    reporter: Reporter | None = None,
) -> AuditResult:
    """Look for everything that is wrong with a data set, and write a report with pictures.

    Every image is decoded once for its measures and once for the features of a frozen backbone; both
    are kept in the data set's cache, so that a second audit, or a training, starts from them.

    Args:
        source: A data set's folder, or folders and tables of images.
        data: The data set's folder; its own, or `affinage-data/NAME`, by default.
        group: Column of sources (domain, camera, slide, uploader) to judge one by one.
        quick: Leave out the feature pass, and with it near-duplicates, wrong labels, off-topic images
            and sources.
        backbone: timm name of the backbone of the features; the recipe's default where None.
        report: Where the report goes; `audit.html` in the data set's folder by default.
        reporter: Told of progress.

    Raises:
        DataError: If the source cannot be used or there is no such column.
        ModelError: If the backbone's weights cannot be had.
    """
    told = reporter or Lines()
    sources = [Path(one) for one in ([source] if isinstance(source, (str, Path)) else source)]
    watch = _Watch()
    with watch.phase("scan"):
        opened = open_data(
            sources,
            Path(data) if data is not None else None,
            reporter=told,
            threads=usable_cores(),
            beside=Path(),
            classes_needed=1,
        )
    evidence = gather_all(
        opened, group=group, quick=quick, backbone=backbone, told=told, watch=watch
    )
    with watch.phase("checks"):
        told.say("checking")
        findings = by_cost([*opened.findings, *run_checks(evidence)])
        reports = (
            source_reports(evidence) if evidence.group and evidence.features is not None else ()
        )
    if evidence.near is None:
        opened.dataset.keep_findings(findings, deeper=DEEP)
    else:
        opened.dataset.save_findings(findings)
    result = AuditResult(
        data=opened.dataset.name,
        images=len(evidence.ids),
        rows=opened.manifest.table.height,
        classes=_sizes(evidence),
        findings=tuple(findings),
        group=evidence.group,
        source_reports=reports,
        looked_at=_looked_at(evidence),
        seconds=watch.seconds,
        report=str(Path(report) if report is not None else opened.dataset.audit_report),
        folder=str(opened.dataset.path),
    )
    with watch.phase("report"):
        pictures = pictures_of(opened.manifest, pictures_wanted(result), threads=usable_cores())
        page = audit_report(result, pictures=pictures, paths=_paths(opened.manifest))
        write_text(Path(result.report), to_html(page))
    return result


def gather_all(
    opened: Opened,
    *,
    group: str | None,
    quick: bool,
    backbone: str | None,
    told: Reporter,
    watch: "_Watch",
) -> Evidence:
    """Return the evidence of every pass that was asked for."""
    manifest, dataset = opened.manifest, opened.dataset
    evidence = replace(
        gather(manifest, ignored=opened.ignored, split=_split(manifest, dataset)),
        group=_column(manifest, group),
        look=_look(manifest),
        progress=told.phase,
    )
    items = items_of(manifest, evidence.images)
    with watch.phase("decode pass"):
        measured = measure_all(
            items,
            threads=usable_cores(),
            cache=MeasureCache(dataset.cache, FACTS),
            progress=lambda done, total: told.phase("measuring pixels", done, total),
        )
    evidence = replace(evidence, measures=measured.table, thumbs=measured.thumbs)
    if quick or not items:
        return evidence
    with watch.phase("feature pass"):
        from affinage.workflows.embed import embed  # noqa: PLC0415 - torch: a quick audit needs none.

        features = embed(items, dataset, backbone=backbone, told=told)
    evidence = replace(evidence, features=features)
    with watch.phase("near-duplicates"):
        return replace(evidence, near=find_near_duplicates(evidence))


class _Watch:
    """How long each phase took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)


def _split(manifest: Manifest, dataset: DatasetFolder) -> Split | None:
    """Return the parts that a training would take: cut anew, given, or those of an earlier one."""
    settings = SplitSettings()
    again = split_name(settings, recut=True)
    if dataset.is_newer_split(again, than=split_name(settings)):
        return dataset.load_split(again)
    if manifest.kept["part"].drop_nulls().len():
        with contextlib.suppress(
            DataError
        ):  # Parts that no training could use: other findings say so.
            return make_split(manifest, SplitSettings())[0]
    return dataset.load_split(split_name(SplitSettings()))


def _column(manifest: Manifest, group: str | None) -> str | None:
    if group is None:
        return None
    found = [name for name in manifest.table.columns if name.lower() == group.lower()]
    if not found:
        names = ", ".join(f"'{name}'" for name in manifest.table.columns)
        raise DataError(
            f"There is no column '{group}' in the table; its columns are {names}.",
            remedy="Give --group one of these.",
        )
    return found[0]


def _look(manifest: Manifest) -> Callable[[str, int], NDArray[np.uint8]]:
    @functools.cache
    def places() -> dict[str, tuple[str, str]]:
        rows = manifest.kept.select("image", "source", "path").unique("image", keep="last")
        return {image: (source, path) for image, source, path in rows.iter_rows()}

    def look(image: str, size: int) -> NDArray[np.uint8]:
        where = place(manifest, *places()[image])
        return shrunk(decode(read(Item(image=image, path=where))).pixels, size)

    return look


def _sizes(evidence: Evidence) -> dict[str, int]:
    counts = np.bincount(evidence.labels, minlength=len(evidence.classes))
    return dict(zip(evidence.classes, counts.tolist(), strict=True))


def _looked_at(evidence: Evidence) -> tuple[str, ...]:
    seen = {
        "pixels": evidence.measures is not None,
        "features": evidence.features is not None,
        "near-duplicates": evidence.near is not None,
    }
    return ("manifest", *(name for name, there in seen.items() if there))


def _paths(manifest: Manifest) -> dict[str, str]:
    """Return a relative path and a label of each image, for people."""
    rows = manifest.table.filter(pl.col("image").is_not_null()).unique("image", keep="first")
    return {
        image: f"{path} ({label})" if label else path
        for image, path, label in rows.select("image", "path", "label").iter_rows()
    }
