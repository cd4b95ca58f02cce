"""Images in which there is nothing to see, or hardly anything: blank, too dark, overexposed."""

from collections.abc import Iterator

import numpy as np

from affinage.auditing.evidence import Evidence
from affinage.auditing.looks import looks
from affinage.auditing.standing_out import FEWEST, NATURE, column, ordered, stands_out
from affinage.records.finding import Finding

_DARK_HITS, _BRIGHT_HITS = (531, 535), (287, 295)
"""Right and judged: real photographs, cells and 32 px images of five sets, of which one in 100 was
darkened to 0.3 or less, or washed out to 0.3 of its contrast or less, among other faults; and what was
found besides, judged by eye. The wrong ones are drawings: dark or pale, but nothing befell them."""

_DARK_HARM, _BRIGHT_HARM = 0.12, 0.21
"""Accuracy that a head on frozen features loses on such images: 220 of flowers12 and mushrooms4."""


def blank_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images of one colour, but for noise."""
    if evidence.measures is None or evidence.measures.height < FEWEST:
        return
    blank = looks(evidence) == "blank"
    if blank.any():
        brightness = column(evidence, "brightness")
        yield stands_out(
            evidence,
            ordered(blank, column(evidence, "variation")),
            code="blank-images",
            severity="warning",
            what="blank: one colour from edge to edge",
            remedy="affinage exclude DATA --finding blank-images",
            detail=lambda place: f"brightness {brightness[place]:.2f} of 1 all over",
        )


def dark_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that are too dark to see anything, in a set that is not so by nature."""
    if evidence.measures is None or evidence.measures.height < FEWEST:
        return
    dark, lightest = looks(evidence) == "dark", column(evidence, "lightest")
    if 0 < dark.sum() <= NATURE * len(dark):
        yield stands_out(
            evidence,
            ordered(dark, lightest),
            code="dark-images",
            severity="note",
            what=f"almost black (half of the images have parts lighter than {np.median(lightest):.2f})",
            remedy="affinage exclude DATA --finding dark-images",
            detail=lambda place: f"98 % of it is darker than {lightest[place]:.2f} of 1",
            hits=_DARK_HITS,
            harm=_DARK_HARM,
        )


def bright_images(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images that are overexposed or washed out, in a set that is not so by nature.

    A photo that kept some dark part is not among them: nothing tells it from one before a white wall.
    """
    if evidence.measures is None or evidence.measures.height < FEWEST:
        return
    bright, darkest = looks(evidence) == "bright", column(evidence, "darkest")
    if 0 < bright.sum() <= NATURE * len(bright):
        yield stands_out(
            evidence,
            ordered(bright, -darkest),
            code="bright-images",
            severity="note",
            what=f"almost white (half of the images have parts darker than {np.median(darkest):.2f})",
            remedy="affinage exclude DATA --finding bright-images",
            detail=lambda place: f"98 % of it is lighter than {darkest[place]:.2f} of 1",
            hits=_BRIGHT_HITS,
            harm=_BRIGHT_HARM,
        )
