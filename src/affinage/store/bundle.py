"""A bundle's folder: the only place that knows the names of its files. Needs NumPy and nothing else."""

import hashlib
import os
import shutil
import tempfile
import types
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from affinage.errors import AffinageError, RunError
from affinage.records.bundle import FORMAT, Baseline, BaselinePart, Bundle
from affinage.store.files import make_folder, read_json, write_json, write_text

Record = TypeVar("Record")

_PARTS = ("train", "validation")
_ARRAYS = ("images", "measures", "features", "outputs", "targets")


class BundleFolder:
    """A folder that can be moved and copied, and that shows by its checksums whether it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / "bundle.json"
        self.baseline = path / "baseline.npz"
        self.card = path / "card.md"
        self.licence = path / "LICENCE-OF-WEIGHTS.txt"
        self.sums = path / "SHA256SUMS"

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def identity(self) -> str:
        """SHA-256 of the list of checksums: another bundle, another identity."""
        return _sha256(self.sums)

    def read(self, *, verify: bool = True) -> Bundle:
        """Return what is known of the model.

        Args:
            verify: Compare every file with its checksum first.

        Raises:
            RunError: If it is no bundle, of another format, or not as it was written.
        """
        if not self.record.is_file():
            raise RunError(
                f"'{self.path}' is not a bundle: it has no {self.record.name}.",
                remedy="Point at the folder that `affinage export` wrote.",
            )
        if verify:
            self.verify()
        value = read_json(self.record)
        found = value.get("format") if isinstance(value, dict) else None
        if found != FORMAT:
            raise RunError(
                f"'{self.path}' has format {found}; this version reads {FORMAT}.",
                remedy="Install the version of affinage that wrote it, or export the run again.",
            )
        bundle: Bundle = _record(Bundle, value, "bundle")
        return bundle

    def save(self, bundle: Bundle) -> None:
        """Keep what is known of the model; its checksum is not renewed."""
        write_json(self.record, asdict(bundle))

    def models(self, bundle: Bundle) -> tuple[Path, ...]:
        """Return the files of the model: its graph, and weights beside it where the format has them."""
        return tuple(sorted(self.path.glob(f"{Path(bundle.model_file).stem}.*")))

    def verify(self) -> None:
        """Raise unless every file is as it was written.

        Raises:
            RunError: With the first file that is not.
        """
        for name, expected in self._sums().items():
            path = self.path / name
            if not path.is_file():
                raise _broken(self.path, f"{name} is missing")
            if _sha256(path) != expected:
                raise _broken(self.path, f"{name} is not as it was written (its SHA-256 differs)")

    def read_baseline(self) -> Baseline:
        """Return what the model saw before it left.

        Raises:
            RunError: If the file is missing or damaged.
        """
        try:
            with np.load(self.baseline, allow_pickle=False) as arrays:
                parts = {part: _part(arrays, part) for part in _PARTS}
        except (OSError, ValueError, KeyError, EOFError):
            raise _broken(self.path, f"{self.baseline.name} cannot be read") from None
        return Baseline(train=parts["train"], validation=parts["validation"])

    def _sums(self) -> dict[str, str]:
        try:
            lines = self.sums.read_text(encoding="utf-8").splitlines()
            pairs = [line.split("  ", maxsplit=1) for line in lines if line]
            sums = {name: digest for digest, name in pairs}
        except (OSError, ValueError):
            raise _broken(self.path, f"{self.sums.name} cannot be read") from None
        outside = [name for name in sums if Path(name).name != name]
        if self.record.name not in sums or outside:
            raise _broken(self.path, f"{self.sums.name} does not list the bundle's files")
        return sums


Filled = tuple[Bundle, Baseline]


def write_bundle(path: Path, fill: Callable[[BundleFolder], Filled]) -> Bundle:
    """Write a bundle so that it is there as a whole or not at all.

    Args:
        path: Where it shall be; must not hold anything yet.
        fill: Writes the model's files, the card and the licence into a folder aside, and returns the record
            and what the model saw.

    Raises:
        RunError: If there is something in that place.
        AffinageError: If the disk is full or the place cannot be written.
    """
    require_free(path)
    make_folder(path.parent)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        folder = BundleFolder(aside)
        bundle, baseline = fill(folder)
        folder.save(bundle)
        _write_baseline(folder.baseline, baseline)
        names = sorted(entry.name for entry in aside.iterdir())
        write_text(folder.sums, "".join(f"{_sha256(aside / name)}  {name}\n" for name in names))
        _sync(aside)
        aside.chmod(0o755)
        if path.is_dir():
            path.rmdir()
        aside.replace(path)
    except OSError as error:
        raise AffinageError(
            f"'{path}' could not be written: {error.strerror or error}.",
            remedy="Free some room or choose another place with --into; nothing was left behind.",
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return bundle


def require_free(path: Path) -> None:
    """Raise if there is something where a bundle shall be.

    Raises:
        RunError: If so.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise RunError(
            f"'{path}' is there already.", remedy="Give another folder with --into, or remove it."
        )


def _write_baseline(path: Path, baseline: Baseline) -> None:
    arrays = {
        f"{part}.{name}": np.asarray(getattr(getattr(baseline, part), name))
        for part in _PARTS
        for name in _ARRAYS
    }
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _part(arrays: Any, part: str) -> BaselinePart:
    found = {name: arrays[f"{part}.{name}"] for name in _ARRAYS}
    return BaselinePart(
        images=tuple(str(image) for image in found.pop("images")),
        **found,
    )


def _sync(folder: Path) -> None:
    for entry in folder.iterdir():
        with entry.open("rb") as file:
            os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broken(path: Path, what: str) -> RunError:
    return RunError(
        f"The bundle '{path}' is damaged: {what}.",
        remedy="Copy it again from where it came, or export the run again.",
    )


def _record(kind: Any, value: Any, place: str) -> Any:
    """Return a plain JSON value as the record or value that a type says.

    Raises:
        RunError: If it is not of that type, with the place.
    """
    if is_dataclass(kind):
        return _of_fields(kind, value, place)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        there = next(one for one in inner if one is not type(None))
        return None if value is None else _record(there, value, place)
    if origin is tuple and isinstance(value, list):
        return _of_items(inner, value, place)
    if origin is dict and isinstance(value, dict):
        return {key: _record(inner[1], item, f"{place}.{key}") for key, item in value.items()}
    return _plain(kind, value, place)


def _of_items(inner: tuple[Any, ...], value: list[Any], place: str) -> tuple[Any, ...]:
    kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
    if len(kinds) != len(value):
        raise _unlike(place)
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_record(kind, item, f"{place}[{number}]") for number, (kind, item) in pairs)


def _plain(kind: Any, value: Any, place: str) -> Any:
    if get_origin(kind) is Literal and value in get_args(kind):
        return value
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise _unlike(place)


def _of_fields(kind: Any, value: Any, place: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(value, dict) or not set(value) <= set(hints):
        raise _unlike(place)
    given = {name: _record(hints[name], item, f"{place}.{name}") for name, item in value.items()}
    try:
        return kind(**given)
    except TypeError:
        missing = sorted({field.name for field in fields(kind)} - given.keys())
        raise _unlike(f"{place} ({', '.join(missing)} missing)") from None


def _unlike(place: str) -> RunError:
    return RunError(
        f"The bundle's record is not as it should be at '{place}'.",
        remedy="It was changed by hand or written by another version: export the run again.",
    )
