"""What reading the files told: damage, false names, special kinds of pixels, odd sizes."""

from collections.abc import Iterator

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, first, lines
from affinage.records.finding import Finding

_SUFFIXES = {
    "AVIF": (".avif",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "ICO": (".ico",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
    "PNG": (".png", ".apng"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}

_REASONS, _NAMES = 50, 10  # More than of any guess: each file is to be found by its name.


def unreadable_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the files that could not be read as images, by reason."""
    failed = evidence.manifest.table.filter(pl.col("status") == "failed")
    if not failed.height:
        return
    if "url" in failed.columns:  # What was never downloaded has an address and no path.
        named = pl.when(pl.col("path") == "").then("url").otherwise("path")
        failed = failed.with_columns(named.fill_null("").alias("path"))
    reasons = (
        failed.group_by("reason")
        .agg(pl.col("path").sort())
        .sort(pl.col("path").list.len(), "reason", descending=[True, False])
    )
    yield Finding(
        code="unreadable-images",
        severity="warning",
        subject=f"{count(failed.height, 'file')} of {evidence.manifest.table.height:,} could not be read and"
        " are left out.",
        evidence=lines(
            (
                f"{len(paths):,} × {why}: {first(paths, _NAMES)}"
                for why, paths in reasons.iter_rows()
            ),
            shown=_REASONS,
        ),
        remedy="Try them again: give the collect command once more with --retry-failed."
        if "url" in failed.columns
        else "Replace them by intact copies, save kinds that are not read as PNG or JPEG, or delete them.",
        images=tuple(failed["path"].sort().to_list()),
    )


def wrong_extensions(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images whose name says another format than their bytes."""
    named = pl.col("path").str.to_lowercase()
    right = pl.lit(value=False)
    for kind, suffixes in _SUFFIXES.items():
        right |= (pl.col("format") == kind) & pl.any_horizontal(
            named.str.ends_with(suffix) for suffix in suffixes
        )
    known = pl.col("format").is_in(list(_SUFFIXES))
    rows = evidence.manifest.kept.select("path", "format").filter(known & ~right)
    wrong = list(rows.sort("path").iter_rows())
    if wrong:
        yield Finding(
            code="wrong-extension",
            severity="note",
            subject=f"{count(len(wrong), 'image')} named as another format than the bytes are;"
            " the bytes were believed.",
            evidence=lines(f"{path} is {kind}" for path, kind in wrong),
            remedy="Rename them if other programs shall read them.",
            images=tuple(path for path, _ in wrong),
        )


def read_specially(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that are not plain 8-bit pictures, by how they were read."""
    noted = (
        evidence.manifest.kept.filter(pl.col("notes") != "")
        .with_columns(pl.col("notes").str.split("; "))
        .explode("notes", empty_as_null=True)
    )
    if not noted.height:
        return
    kinds = (
        noted.group_by("notes")
        .agg(pl.col("path").sort())
        .sort(pl.col("path").list.len(), "notes", descending=[True, False])
    )
    paths = noted["path"].unique().sort().to_list()
    yield Finding(
        code="read-specially",
        severity="note",
        subject=f"{count(len(paths), 'image')} not plain 8-bit pictures, and how they were read.",
        evidence=tuple(
            f"{len(found):,} × {note}: {first(found, 3)}" for note, found in kinds.iter_rows()
        ),
        images=tuple(paths),
    )
