"""From the ledger to the data set's manifest: rows stream from one file to the other."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from affinage.datasets.collect.addresses import domain_of
from affinage.datasets.collect.ledger import Ledger
from affinage.datasets.collect.shelf import EXTENSIONS
from affinage.datasets.folders import part_named
from affinage.datasets.labels import in_order, one_spelling
from affinage.datasets.sources import OWN_COLUMNS
from affinage.records.manifest import SCHEMA
from affinage.store.files import write_atomically

SOURCE = "collected"
"""Name of the source in the manifest."""

_ROWS = 5_000  # Rows at once: the writer holds several such pieces in memory.

_CONFLICTS = """
SELECT image, GROUP_CONCAT(DISTINCT class) FROM rows WHERE state = 'kept'
GROUP BY image HAVING MIN(class) <> MAX(class)
"""
_STREAM = """
SELECT lower(hex(key)), rows.image, rows.class, width, height, format, notes, state, rows.reason,
  spellings.raw, bytes, modified, url, hosts.name, further, conflicts.reason
FROM rows JOIN spellings ON spellings.id = rows.spelling JOIN hosts ON hosts.id = rows.host
  LEFT JOIN conflicts ON conflicts.image = rows.image
ORDER BY key
"""
_COLUMNS = {
    "key": pl.String(), "image": pl.String(), "class": pl.Int64(), "width": pl.Int32(),
    "height": pl.Int32(), "format": pl.String(), "notes": pl.String(), "state": pl.String(),
    "reason": pl.String(), "raw_label": pl.String(), "bytes": pl.Int64(), "modified": pl.Int64(),
    "url": pl.String(), "host": pl.String(), "further": pl.String(), "conflict": pl.String(),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the manifest says.

    Attributes:
        per_class: Different images kept of each class, in the order of the labels.
        images: Different images kept, over all classes.
        kept: Rows kept.
        failed: Rows failed, those that were not reached yet included.
        excluded: Rows excluded: blocked, not drawn, or of bytes under several labels.
        waiting: Of the failed, rows that were not reached yet.
    """

    per_class: Mapping[str, int]
    images: int
    kept: int
    failed: int
    excluded: int
    waiting: int


def write_manifest(ledger: Ledger, file: Path, *, root: str, per_class: int | None) -> Written:
    """Write the manifest of all rows of a ledger.

    Rows that have no file have an empty `path`: an address never stands where a path is looked for.
    Bytes under several labels are excluded; labels that differ by case become one.

    Args:
        ledger: Nobody writes to it meanwhile.
        file: The manifest's file.
        root: Folder or address under which `path` is found.
        per_class: What was asked for, to be named in the reason of rows that were not drawn.
    """
    labels = _labels(ledger)
    conflicts = _find_conflicts(ledger, labels)
    counts = _per_class(ledger, labels)
    facts = {"sources": {SOURCE: root}, "label_order": list(counts)}
    tally = {"kept": 0, "failed": 0, "excluded": 0}
    schema = {
        **SCHEMA, **OWN_COLUMNS, "url": pl.String(), "domain": pl.String(),
        **dict.fromkeys(ledger.columns, pl.String()),
    }  # fmt: skip

    def stream(*_: object) -> Iterator[pl.DataFrame]:
        for piece in _pieces(ledger):
            table = _table(piece, labels, ledger.columns, per_class).select(
                pl.col(name).cast(kind) for name, kind in schema.items()
            )
            for status, rows in table["status"].value_counts().iter_rows():
                tally[status] += rows
            yield table

    metadata = {"affinage": json.dumps({"format": 1, **facts}, ensure_ascii=False)}
    write_atomically(
        file,
        lambda aside: register_io_source(stream, schema=schema).sink_parquet(
            aside, compression="zstd", metadata=metadata, row_group_size=25_000
        ),
    )
    ledger.database.execute("DROP TABLE conflicts")
    ask = "SELECT COUNT(*), COUNT(DISTINCT image) FROM rows WHERE state = "
    waiting, _ = ledger.database.execute(ask + "'waiting'").fetchone()
    _, images = ledger.database.execute(ask + "'kept'").fetchone()
    return Written(per_class=counts, images=images - conflicts, waiting=waiting, **tally)


def _labels(ledger: Ledger) -> dict[int, str | None]:
    """Return the spelling to use for each class."""
    counted = ledger.database.execute(
        "SELECT spellings.class, spellings.label, n FROM spellings"
        " JOIN (SELECT spelling, COUNT(*) AS n FROM rows GROUP BY spelling) ON spelling = id"
    ).fetchall()
    named = [(group, label, rows) for group, label, rows in counted if label is not None]
    chosen = one_spelling(chain.from_iterable(repeat(label, rows) for _, label, rows in named))
    return {**{group: None for group, _, _ in counted}, **{g: chosen[one] for g, one, _ in named}}


