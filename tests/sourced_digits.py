"""Real scanned digits with a table that says which web site each came from."""

import csv
from pathlib import Path

from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.opened import Opened, open_data
from affinage.workflows.reporter import Silent
from real_digits import write_digits

SITES = ("museum.example", "www.museum.example", "garden.example", "field.example")


def write_sourced_digits(folder: Path, *, classes: int = 3, per_class: int = 20) -> Path:
    """Write digits, and a table `path,label,domain` in which four sites take turns."""
    write_digits(folder, classes=classes, per_class=per_class)
    table = folder / "labels.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "Domain"])
        for label in range(classes):
            for number, path in enumerate(sorted((folder / f"{label}").iterdir())):
                writer.writerow([f"{label}/{path.name}", f"{label}", SITES[number % 4]])
    return table


def opened(source: Path, data: Path | None = None) -> Opened:
    """Open a source or a data set's folder as the commands do."""
    return open_data([source], data, reporter=Silent(), threads=2, beside=Path())


def data_set(folder: Path, **how: int) -> DatasetFolder:
    """Make the data set of digits from four sites."""
    return opened(write_sourced_digits(folder / "digits", **how), folder / "data").dataset
