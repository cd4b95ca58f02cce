"""The verb `feedback`: corrections enter the data set, and a model that learnt them is compared."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import polars as pl

from affinage.datasets.sources import scan
from affinage.errors import DataError, ImageError, RunError
from affinage.imaging.decode import inspect
from affinage.imaging.hashing import content_id
from affinage.models.process import usable_cores
from affinage.records.feedback import FeedbackAdded, FeedbackCompared
from affinage.records.manifest import Manifest
from affinage.store.bundle import BundleFolder
from affinage.store.corrections import read_corrections
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.feedback_folder import FeedbackFolder
from affinage.store.files import write_json
from affinage.store.prediction_log import PredictionLog
from affinage.store.run_folder import RunFolder
from affinage.workflows.feedback_comparing import compared
from affinage.workflows.reporter import Reporter, Silent
from affinage.workflows.train import train

_Row = Mapping[str, str]


def feedback_add(
    bundle: str | Path,
    corrections: str | Path,
    *,
    run: str | Path,
    log: str | Path | None = None,
    images: str | Path | None = None,
    new_class: bool = False,
    reporter: Reporter | None = None,
) -> FeedbackAdded:
    """Add corrected images to the data set that a bundle's run was trained on, and return what is new.

    Each becomes a row with where it comes from: what the model said, which bundle, when it was
    corrected. Rows that are there stay as they are, and so do the parts of all images: the next
    training gives only the new ones a part.

    Args:
        bundle: That answered.
        corrections: A CSV with the columns `label` and `image` (an id) or `path` (beside the table), such
            as a server's `corrections.csv`. A later row for one image wins.
        run: That the bundle was exported from; its data set grows.
        log: A server's log that kept pictures.
        images: A folder with the images, found by their bytes.
        new_class: Labels that are no class yet are meant so.
        reporter: Told of progress.

    Raises:
        DataError: If the table cannot be read, a label is unknown, or no image is found.
        RunError: If the run is not that of the bundle, or its data set is gone.
    """
    told = reporter or Silent()
    _check_there(log, images)
    folder, record = _of(bundle, run)
    if record.recipe().task != "classify":
        raise DataError(
            f"Corrections are labels; the task of this run is {record.recipe().task}.",
            remedy="Add the images and their truth to the table of the data set, and train again.",
        )
    dataset = DatasetFolder(Path(record.state()["data_folder"]))
    manifest = dataset.load_manifest()
    if manifest is None:
        raise RunError(
            f"The data set '{dataset.path}' is gone.", remedy="Put it back where it was."
        )
    rows, twice = _read(Path(corrections))
    strange = _unknown(rows, manifest)
    if strange and not new_class:
        known = ", ".join(f"'{label}'" for label in manifest.label_order[:8])
        raise DataError(
            f"There is no class '{strange[0]}'; there are {known}.",
            remedy="Correct the table, or add --new-class where a new class is meant.",
        )
    where = _Images(Path(corrections).parent, log, images)
    field = FeedbackFolder(dataset.path)
    kept = {row["image"]: row for row in field.rows()}
    there = _labels(manifest, but=kept.keys())
    known_before, tally = len(kept), Counter[str]()
    for number, row in enumerate(rows, start=1):
        tally[_take(row, where, field, kept, there, folder.identity)] += 1
        told.phase("reading corrections", number, len(rows))
    if kept:
        field.save([kept[image] for image in sorted(kept)])
        dataset.save_manifest(_grown(manifest, field))
    elif tally["not found"] == len(rows):
        raise DataError(
            "The corrected image was not found."
            if len(rows) == 1
            else f"None of the {len(rows):,} corrected images was found.",
            remedy="Say where they are: --log of a server with --keep-pictures, or --images FOLDER.",
        )
    return FeedbackAdded(
        data=dataset.name,
        added=len(kept) - known_before,
        labels=dict(sorted(Counter(row["label"] for row in kept.values()).items())),
        there_already=tally["alike"] + tally["other label"],
        not_found=tally["not found"],
        unreadable=tally["unreadable"],
        new_classes=tuple(strange),
        rows=len(kept),
        messages=tuple(_messages(tally, twice, dataset.path)),
    )


def feedback_compare(
    bundle: str | Path,
    *,
    run: str | Path,
    output: str | Path | None = None,
    reporter: Reporter | None = None,
) -> FeedbackCompared:
    """Train on the data set as it has grown, going on from the deployed run, and compare the two.

    They are compared on the test part as it was when the deployed run was made, and on new images
    that the new model did not learn from. The result is a proposal; nothing is exchanged.

    Args:
        bundle: That is deployed.
        run: That it was exported from.
        output: Folder of the new run; `affinage-runs/NAME-1`, … by default.
        reporter: Told of progress.

    Raises:
        RunError: If the run is not that of the bundle.
        DataError: If nothing was added, or there is no test part to compare on.
    """
    _, deployed = _of(bundle, run)
    data = Path(deployed.state()["data_folder"])
    if not FeedbackFolder(data).rows():
        raise DataError(
            "Nothing has been added since this run.", remedy="First: affinage feedback add"
        )
    made = train(
        data, output=output, recipe=deployed.recipe(), start=deployed.path, reporter=reporter
    )
    result = compared(deployed, RunFolder(made.path))
    write_json(made.path / "proposal.json", {"format": 1, **asdict(result)})
    return result


def _check_there(*folders: str | Path | None) -> None:
    for folder in folders:
        if folder is not None and not Path(folder).is_dir():
            raise DataError(f"There is no folder '{folder}'.", remedy="Check --log and --images.")


class _Images:
    """Where the bytes of corrected images are looked for.

    Args:
        beside: Folder of the table.
        log: Of a server.
        folder: Of images.
    """

    def __init__(self, beside: Path, log: str | Path | None, folder: str | Path | None) -> None:
        self._beside = beside
        self._log = PredictionLog(Path(log)) if log is not None else None
        self._files: dict[str, Path] = {}
        for path in sorted(Path(folder).rglob("*")) if folder is not None else []:
            if path.is_file():
                self._files.setdefault(content_id(path.read_bytes()), path)

    def find(self, row: _Row) -> bytes | None:
        """Return the bytes of an image, or None where they are nowhere."""
        image = row.get("image", "")
        found = self._files.get(image) or (self._log.picture(image) if self._log else None)
        if found is None and row.get("path"):
            path = (self._beside / row["path"]).resolve()
            inside = path.is_relative_to(self._beside.resolve())
            found = path if inside and path.is_file() else None
        return found.read_bytes() if found is not None else None


def _take(
    row: _Row, where: _Images, field: FeedbackFolder, kept: dict[str, dict[str, str]],
    there: Mapping[str, str], bundle: str,
) -> str:  # fmt: skip
    """Take one correction, and return what became of it."""
    data = where.find(row)
    if data is None:
        return "not found"
    image = content_id(data)
    if row.get("image") and row["image"] != image:
        return "not found"
    if image in there:
        return "alike" if there[image] == row["label"] else "other label"
    try:
        kind = inspect(data).format
    except ImageError:
        return "unreadable"
    kept[image] = {
        "path": field.keep_image(image, kind, data),
        "label": row["label"],
        "image": image,
        "said": row.get("said") or "",
        "bundle": bundle,
        "corrected": row.get("at") or "",
    }
    return "taken"


def _grown(manifest: Manifest, field: FeedbackFolder) -> Manifest:
    """Return the manifest with the rows of the feedback; the others are as they were."""
    found = scan([field.table], threads=usable_cores(), classes_needed=1).manifest
    root = str(field.path.resolve())
    names = [name for name, folder in manifest.sources.items() if folder != root]
    others = manifest.table.filter(pl.col("source").is_in(names))
    table = pl.concat([others, found.table], how="diagonal_relaxed").sort("key")
    order = (*manifest.label_order, *sorted(set(found.label_order) - set(manifest.label_order)))
    sources = {name: manifest.sources[name] for name in names} | found.sources
    return Manifest(table=table, sources=sources, label_order=order)


def _of(bundle: str | Path, run: str | Path) -> tuple[BundleFolder, RunFolder]:
    folder, deployed = BundleFolder(Path(bundle)), RunFolder(Path(run))
    origin = folder.read().origin
    if origin.run != deployed.name or not deployed.finished:
        raise RunError(
            f"The bundle comes from the run '{origin.run}', not from '{deployed.name}'.",
            remedy="Give the run that was exported: --run RUN",
        )
    return folder, deployed


def _read(path: Path) -> tuple[list[_Row], int]:
    """Return the corrections, the last one for each image, and how many images had two that differ.

    Raises:
        DataError: If the table cannot be read or lacks a column.
    """
    rows = [row for row in read_corrections(path) if row["label"]]
    if not rows:
        raise DataError(f"'{path}' has no corrections.", remedy="Give a table with rows.")
    named: dict[str, dict[str, str]] = {}
    twice = set()
    for row in rows:
        name = row.get("image") or row.get("path", "")
        if name in named and named[name]["label"] != row["label"]:
            twice.add(name)
        named[name] = row
    return list(named.values()), len(twice)


def _unknown(rows: list[_Row], manifest: Manifest) -> list[str]:
    known = set(manifest.label_order)
    return sorted({row["label"] for row in rows} - known)


def _labels(manifest: Manifest, *, but: Collection[str]) -> dict[str, str]:
    """Return what the images of a data set show, leaving some out; empty where they have no label."""
    columns = manifest.table["image"].to_list(), manifest.table["label"].to_list()
    pairs = zip(*columns, strict=True)
    return {image: label or "" for image, label in pairs if image is not None and image not in but}


def _messages(tally: Counter[str], twice: int, data: Path) -> Iterator[str]:
    table = f"affinage relabel {shlex.quote(str(data))} --image ID --label LABEL"
    told = {
        "alike": "there already under this label: nothing to do",
        "other label": f"there already under another label, left as it is; to change it: {table}",
        "not found": "not found: say where with --log (of a server with --keep-pictures) or --images",
        "unreadable": "that cannot be read",
    }
    if twice:
        yield f"{_images(twice)} with rows that differ: the last one counts."
    for name, text in told.items():
        if tally[name]:
            yield f"{_images(tally[name])} {text}."


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"
