"""Where data sets and runs go when nobody says."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from affinage.records.manifest import Manifest
from affinage.store.dataset_folder import DatasetFolder


def data_set_name(sources: Sequence[Path]) -> str:
    """Return a folder name that tells the sources: letters, digits, dots, dashes."""
    names = [
        source.resolve().stem if source.is_file() else source.resolve().name for source in sources
    ]
    plain = unicodedata.normalize("NFKD", "+".join(names)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", plain).strip("-.")[:60] or "data"


def default_data_folder(sources: Sequence[Path], *, beside: Path) -> Path:
    """Return `affinage-data/NAME`; with a number where that name belongs to other sources."""
    name = data_set_name(sources)
    wanted = {str(_root(source)) for source in sources}
    number = 1
    while True:
        folder = beside / "affinage-data" / (name if number == 1 else f"{name}-{number}")
        manifest = DatasetFolder(folder).load_manifest()
        known = set(manifest.sources.values()) if manifest is not None else set()
        if known <= wanted or wanted <= known:
            return folder
        number += 1


def default_run_folder(name: str, *, beside: Path) -> Path:
    """Return the first free `affinage-runs/NAME-1`, `NAME-2`…."""
    number = 1
    while (beside / "affinage-runs" / f"{name}-{number}").exists():
        number += 1
    return beside / "affinage-runs" / f"{name}-{number}"


def _root(source: Path) -> Path:
    return source.resolve().parent if source.is_file() else source.resolve()


def place(manifest: Manifest, source: str, path: str) -> Path:
    """Return where an image lies on this machine."""
    return Path(manifest.sources[source]) / path
