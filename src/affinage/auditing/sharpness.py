"""Images that are out of focus, shaken or enlarged from something small."""

from collections.abc import Iterator

import numpy as np

from affinage.auditing.evidence import Evidence
from affinage.auditing.looks import looks
from affinage.auditing.standing_out import FEWEST, NATURE, column, ordered, stands_out
from affinage.records.finding import Finding

_HITS = (388, 388)
"""Right and judged: real images of five sets, of which one in 100 was blurred, shaken or enlarged among
other faults; and what was found besides, judged by eye."""

_HARM = 0.34
"""Accuracy that a head on frozen features loses on such images: 220 of flowers12 and mushrooms4."""


def blurred_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images without one sharp edge, in a set that is not so by nature."""
    if evidence.measures is None or evidence.measures.height < FEWEST:
        return
    blurred, focus = looks(evidence) == "blurred", column(evidence, "focus")
    if 0 < blurred.sum() <= NATURE * len(blurred):
        yield stands_out(
            evidence,
            ordered(blurred, focus),
            code="blurred-images",
            severity="note",
            what=f"blurred (half of the images have a focus above {np.median(focus):.1f})",
            remedy="affinage exclude DATA --finding blurred-images",
            detail=lambda place: f"focus {focus[place]:.2f}",
            hits=_HITS,
            harm=_HARM,
        )
