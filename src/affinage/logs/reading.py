"""Logs of any known kind become Signals."""

from collections.abc import Callable
from pathlib import Path

from affinage.errors import RunError
from affinage.logs.csv_log import points_of_csv
from affinage.logs.history import points_of_history
from affinage.logs.tensorboard import event_files, points_of_events
from affinage.records.signals import Point, Series, Signals

_UNSEEN = (
    "layers", "batchnorms", "objectives", "outputs", "targets", "inputs", "expected", "feeding",
    "overlaps", "optimizers", "comparisons", "histograms", "baselines", "pretrained", "task",
    "one_batch", "best_chosen_on",
)  # fmt: skip
_REASON = "a log holds curves only: run the script itself (affinage doctor train.py)"


def looks_like_logs(path: Path) -> bool:
    """Return whether a file or folder may hold curves."""
    if path.is_dir():
        return bool(event_files(path)) or bool(sorted(path.rglob("metrics.csv")))
    return path.suffix in {".csv", ".tsv", ".json"} or ".tfevents." in path.name


def signals_of_logs(path: Path) -> Signals:
    """Return the curves that a log holds.

    Args:
        path: A folder of TensorBoard events or of a CSV logger; an events file; a CSV file with a row
            per epoch (Keras, Lightning); the JSON of a Keras history or of a Trainer's state.

    Raises:
        RunError: If no curve can be read from it.
    """
    points = _reader(path)(path)
    if not points:
        raise RunError(
            f"'{path.name}' holds no curve: no loss or accuracy by epoch or step.",
            remedy="Give the log that the training wrote: TensorBoard events, a CSV of epochs, or a "
            "history as JSON.",
        )
    epochs = [point.epoch for point in points if point.series == "loss"]
    missing = dict.fromkeys(_UNSEEN, _REASON)
    missing |= {"series": _REASON}
    return Signals(
        points=tuple(points),
        origin="logs",
        framework="unknown",
        name=path.name,
        epochs=max(epochs, default=0.0),
        series=_series(points),
        missing=missing,
    )


def _reader(path: Path) -> Callable[[Path], list[Point]]:
    if path.is_dir():
        if event_files(path):
            return points_of_events
        return lambda folder: points_of_csv(sorted(folder.rglob("metrics.csv"))[-1])
    if path.suffix == ".json":
        return points_of_history
    return points_of_events if ".tfevents." in path.name else points_of_csv


def _series(points: list[Point]) -> tuple[Series, ...] | None:
    """Return the learning rate as a series: rules on schedules read it there."""
    rates = sorted((p for p in points if p.series == "learning_rate"), key=lambda p: p.epoch)
    if not rates:
        return None
    return (
        Series(
            name="learning_rate",
            steps=tuple(range(1, len(rates) + 1)),
            values=tuple(p.value for p in rates),
        ),
    )
