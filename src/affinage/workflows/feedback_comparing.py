"""A new run beside the deployed one, on images that neither learnt from."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affinage.errors import DataError
from affinage.evaluation.comparison import prediction_fingerprint
from affinage.evaluation.proposing import propose, worse_classes
from affinage.imaging.batches import Item
from affinage.inference.forward import compute_logits
from affinage.metrics.intervals import paired_difference
from affinage.records.evaluation import Look
from affinage.records.feedback import FeedbackCompared
from affinage.records.manifest import Manifest
from affinage.records.split import Split
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.run_folder import RunFolder
from affinage.workflows.moment import now
from affinage.workflows.places import place
from affinage.workflows.trained import load_trained


def compared(deployed: RunFolder, candidate: RunFolder) -> FeedbackCompared:
    """Return how a new run compares with the deployed one.

    The look at the test part enters the data set's ledger.

    Raises:
        DataError: If the deployed run has no test part.
    """
    (_, before), (manifest, after) = _data(deployed), _data(candidate)
    if not before.test:
        raise DataError(
            "The deployed run has no test part to compare on.",
            remedy="Train with --test or a split.",
        )
    old = before.train | before.validation | before.test
    held = (after.test | after.validation) - old
    untouched, new = _rows(manifest, before.test & after.test), _rows(manifest, held)
    rows = pl.concat([untouched, new])
    labels = rows["label"].to_numpy().astype(str)
    first, second = (_right(run, manifest, rows, labels) for run in (deployed, candidate))
    n = untouched.height
    _enter(deployed, candidate, sorted(before.test & after.test))
    on_test = paired_difference(second[:n], first[:n])
    on_new = paired_difference(second[n:], first[n:])
    worse = worse_classes(second[:n], first[:n], labels[:n])
    proposal, why = propose(on_test, on_new, worse)
    return FeedbackCompared(
        deployed=deployed.name,
        candidate=str(candidate.path),
        proposal=proposal,
        why=why,
        untouched=on_test,
        new=on_new,
        worse_on=worse,
        next=f"affinage export {candidate.path}",
    )


def _data(run: RunFolder) -> tuple[Manifest, Split]:
    found = run.data()
    if found is None:
        raise DataError(f"The run '{run.name}' has no images.", remedy="Train it again.")
    return found


def _rows(manifest: Manifest, images: frozenset[str]) -> pl.DataFrame:
    table = manifest.kept.filter(pl.col("image").is_in(sorted(images)))
    return (
        table.sort("path").unique("image", keep="first", maintain_order=True)
        .select("image", "source", "path", "label").sort("image")
    )  # fmt: skip


def _right(
    run: RunFolder, manifest: Manifest, rows: pl.DataFrame, labels: NDArray[np.str_]
) -> NDArray[np.bool_]:
    """Return whether a run's model is right on each image; a class it does not know is an error."""
    trained = load_trained(run.path)
    items = [
        Item(image=image, path=place(manifest, source, path))
        for image, source, path, _ in rows.iter_rows()
    ]
    outputs = compute_logits(trained.model, items, trained.engine)
    calibration = trained.card.calibration
    said = [trained.work.answer("", row, calibration, ()).label for row in outputs]
    return np.asarray([one == label for one, label in zip(said, labels.tolist(), strict=True)])


def _enter(deployed: RunFolder, candidate: RunFolder, images: list[str]) -> None:
    dataset = DatasetFolder(Path(deployed.state()["data_folder"]))
    dataset.enter_look(
        Look(
            at=now(), run=candidate.name, command="feedback", images=len(images),
            fingerprint=prediction_fingerprint(images),
        )
    )  # fmt: skip
