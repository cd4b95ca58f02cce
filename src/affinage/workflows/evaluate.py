"""The verb `evaluate`: a run's model measured on other labelled images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.auditing.words import count, lines
from affinage.datasets.decisions import EXCLUDED
from affinage.datasets.sources import scan
from affinage.datasets.targets import for_task, read_targets
from affinage.errors import DataError
from affinage.evaluation.comparison import prediction_fingerprint
from affinage.imaging.batches import Item
from affinage.inference.forward import compute_logits
from affinage.models.parts import Parts
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.evaluation import Look
from affinage.records.finding import Finding
from affinage.records.manifest import Manifest
from affinage.records.split import Split
from affinage.records.task import Task, task_named
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.moment import now
from affinage.workflows.opened import is_data_folder, open_data
from affinage.workflows.places import place
from affinage.workflows.reporter import Reporter, Silent
from affinage.workflows.trained import Trained, load_trained
from affinage.workflows.work import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """Scores on other images, and what to know about them.

    Attributes:
        run: Name of the run.
        source: Name of the source.
        evaluation: Scores.
        findings: What was left out and why.
        looks: Every look at the run's test part, where some of these images are in it.
    """

    run: str
    source: str
    evaluation: AnyEvaluation
    findings: tuple[Finding, ...]
    looks: tuple[Look, ...]


def evaluate(
    run: str | Path,
    source: str | Path,
    *,
    parts: Parts | None = None,
    reporter: Reporter | None = None,
) -> EvaluationResult:
    """Return the scores of a run's model on a labelled source.

    Images that the model learnt from or that chose it are left out by their bytes; so are labels
    that it does not know. Images of the run's own test part count, and the look enters the ledger.

    Args:
        run: The folder that `affinage train` wrote.
        source: As for `train`: a folder per class, or a table.
        parts: The network of your own that the run was made with, where it was.
        reporter: Told of progress.

    Raises:
        RunError: If the run has no model.
        DataError: If no image is left to measure on.
    """
    told = reporter or Silent()
    trained = load_trained(run, parts)
    work = trained.work
    data = trained.folder.data()
    split = data[1] if data else None
    manifest = for_task(_manifest(Path(source), trained, told), work.task)
    rows, findings = _usable(manifest, trained, split)
    items = [Item(image=image, path=place(manifest, name, path)) for image, name, path, _ in rows]
    classes = trained.card.classes
    found, absent = targets_by_image(manifest, work.task, classes)
    findings += _absent_finding(absent, work.task)
    outputs = compute_logits(
        trained.model, items, trained.engine,
        progress=lambda done, total: told.phase("predicting", done, total),
    )  # fmt: skip
    measured = Measured(
        name=Path(source).name,
        images=[image for image, *_ in rows],
        paths=[path for _, _, path, _ in rows],
        targets=np.stack([found[image] for image, *_ in rows]),
        classes=classes,
        train_targets=_train_targets(data, work.task, classes),
        memory_test=_is_memory_test(split, rows),
    )
    looks, unentered = _enter_look(trained, split, list(measured.images))
    return EvaluationResult(
        run=trained.folder.name,
        source=Path(source).name,
        evaluation=work.score(measured, outputs, trained.card.calibration),
        findings=(*findings, *unentered),
        looks=looks,
    )


def targets_by_image(
    manifest: Manifest, task: Task, classes: tuple[str, ...]
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return the target of each image in the order of the model's classes, and classes without one."""
    given = read_targets(manifest, task)
    if task.target == "label":
        index = {label: number for number, label in enumerate(classes)}
        names = [given.names[value] for value in given.values.tolist()]
        pairs = zip(given.images, names, strict=True)
        return {image: np.array(index[n]) for image, n in pairs if n in index}, ()
    columns = {name: number for number, name in enumerate(given.names)}
    absent = tuple(name for name in classes if name not in columns)
    if task.target == "counts" and absent:
        raise DataError(
            f"The source has no counts of {', '.join(absent)}, which the model counts.",
            remedy="Add these columns; an image that shows none has 0.",
        )
    values = np.zeros((len(given.images), len(classes)), dtype=np.float32)
    for number, name in enumerate(classes):
        if name in columns:
            values[:, number] = given.values[:, columns[name]]
    return dict(zip(given.images, values, strict=True)), absent


def _absent_finding(absent: tuple[str, ...], task: Task) -> list[Finding]:
    if not absent:
        return []
    return [
        Finding(
            code="absent-labels",
            severity="note",
            subject=f"No image of the source has {', '.join(absent[:8])}, which the model knows.",
            remedy=f"Scores of the task {task.name} are of the other labels, and of false alarms.",
        )
    ]


