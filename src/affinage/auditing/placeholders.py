"""Pictures that stand in for an image: 'not found', 'no photo available', a site's logo."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.auditing.looks import looks
from affinage.auditing.standing_out import FEWEST, column, ordered, stands_out
from affinage.auditing.words import count, first, lines
from affinage.records.finding import Finding
from affinage.records.words import in_percent

_LEAST = (
    64  # Shorter side, px: below it a scanned digit or a plane in the sky is flat all the same.
)
_SHARE = 0.1  # Of a larger part of the set it is the style, not a stand-in.
_LABELS, _SOURCES = 3, 5
_DRAWN = 0.5  # Flatness from which a picture that many sources show is no photo.
_ALIKE = 2.0  # Mean difference of two thumbnails, levels: another file of the same picture.

_HITS = (149, 154)
"""Right and judged: 50 placeholders of real web sites put into five real sets, one image in 100, among
other faults. The wrong ones: four overexposed photos, and an airplane of 32 px in a blue sky."""


def placeholder_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield images that look drawn by a program: flat areas in few colours, unlike their set."""
    if evidence.measures is None or evidence.measures.height < FEWEST:
        return
    sides = evidence.images.select(pl.min_horizontal("width", "height")).to_series().to_numpy()
    drawn = (looks(evidence) == "drawn") & (sides >= _LEAST)
    flat, palette = column(evidence, "flat"), column(evidence, "palette")
    if 0 < drawn.sum() <= _SHARE * len(drawn):
        yield stands_out(
            evidence,
            ordered(drawn, (1 - flat) * palette),
            code="placeholder-images",
            severity="warning",
            what="drawn, not photographed: large flat areas in few colours, as in pictures that say"
            " 'not found'",
            remedy="affinage exclude DATA --finding placeholder-images",
            detail=lambda place: (
                f"{in_percent(flat[place])} of it flat, in {_colours(palette[place])}"
            ),
            hits=_HITS,
        )


def _colours(palette: float) -> str:
    return count(round(2**palette), "colour") + " mostly"


def repeated_pictures(evidence: Evidence) -> Iterator[Finding]:
    """Yield pictures that stand under three labels or more, or are drawn and in many sources.

    The same bytes or, where images were measured, nearly the same pixels. Whatever such a picture
    shows, it cannot be right under all of its labels.
    """
    pictures = _pictures(evidence)
    repeated = [picture for picture in pictures if _is_repeated(picture)]
    if not repeated:
        return
    repeated.sort(key=lambda picture: (-len(picture.labels), -len(picture.paths), picture.paths))
    paths = tuple(path for picture in repeated for path in picture.paths)
    ids = tuple(image for picture in repeated for image in picture.ids)
    kept = set(evidence.ids)  # Of the same bytes under two labels none is kept.
    yield Finding(
        code="repeated-picture",
        severity="warning",
        subject=f"{count(len(repeated), 'picture')} under many labels or sources at once"
        f" ({len(paths):,} files): a placeholder, or of no one class.",
        evidence=lines(
            f"{picture.paths[0]}: {count(len(picture.paths), 'file')} under"
            f" {first(picture.labels)}"
            + (f", from {count(len(picture.sources), 'source')}" if picture.sources else "")
            for picture in repeated
        ),
        remedy="affinage exclude DATA --finding repeated-picture",
        images=paths,
        ids=ids,
        cost=len(kept.intersection(ids)) / max(1, len(kept)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """Files that show the same.

    Attributes:
        ids: Image ids, in the order in which `paths` first names them.
        paths: Relative paths, sorted.
        labels: Different labels, sorted.
        sources: Different values of the group column, sorted; empty where there is none.
        drawn: Whether it is measured and mostly flat.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    drawn: bool


def _is_repeated(picture: _Picture) -> bool:
    many = picture.drawn and len(picture.sources) >= _SOURCES
    return len(picture.labels) >= _LABELS or many


def _pictures(evidence: Evidence) -> list[_Picture]:
    """Return the pictures of several files, whether those were kept or left out."""
    same = _alike(evidence)
    group = evidence.group if evidence.group in evidence.manifest.table.columns else None
    rows = (
        evidence.manifest.table.filter(
            pl.col("image").is_not_null(),
            pl.col("label").is_not_null(),
            pl.col("status") != "failed",
        )
        .join(same, on="image", how="left")
        .with_columns(pl.coalesce("picture", "image").alias("picture"))
        .sort("path", "image")
        .group_by("picture", maintain_order=True)
        .agg(
            pl.col("image").unique(maintain_order=True).alias("ids"),
            pl.col("path").alias("paths"),
            pl.col("label").unique().sort().alias("labels"),
            (pl.col(group) if group else pl.lit(None))
            .drop_nulls()
            .unique()
            .sort()
            .alias("sources"),
            pl.col("drawn").any().fill_null(value=False).alias("drawn"),
        )
        .filter(pl.col("paths").list.len() > 1)
    )
    return [
        _Picture(
            ids=tuple(ids),
            paths=tuple(paths),
            labels=tuple(labels),
            sources=tuple(str(source) for source in sources),
            drawn=bool(drawn),
        )
        for _, ids, paths, labels, sources, drawn in rows.iter_rows()
    ]


def _alike(evidence: Evidence) -> pl.DataFrame:
    """Return image, picture (the least id of those that look the same) and drawn, of measured images."""
    schema = {"image": pl.String(), "picture": pl.String(), "drawn": pl.Boolean()}
    if evidence.measures is None or evidence.thumbs is None:
        return pl.DataFrame(schema=schema)
    ids = np.array(evidence.ids, dtype=object)
    pictures = ids.copy()
    sharing = (
        evidence.measures.with_row_index("place")
        .filter(pl.Series(looks(evidence) != "blank"))
        .group_by("hash")
        .agg("place")
        .filter(pl.col("place").list.len() > 1)
        .sort("hash")
    )
    for places in sharing["place"]:
        left = np.sort(places.to_numpy())
        while len(left) > 1:
            thumbs = evidence.thumbs[left].astype(np.int16)
            alike = np.abs(thumbs - thumbs[0]).mean(axis=(1, 2, 3)) <= _ALIKE
            pictures[left[alike]] = ids[left[0]]
            left = left[~alike]
    return pl.DataFrame(
        {"image": ids, "picture": pictures, "drawn": column(evidence, "flat") >= _DRAWN},
        schema=schema,
    )
