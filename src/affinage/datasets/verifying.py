"""Whether the files of a manifest are still what they were when they were read."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from affinage.datasets.conflicts import failed, in_conflict, judged, lifted
from affinage.datasets.reading import Facts, read_all
from affinage.errors import DataError
from affinage.records.manifest import Manifest

GONE = "the file is gone"
_CHUNK = 2000
_READ = ("image", "width", "height", "format", "notes", "bytes", "modified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A manifest that agrees with the files again.

    Attributes:
        manifest: To be kept: rows whose file changed say what it is now.
        usable: To be worked with: besides, rows whose file is gone have failed.
        changed: Relative paths of the files that were read again, sorted.
        gone: Relative paths of the files that are gone, sorted.
    """

    manifest: Manifest
    usable: Manifest
    changed: tuple[str, ...]
    gone: tuple[str, ...]


def located(manifest: Manifest, folder: Path) -> Manifest:
    """Return a manifest whose sources lie where their images are found now.

    A source whose folder is gone is looked for in the data set's own folder, which may have moved
    with its images.

    Args:
        manifest: As it was kept.
        folder: The data set's folder.

    Raises:
        DataError: If a source is on another machine, or is not found.
    """
    sources = {name: _root(manifest, name, root, folder) for name, root in manifest.sources.items()}
    return Manifest(table=manifest.table, sources=sources, label_order=manifest.label_order)


def _root(manifest: Manifest, name: str, root: str, folder: Path) -> str:
    if "://" in root:
        raise DataError(
            f"The images of '{name}' lie in '{root}', not on this machine.",
            remedy=f"Copy what lies there to '{folder}', and set the data up from that copy.",
        )
    if Path(root).is_dir():
        return root
    rows = manifest.table.filter((pl.col("source") == name) & (pl.col("status") == "kept"))
    here = folder.resolve()
    if any((here / path).is_file() for path in rows["path"].head(20).to_list()):
        return str(here)
    raise DataError(
        f"The images of '{name}' are no longer in '{root}'.",
        remedy=f"Give the folder where they are as the source, with --data '{folder}'.",
    )


def verify(
    manifest: Manifest, *, threads: int, progress: Callable[[int, int | None], None]
) -> Verified:
    """Return a manifest that agrees with the files: what changed by size or time is read again.

    Files that could never be opened are not tried again: a scan of the source does that.

    Args:
        manifest: With sources that are folders of this machine.
        threads: Files looked at at once.
        progress: Called with (done, total) for the files that are read again.

    Raises:
        DataError: If every file of a source is gone.
    """
    if not {"bytes", "modified"} <= set(manifest.table.columns):
        return Verified(manifest=manifest, usable=manifest, changed=(), gone=())
    rows = _looked_at(_once_read(manifest), threads)
    _check_sources(rows)
    gone = rows.filter(pl.col("size").is_null())
    other = (pl.col("size") != pl.col("bytes")) | (pl.col("time") != pl.col("modified"))
    changed = rows.filter(pl.col("size").is_not_null() & other).sort("key")
    facts = read_all(changed["file"].to_list(), known={}, threads=threads, progress=progress)
    kept = _with_facts(manifest, changed["key"].to_list(), facts)
    return Verified(
        manifest=kept,
        usable=failed(kept, gone["key"].to_list(), GONE),
        changed=tuple(changed["path"].sort().to_list()),
        gone=tuple(gone["path"].sort().to_list()),
    )


def _once_read(manifest: Manifest) -> pl.DataFrame:
    """Return key, source, path, bytes, modified and file of the rows that can be compared."""
    used = (pl.col("status") != "excluded") | in_conflict()
    read = pl.col("bytes").is_not_null() & pl.col("modified").is_not_null()
    roots = pl.col("source").replace_strict(manifest.sources, return_dtype=pl.String)
    return manifest.table.filter(used & read & (pl.col("path") != "")).select(
        "key", "source", "path", "bytes", "modified",
        (roots + "/" + pl.col("path")).alias("file"),
    )  # fmt: skip


def _looked_at(rows: pl.DataFrame, threads: int) -> pl.DataFrame:
    """Return rows with the size and time of change that their files have now; null where gone."""
    files = rows["file"].to_list()
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    with ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="verify") as pool:
        now = [one for chunk in pool.map(_states, chunks) for one in chunk]
    return rows.with_columns(
        pl.Series("size", [size for size, _ in now], pl.Int64),
        pl.Series("time", [time for _, time in now], pl.Int64),
    )


def _states(files: Sequence[str]) -> list[tuple[int | None, int | None]]:
    return [_state(file) for file in files]


def _state(file: str) -> tuple[int | None, int | None]:
    try:
        status = os.stat(file)  # noqa: PTH116 - strings throughout: five times faster than Path.
    except (OSError, ValueError):
        return None, None
    return status.st_size, status.st_mtime_ns


def _check_sources(rows: pl.DataFrame) -> None:
    """Refuse to take a folder that is not mounted for one that was emptied."""
    there = rows.group_by("source").agg(pl.col("size").is_not_null().sum().alias("there"), pl.len())
    for source, count, total in there.sort("source").iter_rows():
        if not count:
            raise DataError(
                f"None of the {total:,} files of '{source}' is there any more.",
                remedy="Put them back (or mount the disk), or give the source where it lies now.",
            )


def _with_facts(manifest: Manifest, keys: Sequence[str], facts: Sequence[Facts]) -> Manifest:
    if not keys:
        return manifest
    fresh = pl.DataFrame(
        {
            "key": keys,
            **{name: [getattr(one, name) for one in facts] for name in _READ},
            "status": ["failed" if one.problem else "kept" for one in facts],
            "reason": [one.problem for one in facts],
        },
        schema={name: manifest.table.schema[name] for name in ("key", *_READ, "status", "reason")},
    )
    table = lifted(manifest.table).update(fresh, on="key", how="left", include_nulls=True)
    return judged(manifest, table.sort("key"))
