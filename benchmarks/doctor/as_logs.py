"""What is left of a watched training where only its log was kept: a table with a row per epoch."""

import csv
import tempfile
from pathlib import Path

from affinage.logs.reading import signals_of_logs
from affinage.records.signals import Signals

COLUMNS = {
    ("loss", "train (running)"): "loss",
    ("accuracy", "train (running)"): "accuracy",
    ("loss", "validation"): "val_loss",
    ("accuracy", "validation"): "val_accuracy",
}
"""As Keras' CSVLogger names them."""


def as_log(signals: Signals) -> Signals | None:
    """Return a training as its CSV log tells it, written and read again; None without a single curve."""
    rows: dict[float, dict[str, float]] = {}
    for point in signals.points:
        column = COLUMNS.get((point.series, point.on))
        if column is not None:
            rows.setdefault(point.epoch, {})[column] = point.value
    if not rows:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["epoch", *COLUMNS.values()])
            table.writeheader()
            table.writerows(
                {"epoch": epoch - 1, **rows[epoch]} for epoch in sorted(rows)
            )  # Keras counts epochs from 0.
        return signals_of_logs(path)