def _find_conflicts(ledger: Ledger, labels: Mapping[int, str | None]) -> int:
    """List images that are kept under several labels, with the reason why none of them is used."""
    database = ledger.database
    database.execute("CREATE TEMP TABLE conflicts (image TEXT PRIMARY KEY, reason TEXT)")
    found = database.execute(_CONFLICTS).fetchall()
    for image, groups in found:
        names = ", ".join(in_order(str(labels[int(group)]) for group in groups.split(",")))
        reason = f"same bytes under labels {names}"
        database.execute("INSERT INTO conflicts VALUES (?, ?)", (image, reason))
    return len(found)


def _per_class(ledger: Ledger, labels: Mapping[int, str | None]) -> dict[str, int]:
    found = ledger.database.execute(
        "SELECT class, COUNT(DISTINCT image) FROM rows WHERE state = 'kept'"
        " AND image NOT IN (SELECT image FROM conflicts) GROUP BY class"
    )
    counts = {str(labels[group]): int(images) for group, images in found}
    return {label: counts[label] for label in in_order(counts)}


def _pieces(ledger: Ledger) -> Iterator[pl.DataFrame]:
    cursor = ledger.database.execute(_STREAM)
    while rows := cursor.fetchmany(_ROWS):
        yield pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _table(
    piece: pl.DataFrame,
    labels: Mapping[int, str | None],
    columns: list[str],
    per_class: int | None,
) -> pl.DataFrame:
    """Return rows of the ledger as rows of the manifest."""
    hosts = piece["host"].unique().to_list()
    enough = f"{per_class:,} images of its class are enough" if per_class else "not drawn"
    reasons = {
        "waiting": "not fetched yet: give the same command again",
        "not-sampled": f"not sampled: {enough}",
    }
    table = piece.with_columns(
        _further(piece["further"], columns)
    ).with_columns(
        pl.col("class").replace_strict(labels, return_dtype=pl.String).alias("label"),
        pl.col("host").replace_strict({h: domain_of(h) for h in hosts}, return_dtype=pl.String)
        .alias("domain"),
        _path().alias("path"),
        pl.lit(SOURCE).alias("source"),
        pl.col("notes").fill_null(""),
        pl.col("state").replace(
            {"waiting": "failed", "not-sampled": "excluded", "blocked": "excluded"}
        ).alias("status"),
        pl.coalesce(
            "reason", pl.col("state").replace_strict(reasons, default=None, return_dtype=pl.String)
        ).alias("reason"),
    )  # fmt: skip
    return _without_conflicts(_with_parts(table, columns))


def _path() -> pl.Expr:
    image, kind = pl.col("image"), pl.col("format")
    extension = kind.replace_strict(EXTENSIONS, default=None, return_dtype=pl.String)
    path = pl.concat_str(
        pl.lit("images/"), image.str.slice(0, 2), pl.lit("/"), image, pl.lit("."), extension
    )
    return pl.when(image.is_null()).then(pl.lit("")).otherwise(path)


def _further(values: pl.Series, columns: list[str]) -> list[pl.Series]:
    rows = [json.loads(text) if text else [] for text in values.to_list()]
    return [
        pl.Series(name, [row[at] if at < len(row) else None for row in rows], dtype=pl.String)
        for at, name in enumerate(columns)
    ]


def _with_parts(table: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Fill `part` from the user's column `split`; a row whose split means nothing is not used."""
    name = next((one for one in columns if one.lower() == "split"), None)
    if name is None:
        return table.with_columns(pl.lit(None, dtype=pl.String).alias("part"))
    given = pl.col(name).str.strip_chars()
    parts = {one: part_named(one) for one in table[name].drop_nulls().str.strip_chars().unique()}
    strange = (pl.col("status") == "kept") & (given.str.len_chars() > 0) & pl.col("part").is_null()
    why = pl.format("split '{}' is not train, validation or test", given)
    return table.with_columns(
        given.replace_strict(parts, default=None, return_dtype=pl.String).alias("part")
    ).with_columns(
        pl.when(strange).then(pl.lit("excluded")).otherwise("status").alias("status"),
        pl.when(strange).then(why).otherwise("reason").alias("reason"),
    )


def _without_conflicts(table: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("status") == "kept") & pl.col("conflict").is_not_null()
    return table.with_columns(
        pl.when(hit).then(pl.lit("excluded")).otherwise("status").alias("status"),
        pl.when(hit).then("conflict").otherwise("reason").alias("reason"),
    )
