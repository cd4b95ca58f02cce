"""A column that seems to say which images belong together, and should not be parted."""

import re
from collections.abc import Iterator

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.records.finding import Finding
from affinage.records.manifest import SCHEMA

_OWN = {*SCHEMA, "raw_label", "bytes", "modified"}
_TELLING = re.compile(
    r"(^|[_ .-])(patient|subject|person|people|slide|case|donor|animal|plant|specimen|individual"
    r"|site|hospital|clinic|camera|location|place|scene|video|clip|sequence|session|series|batch"
    r"|plate|well|farm|field|domain|group|author|writer|speaker|photographer|user)s?($|[_ .-]|id$)",
    re.IGNORECASE,
)


def suggested_group(evidence: Evidence) -> Iterator[Finding]:
    """Yield columns named like a patient, slide or place whose values several images share.

    The column that was named to be judged is none: what parting it does is measured.
    """
    kept = evidence.manifest.kept
    for name in kept.columns:
        if name in _OWN or name == evidence.group or not _TELLING.search(name):
            continue
        rows = kept.select("image", pl.col(name).alias("value")).drop_nulls().unique()
        sizes = rows.group_by("value").agg(pl.len().alias("n"))
        if sizes.height < 2 or sizes.height > 0.9 * rows.height:
            continue
        top = sizes.sort("n", "value", descending=[True, False]).head(3)
        yield Finding(
            code="suggested-group",
            severity="note",
            subject=f"The column '{name}' has {sizes.height:,} values for {rows.height:,} images:"
            " images that share one may be too alike to be parted.",
            evidence=tuple(f"'{value}': {n:,} images" for value, n in top.iter_rows()),
            remedy=f"If these come from one {name}, keep them together with --group {name}.",
        )
