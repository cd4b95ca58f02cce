"""A random sample of one source's images, to look at."""

import hashlib

import polars as pl

from affinage.auditing.evidence import Evidence
from affinage.errors import DataError


def sample_of_source(
    evidence: Evidence, column: str, value: str, n: int, seed: int = 0
) -> tuple[str, ...]:
    """Return the ids of a fair random sample of a source's images.

    Images come in the order of a hash of (seed, id): a larger n adds to the sample of a smaller
    one, and new images in the source change little of it.

    Args:
        evidence: The images.
        column: The column that names the sources.
        value: The source.
        n: How many images at most, at least 1.
        seed: Another seed gives another sample.

    Raises:
        DataError: If there is no such column or source, or n is below 1.
    """
    if column not in evidence.images.columns:
        raise DataError(
            f"There is no column '{column}'.",
            remedy=f"Name one of {', '.join(evidence.images.columns)}.",
        )
    if n < 1:
        raise DataError(f"A sample has at least 1 image, not {n}.", remedy="Ask for 24.")
    own = evidence.images.filter(pl.col(column).cast(pl.String) == value)["image"].to_list()
    if not own:
        raise DataError(
            f"No kept image has {column} = '{value}'.",
            remedy=f"Write the value as it stands in the column '{column}'.",
        )
    return tuple(
        sorted(own, key=lambda image: hashlib.sha256(f"{seed}\0{image}".encode()).digest())[:n]
    )
