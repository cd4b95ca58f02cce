"""Manifests to audit."""

import polars as pl

from affinage.records.manifest import SCHEMA, Manifest


def manifest_of(*rows: dict[str, object]) -> Manifest:
    """Return a manifest of kept 64 × 64 PNG files, each row changed as given."""
    own = {"raw_label": pl.String(), "bytes": pl.Int64(), "modified": pl.Int64()}
    further = {n: pl.String() for row in rows for n in row if n not in SCHEMA and n not in own}
    filled = [
        {
            "key": f"{number:06d}",
            "image": f"id{number}",
            "source": "s",
            "width": 64,
            "height": 64,
            "format": "PNG",
            "notes": "",
            "status": "kept",
            "path": f"{row.get('label')}/{number}.png",
            "raw_label": row.get("label"),
            **row,
        }
        for number, row in enumerate(rows)
    ]
    table = pl.DataFrame(filled, schema={**SCHEMA, **own, **further}, orient="row")
    labels = table.filter(pl.col("status") == "kept")["label"].drop_nulls().unique().sort()
    return Manifest(
        table=table, sources={"s": "/secret/place"}, label_order=tuple(labels.to_list())
    )


def healthy() -> list[dict[str, object]]:
    return [{"label": label} for label in "ab" for _ in range(12)]
