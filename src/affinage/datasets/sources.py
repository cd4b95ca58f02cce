"""From sources (folders and tables) to a manifest of every image in them."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from affinage.datasets.folders import LAYOUTS, folder_places, walk
from affinage.datasets.labels import in_order, one_spelling, without_conflicts
from affinage.datasets.places import Place, escape, is_utf8, normal_label
from affinage.datasets.reading import Facts, read_all
from affinage.datasets.tables import TABLE_SUFFIXES, table_places
from affinage.errors import DataError
from affinage.imaging.hashing import content_id
from affinage.records.manifest import SCHEMA, Manifest

Progress = Callable[[int, int | None], None]

OWN_COLUMNS: dict[str, pl.DataType] = {
    "raw_label": pl.String(),  # As the user wrote it, before spellings were made one.
    "bytes": pl.Int64(),  # Size and time of change (ns since 1970) of the file when it was read:
    "modified": pl.Int64(),  # while both stay, another scan need not read it.
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan found.

    Attributes:
        manifest: A row for each place where an image is or should be.
        ignored: Relative paths of everything else that lay there, by the reason why it is no image.
    """

    manifest: Manifest
    ignored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def scan(
    sources: Sequence[Path],
    *,
    known: Manifest | None = None,
    progress: Progress | None = None,
    threads: int = 2,
    classes_needed: int = 2,
    counts: Sequence[str] = (),
) -> Scan:
    """Read every image of the sources once and return where it is, what it shows and how it is.

    Nothing is written. Every file is decoded in full, so that a damaged one is found now. A class
    is the first folder level under a source (or under its train, validation and test folders).

    Args:
        sources: Folders or tables; labels of the same name are one class.
        known: An earlier manifest: files of the same size and time of change are not read again.
        progress: Called with (done, in all); `in all` is None while files are still being listed.
        threads: Files read at once; memory grows with the number of files, never with their pixels.
        classes_needed: The least number of classes; 2 to train, 1 to evaluate. Where a table gives counts
            or sets of labels instead of a label, there are none.
        counts: Columns of tables that hold counts, without `count:` before their names.

    Raises:
        DataError: If a source is missing or not understood, has no image that can be used, or too
            few classes.
    """
    tell = progress or (lambda done, total: None)
    roots = _named(sources)
    places: list[tuple[str, Place]] = []
    for name, source in roots.items():
        places.extend(
            (name, place) for place in _places(source, lambda count: tell(count, None), counts)
        )
    folders = {name: str(_folder(source)) for name, source in roots.items()}
    ignored: defaultdict[str, list[str]] = defaultdict(list)
    rows: list[tuple[str, Place]] = []
    for name, place in places:
        if place.status == "ignored":
            ignored[place.reason or ""].append(escape(place.path))
        else:
            rows.append((name, place))
    files = [f"{folders[name]}/{place.path}" for name, place in rows if place.status is None]
    facts = iter(read_all(files, known=_known_facts(known), threads=threads, progress=tell))
    table = _table(
        [(name, place, next(facts) if place.status is None else None) for name, place in rows]
    )
    kept = table.filter(pl.col("status") == "kept")["label"]
    labels = kept.drop_nulls().unique().to_list()
    if not kept.null_count():  # Rows without one carry counts or sets of labels.
        _check(table, labels, sources, ignored, classes_needed)
    return Scan(
        manifest=Manifest(table=table, sources=folders, label_order=in_order(labels)),
        ignored={reason: tuple(sorted(paths)) for reason, paths in sorted(ignored.items())},
    )


