"""The folder of a data set: the only place that knows the names of the files in it.

DATA/
├── manifest.parquet   every image; sources and label order stand in the file's own metadata
├── splits/NAME.parquet
├── findings.json
├── ledger.jsonl       every look at a test part
└── cache/features/
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from affinage.errors import DataError
from affinage.records.evaluation import Look
from affinage.records.finding import Finding
from affinage.records.manifest import PARTS, Manifest
from affinage.records.split import Split
from affinage.store.files import append_line, read_lines, write_atomically, write_json

FORMAT = 1
_METADATA = "affinage"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LOOK = TypeAdapter(Look)
_FINDINGS = TypeAdapter(list[Finding])


class DatasetFolder:
    """What is known of a data set, kept beside the work and apart from the user's images.

    Every write is atomic, so that two processes on one folder leave one state or the other; the
    ledger is only ever appended to.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def features_cache(self) -> Path:
        """Folder of the feature cache; it may be deleted at any time."""
        return self.path / "cache" / "features"

    def save_manifest(self, manifest: Manifest) -> None:
        """Keep a manifest with its sources and its label order.

        Raises:
            AffinageError: If the folder cannot be written.
        """
        facts = {"sources": manifest.sources, "label_order": list(manifest.label_order)}
        _write_table(self.path / "manifest.parquet", manifest.table, facts)

    def load_manifest(self) -> Manifest | None:
        """Return the manifest that was kept, or None where there is none.

        Raises:
            DataError: If it is damaged or of a newer format.
        """
        file = self.path / "manifest.parquet"
        if not file.exists():
            return None
        table, facts = _read_table(file)
        try:
            return Manifest(
                table=table, sources=dict(facts["sources"]), label_order=tuple(facts["label_order"])
            )
        except (KeyError, TypeError, ValueError):
            raise _damaged(file) from None

    def save_split(self, name: str, split: Split) -> None:
        """Keep a split under a name of letters, digits, `_`, `.` and `-`."""
        rows = sorted((image, part) for part in PARTS for image in getattr(split, part))
        table = pl.DataFrame(rows, schema={"image": pl.String, "part": pl.String}, orient="row")
        facts = {"closed_set": split.closed_set, "carved": split.carved}
        _write_table(self._split_file(name), table, facts)

    def load_split(self, name: str) -> Split | None:
        """Return the split of that name, or None where there is none.

        Raises:
            DataError: If it is damaged or of a newer format.
        """
        file = self._split_file(name)
        if not file.exists():
            return None
        table, facts = _read_table(file)
        try:
            parts = {
                part: frozenset(table.filter(pl.col("part") == part)["image"].to_list())
                for part in PARTS
            }
            closed, carved = bool(facts["closed_set"]), bool(facts["carved"])
        except (KeyError, TypeError, pl.exceptions.PolarsError):
            raise _damaged(file) from None
        return Split(
            train=parts["train"],
            validation=parts["validation"],
            test=parts["test"],
            closed_set=closed,
            carved=carved,
        )

    def enter_look(self, look: Look) -> None:
        """Append a look at a test part to the ledger."""
        append_line(self._ledger, {"format": FORMAT, **asdict(look)})

    def looks(self, fingerprint: str | None = None) -> list[Look]:
        """Return the looks at one test part, or at any, in the order in which they were entered."""
        looks = []
        for line in read_lines(self._ledger):
            try:
                look = _LOOK.validate_python(line)
            except ValidationError:
                continue  # Cut by a crash, or by a hand: the other lines still count.
            if fingerprint in (None, look.fingerprint):
                looks.append(look)
        return looks

    def save_findings(self, findings: Sequence[Finding]) -> None:
        """Keep what the last audit found."""
        document = {
            "format": FORMAT,
            "findings": _FINDINGS.dump_python(list(findings), mode="json"),
        }
        write_json(self.path / "findings.json", document)

    def load_findings(self) -> list[Finding]:
        """Return what the last audit found; nothing where there was none.

        Raises:
            DataError: If the file is damaged or of a newer format.
        """
        file = self.path / "findings.json"
        if not file.exists():
            return []
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            _check_format(file, document["format"])
            return _FINDINGS.validate_python(document["findings"])
        except (KeyError, TypeError, ValueError, OSError):
            raise _damaged(file) from None

    @property
    def _ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    def _split_file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise DataError(
                f"'{name}' cannot be the name of a split.",
                remedy="Use letters, digits, '_', '.' and '-'.",
            )
        return self.path / "splits" / f"{name}.parquet"


def _write_table(file: Path, table: pl.DataFrame, facts: dict[str, Any]) -> None:
    metadata = {_METADATA: json.dumps({"format": FORMAT, **facts}, ensure_ascii=False)}
    write_atomically(
        file, lambda aside: table.write_parquet(aside, compression="zstd", metadata=metadata)
    )


def _read_table(file: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    try:
        facts = json.loads(pl.read_parquet_metadata(file)[_METADATA])
        _check_format(file, facts["format"])
        return pl.read_parquet(file), facts
    except (KeyError, TypeError, ValueError, OSError, pl.exceptions.PolarsError):
        raise _damaged(file) from None


def _check_format(file: Path, number: Any) -> None:
    if not isinstance(number, int) or number > FORMAT:
        raise DataError(
            f"{file.name} in '{file.parent}' has format {number}; this version reads {FORMAT}.",
            remedy="Upgrade affinage, or give another folder with --data.",
        )


def _damaged(file: Path) -> DataError:
    return DataError(
        f"{file.name} in '{file.parent}' is damaged, or affinage did not write it.",
        remedy="Restore a copy of it; or delete it and run again, which makes it anew.",
    )