def _manifest(source: Path, trained: Trained, told: Reporter) -> Manifest:
    threads = trained.engine.threads
    if is_data_folder(source):
        opened = open_data(
            [source], None, reporter=told, threads=threads, beside=Path(),
            classes_needed=1, counts=trained.recipe.count.columns,
        )  # fmt: skip
        return opened.manifest
    return scan(
        [source],
        threads=threads,
        progress=lambda done, total: told.phase("reading images", done, total),
        classes_needed=1,
        counts=trained.recipe.count.columns,
    ).manifest


def _usable(
    manifest: Manifest, trained: Trained, split: Split | None
) -> tuple[list[tuple[str, str, str, str]], list[Finding]]:
    """Return (image, source, path, label) of the images to measure on, and what was left out."""
    table = manifest.kept.sort("path").unique("image", keep="first", maintain_order=True)
    learnt = (split.train | split.validation) if split and not split.closed_set else frozenset()
    known = set(trained.card.classes)
    labelled = task_named(trained.card.task).target == "label"
    rows: list[tuple[str, str, str, str]] = []
    seen: list[str] = []
    foreign: dict[str, list[str]] = {}
    for row in table.select("image", "source", "path", "label").sort("image").iter_rows():
        if row[0] in learnt:
            seen.append(row[2])
        elif labelled and row[3] not in known:
            foreign.setdefault(str(row[3]), []).append(row[2])
        else:
            rows.append(row)
    findings = [*_seen_finding(seen), *_foreign_findings(foreign, trained)]
    failed = (
        manifest.table.filter(
            (pl.col("status") != "kept") & ~pl.col("reason").str.starts_with(EXCLUDED)
        )
        .select("path", "reason")
        .rows()
    )
    if failed:
        findings.append(
            Finding(
                code="left-out",
                severity="warning",
                subject=f"{count(len(failed), 'file')} left out.",
                evidence=lines(f"{path}: {reason}" for path, reason in failed),
                remedy="Mend or remove them, then evaluate again.",
                images=tuple(path for path, _ in failed),
            )
        )
    if not rows:
        raise DataError(
            f"No image is left to measure on: {len(seen)} were used in training, "
            f"{sum(map(len, foreign.values()))} have labels that the model does not know "
            f"({', '.join(sorted(foreign)) or 'none'}), {len(failed)} were left out.",
            remedy=f"Give new images with the labels {', '.join(trained.card.classes[:6])}…",
        )
    return rows, findings


def _is_memory_test(split: Split | None, rows: list[tuple[str, str, str, str]]) -> bool:
    """Return whether images that the model learnt from are among those measured (a closed set)."""
    return split is not None and any(image in split.train for image, *_ in rows)


def _seen_finding(seen: list[str]) -> list[Finding]:
    if not seen:
        return []
    return [
        Finding(
            code="seen-in-training",
            severity="warning",
            subject=f"{count(len(seen), 'image')} used in training or to choose the model; not counted.",
            evidence=lines(seen),
            remedy="Nothing to do: the score is of the other images only.",
            images=tuple(seen),
        )
    ]


def _foreign_findings(foreign: dict[str, list[str]], trained: Trained) -> list[Finding]:
    return [
        Finding(
            code="unknown-label",
            severity="warning",
            subject=f"{count(len(paths), 'image')} of the label '{label}', which the model does not know.",
            evidence=lines(paths),
            remedy=f"The model knows: {', '.join(trained.card.classes[:8])}",
            images=tuple(paths),
        )
        for label, paths in sorted(foreign.items())
    ]


def _train_targets(
    data: tuple[Manifest, Split] | None, task: Task, classes: tuple[str, ...]
) -> NDArray[Any]:
    if data is None:
        shape = (0,) if task.target == "label" else (0, len(classes))
        return np.zeros(shape, dtype=np.int64 if task.target == "label" else np.float32)
    manifest, split = data
    found, _ = targets_by_image(manifest, task, classes)
    return np.stack([found[image] for image in sorted(found) if image in split.train])


def _enter_look(
    trained: Trained, split: Split | None, images: list[str]
) -> tuple[tuple[Look, ...], list[Finding]]:
    """Enter a look at the run's test part; a data set that has moved away is told, not ignored."""
    if split is None or not split.test & set(images):
        return (), []
    path = Path(trained.folder.state()["data_folder"])
    if not path.exists():
        return (), [
            Finding(
                code="ledger-not-found",
                severity="warning",
                subject="This look at the test part could not be entered: the data set's folder is gone.",
                remedy="Put the data set's folder back where it was when the run was made.",
            )
        ]
    dataset = DatasetFolder(path)
    fingerprint = prediction_fingerprint(sorted(split.test))
    dataset.enter_look(
        Look(
            at=now(),
            run=trained.folder.name,
            command="evaluate",
            images=len(split.test & set(images)),
            fingerprint=fingerprint,
        )
    )
    return tuple(dataset.looks(fingerprint)), []