def list_images(paths: Sequence[Path]) -> list[Path]:
    """Return the images to predict: the files given, and all images in the folders given, sorted.

    A file that was named is returned whatever it is, so that it can be reported; in folders, what
    is no image, hidden, or a link that leaves the folder is passed over. A folder that cannot be
    opened stands for its images.

    Raises:
        DataError: If a path does not exist, or the folders hold no image at all.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists() and not path.is_symlink():
            raise DataError(f"'{path}' does not exist.", remedy="Check the path.")
        if path.is_dir():
            inside = [
                place for place in walk(path) if place.status != "ignored" and _readable(place)
            ]
            found.update(dict.fromkeys(sorted(path / place.path for place in inside)))
        else:
            found[path] = None
    if not found:
        names = ", ".join(f"'{path}'" for path in paths)
        raise DataError(
            f"There is no image in {names}.", remedy="Give image files, or a folder of them."
        )
    return list(found)


def images_of(source: Path) -> list[Path]:
    """Return the images of a folder, labelled or not, or of a table's rows, in their order.

    Raises:
        DataError: If it does not exist, cannot be read, or has no image at all.
    """
    if not source.is_file() or source.suffix.lower() not in TABLE_SUFFIXES:
        return list_images([source])
    rows = table_places(source)
    places = [place for place in rows if place.status is None]
    if not places:
        reason = f" ({rows[0].reason})" if rows else ""
        raise DataError(
            f"No row of '{source}' leads to an image{reason}.",
            remedy="Correct the table: paths are relative to its folder.",
        )
    return list(dict.fromkeys(source.parent / place.path for place in places))


def _readable(place: Place) -> bool:
    return not (place.reason or "").startswith("a link")


def _named(sources: Sequence[Path]) -> dict[str, Path]:
    """Return sources by name: the shortest end of each path that tells it from the others."""
    if not sources:
        raise DataError("No source was given.", remedy=LAYOUTS)
    resolved = dict.fromkeys(Path(source).resolve() for source in sources)
    for source in resolved:
        if not source.exists():
            raise DataError(f"'{source}' does not exist.", remedy="Check the path.")
        if not source.is_dir() and source.suffix.lower() not in TABLE_SUFFIXES:
            sheet = source.suffix.lower() in (".xlsx", ".xls", ".ods")
            raise DataError(
                f"'{source}' is neither a folder nor a table.",
                remedy="Save the sheet as CSV, and give that." if sheet else LAYOUTS,
            )
        if not is_utf8(str(source)):
            raise DataError(
                f"The name of '{escape(str(source))}' is not valid UTF-8.", remedy="Rename it."
            )
    names: dict[str, Path] = {}
    for source in resolved:
        parts = [part for part in source.parts if part != "/"] or ["root"]
        others = [list(other.parts) for other in resolved if other != source]
        size = 1
        while size < len(parts) and any(other[-size:] == parts[-size:] for other in others):
            size += 1
        names["/".join(parts[-size:])] = source
    return names


def _folder(source: Path) -> Path:
    return source if source.is_dir() else source.parent


def _places(source: Path, seen: Callable[[int], None], counts: Sequence[str]) -> list[Place]:
    if source.is_dir():
        return folder_places(source, seen=seen)
    return table_places(source, counts=counts)


def _known_facts(known: Manifest | None) -> dict[str, Facts]:
    if known is None or not set(OWN_COLUMNS) <= set(known.table.columns):
        return {}
    read = known.table.filter(pl.col("image").is_not_null() & pl.col("modified").is_not_null())
    return {
        f"{known.sources.get(row['source'])}/{row['path']}": Facts(
            image=row["image"],
            width=row["width"],
            height=row["height"],
            format=row["format"],
            notes=row["notes"],
            bytes=row["bytes"],
            modified=row["modified"],
            problem=row["reason"] if row["status"] == "failed" else None,
        )
        for row in read.iter_rows(named=True)
    }


def _table(rows: Sequence[tuple[str, Place, Facts | None]]) -> pl.DataFrame:
    """Return the manifest's table: one row for each place, sorted by key."""
    given = dict.fromkeys(name for _, place, _ in rows for name in place.columns)
    schema: dict[str, pl.DataType] = {**SCHEMA, **OWN_COLUMNS, **dict.fromkeys(given, pl.String())}
    columns: dict[str, list[object]] = {name: [] for name in schema}
    plain = [normal_label(place.label and escape(place.label)) for _, place, _ in rows]
    spelling = one_spelling(label for label in plain if label is not None)
    for key, label, (source, place, read) in zip(_keys(rows), plain, rows, strict=True):
        facts = read or Facts(problem=place.reason)
        status = place.status or ("failed" if facts.problem else "kept")
        notes = [note for note in facts.notes.split("; ") if note and note not in place.notes]
        values: dict[str, object] = {
            "key": key,
            "image": facts.image,
            "source": source,
            "path": escape(place.path),
            "label": None if label is None else spelling[label],
            "part": place.part,
            "width": facts.width,
            "height": facts.height,
            "format": facts.format,
            "notes": "; ".join([*notes, *place.notes]),
            "status": status,
            "reason": facts.problem,
            "raw_label": place.label and escape(place.label),
            "bytes": facts.bytes,
            "modified": facts.modified,
        }
        for name, column in columns.items():
            column.append(values[name] if name in values else place.columns.get(name))
    return without_conflicts(pl.DataFrame(columns, schema=schema)).sort("key")


def _keys(rows: Sequence[tuple[str, Place, Facts | None]]) -> list[str]:
    """Return who each row is; rows of a table that name one file are told apart by their fields."""
    ends = [f"{source}\0{place.path}" for source, place, _ in rows]
    again = Counter(ends)
    met: Counter[str] = Counter()
    order = sorted(
        (n for n, end in enumerate(ends) if again[end] > 1),
        key=lambda n: (ends[n], str((rows[n][1].label, rows[n][1].part, rows[n][1].columns))),
    )
    for n in order:
        met[ends[n]] += 1
        if met[ends[n]] > 1:
            ends[n] = f"{ends[n]}\0{met[ends[n]]}"
    return [content_id(end.encode("utf-8", "surrogateescape")) for end in ends]


def _check(
    table: pl.DataFrame,
    labels: Sequence[str],
    sources: Sequence[Path],
    ignored: Mapping[str, Sequence[str]],
    needed: int,
) -> None:
    """Refuse what no classifier can be made of.

    Raises:
        DataError: If no image is kept, or too few classes.
    """
    names = ", ".join(f"'{source}'" for source in sources)
    if not labels:
        reasons = Counter(table["reason"].to_list())
        reasons.update({reason: len(paths) for reason, paths in ignored.items()})
        lines = "".join(f"\n  {count:,}: {reason}" for reason, count in reasons.most_common(6))
        raise DataError(
            f"No image in {names} can be used: {reasons.total():,} files were looked at.{lines}",
            remedy=LAYOUTS,
        )
    if len(labels) < needed:
        kept = table.filter(pl.col("status") == "kept")
        raise DataError(
            f"All {kept.height:,} images of {names} are of one class, '{labels[0]}':"
            f" a classifier needs at least {needed}.",
            remedy=_two_classes(kept, labels[0]),
        )


def _two_classes(kept: pl.DataFrame, label: str) -> str:
    deeper = {
        tuple(path.split("/")[:2])
        for path in kept["path"].to_list()
        if path.count("/") > 1 and os.path.dirname(path) != label  # noqa: PTH120
    }
    if len(deeper) > 1 and len({folders[0] for folders in deeper}) == 1:
        inner = [folders[1] for folders in sorted(deeper)]
        return f"If '{inner[0]}' and '{inner[1]}' are classes, give '{label}' itself as the source."
    return "Add a folder with images of another class."
