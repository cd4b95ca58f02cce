"""The folder of a data set: the only place that knows the names of the files in it.

DATA/
├── manifest.parquet   every image as it was found; sources and label order stand in its metadata
├── decisions.jsonl    what the owner left out, took back or labelled anew
├── splits/NAME.parquet
├── findings.json
├── audit.html         the last audit, with pictures
├── samples/NAME.html  contact sheets
├── ledger.jsonl       every look at a test part
└── cache/            features, measures, decoded images, which may be deleted
"""

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import polars as pl
from pydantic import TypeAdapter, ValidationError

from affinage.errors import DataError
from affinage.records.decision import Decision
from affinage.records.evaluation import Look
from affinage.records.finding import Finding
from affinage.records.manifest import PARTS, Manifest
from affinage.records.split import Folds, Split
from affinage.store.files import append_line, read_lines, write_atomically, write_json

FORMAT = 1
_METADATA = "affinage"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LOOK = TypeAdapter(Look)
_DECISION = TypeAdapter(Decision)
_FINDINGS = TypeAdapter(list[Finding])


class DatasetFolder:
    """What is known of a data set, kept beside the work and apart from the user's images.

    Every write is atomic, so that two processes on one folder leave one state or the other; the
    ledger is only ever appended to.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def exists(self) -> bool:
        """True where affinage keeps a manifest here; whether it is whole shows when it is read."""
        try:
            return _METADATA in pl.read_parquet_metadata(self.path / "manifest.parquet")
        except (OSError, pl.exceptions.PolarsError):
            return False

    @property
    def audited(self) -> bool:
        """True where an audit has looked for what a quick look cannot see, such as near-duplicates."""
        return self._findings().get("deep") is True

    @property
    def samples(self) -> Path:
        """Folder of contact sheets; it may be deleted at any time."""
        return self.path / "samples"

    @property
    def cache(self) -> Path:
        """Folder of all caches; it may be deleted at any time."""
        return self.path / "cache"

    @property
    def audit_report(self) -> Path:
        """The page of the last audit."""
        return self.path / "audit.html"

    @property
    def features_cache(self) -> Path:
        """Folder of the feature cache; it may be deleted at any time."""
        return self.path / "cache" / "features"

    @property
    def decoded_cache(self) -> Path:
        """Folder of decoded training images; it may be deleted at any time."""
        return self.path / "cache" / "decoded"

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

    def is_newer_split(self, name: str, *, than: str) -> bool:
        """Return whether a split was kept after another one, or is there alone."""
        file, other = self._split_file(name), self._split_file(than)
        if not file.exists():
            return False
        return not other.exists() or file.stat().st_mtime_ns > other.stat().st_mtime_ns

    def load_split(self, name: str) -> Split | None:
        """Return the split of that name, or None where there is none.

        Raises:
            DataError: If it is damaged or of a newer format.
        """
        file = self._split_file(name)
        if not file.exists():
            return None
        table, facts = _read_table(file)
        if "fold" in table.columns:
            raise DataError(
                f"The split '{name}' is one of folds, not of train, validation and test.",
                remedy="Use another name.",
            )
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

    def save_folds(self, name: str, folds: Folds) -> None:
        """Keep folds under a name as that of a split: columns image, part, fold (1 is the first)."""
        rows: list[tuple[str, str, int | None]] = [(image, "test", None) for image in folds.test]
        for number, ids in enumerate(folds.folds, start=1):
            rows.extend((image, "train", number) for image in ids)
        schema = {"image": pl.String, "part": pl.String, "fold": pl.Int32}
        table = pl.DataFrame(rows, schema=schema, orient="row").sort("image")
        _write_table(self._split_file(name), table, {"folds": len(folds)})

    def load_folds(self, name: str) -> Folds | None:
        """Return the folds of that name, or None where there are none.

        Raises:
            DataError: If they are damaged or of a newer format, or the name is that of a split.
        """
        file = self._split_file(name)
        if not file.exists():
            return None
        table, facts = _read_table(file)
        if "fold" not in table.columns:
            raise DataError(
                f"The split '{name}' is one of train, validation and test, not of folds.",
                remedy="Use another name.",
            )
        numbers = range(1, int(facts["folds"]) + 1)
        held = {n: frozenset(table.filter(pl.col("fold") == n)["image"].to_list()) for n in numbers}
        rest = frozenset(table.filter(pl.col("fold").is_null())["image"].to_list())
        return Folds(folds=tuple(held.values()), test=rest)

    def enter_decision(self, decision: Decision) -> None:
        """Append a decision to the log."""
        append_line(
            self._decisions, {"format": FORMAT, **_DECISION.dump_python(decision, mode="json")}
        )

    def decisions(self) -> list[Decision]:
        """Return every decision, in the order in which they were entered.

        Raises:
            DataError: If a line is not a decision, or of a newer format: none may be passed over but
                one that a crash cut, which was never entered.
        """
        made = []
        for line in _whole_lines(self._decisions):
            try:
                _check_format(self._decisions, line.pop("format"))
                made.append(_DECISION.validate_python(line))
            except (AttributeError, KeyError, TypeError, ValidationError):
                raise DataError(
                    f"A line of {self._decisions.name} in '{self.path}' is no decision.",
                    remedy="Restore a copy of it: every decision counts.",
                ) from None
        return made

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

    def save_findings(self, findings: Sequence[Finding], *, deep: bool = True) -> None:
        """Keep what the last audit found.

        Args:
            findings: All of them.
            deep: Whether it has looked for what a quick look cannot see.
        """
        document = {
            "format": FORMAT,
            "deep": deep,
            "findings": _FINDINGS.dump_python(list(findings), mode="json"),
        }
        write_json(self.path / "findings.json", document)

    def keep_findings(self, findings: Sequence[Finding], *, deeper: Collection[str]) -> None:
        """Keep what a quick look found, beside what a deeper one had found before.

        Args:
            findings: Of now.
            deeper: Codes of findings that a quick look cannot make: the last audit's still stand.
        """
        stand = [finding for finding in self.load_findings() if finding.code in deeper]
        self.save_findings([*findings, *stand], deep=self.audited)

    def load_findings(self) -> list[Finding]:
        """Return what the last audit found; nothing where there was none.

        Raises:
            DataError: If the file is damaged or of a newer format.
        """
        try:
            return _FINDINGS.validate_python(self._findings()["findings"])
        except (KeyError, TypeError, ValueError):
            raise _damaged(self.path / "findings.json") from None

    def _findings(self) -> dict[str, Any]:
        """Return the document of what was found; one without findings where there was no audit."""
        file = self.path / "findings.json"
        if not file.exists():
            return {"findings": []}
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            _check_format(file, document["format"])
        except (KeyError, TypeError, ValueError, OSError):
            raise _damaged(file) from None
        return cast("dict[str, Any]", document)

    @property
    def _decisions(self) -> Path:
        return self.path / "decisions.jsonl"

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


def _whole_lines(file: Path) -> Iterator[Any]:
    """Yield the JSON values of a file of lines, which end at nothing but a line feed."""
    for line in file.read_bytes().split(b"\n") if file.exists() else []:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


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
