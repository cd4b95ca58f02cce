"""What came back from the field, in a data set's folder: the images, and where each comes from.

DATA/feedback/
├── feedback.csv   path, label, image, said, bundle, corrected: one row an image
└── images/ID.EXT
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from affinage.errors import DataError
from affinage.store.files import write_bytes, write_text

COLUMNS = ("path", "label", "image", "said", "bundle", "corrected")
_SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "GIF": ".gif",
}


class FeedbackFolder:
    """A source of a data set, made of corrections.

    Args:
        data: The data set's folder.
    """

    def __init__(self, data: Path) -> None:
        self.path = data / "feedback"
        self.table = self.path / "feedback.csv"

    def rows(self) -> list[dict[str, str]]:
        """Return what was added before.

        Raises:
            DataError: If the table is damaged.
        """
        if not self.table.exists():
            return []
        try:
            with self.table.open(newline="", encoding="utf-8") as file:
                rows = [{name: row[name] or "" for name in COLUMNS} for row in csv.DictReader(file)]
        except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
            raise DataError(
                f"'{self.table}' cannot be read: {error}.", remedy="Restore a copy of it."
            ) from None
        return rows

    def keep_image(self, image: str, kind: str, data: bytes) -> str:
        """Keep an image's bytes under its id, and return its path relative to the folder."""
        path = f"images/{image}{_SUFFIXES.get(kind, '.img')}"
        if not (self.path / path).exists():
            write_bytes(self.path / path, data)
        return path

    def save(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Write the table anew, whole or not at all."""
        text = StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.table, text.getvalue())
