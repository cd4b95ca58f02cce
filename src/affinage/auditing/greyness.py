"""Grey images among colour ones, and the other way round."""

from collections.abc import Iterator

import numpy as np

from affinage.auditing.evidence import Evidence
from affinage.auditing.looks import looks
from affinage.auditing.standing_out import FEWEST, column, ordered, stands_out
from affinage.records.finding import Finding

_GREY = 0.03  # Tint: what JPEG leaves of the colours of a grey picture is 8 of 255 levels at most.
_COLOUR = 0.10
_MOST = 0.90
_HARM = 0.13
"""Accuracy that a head on frozen features loses on grey copies: 220 of flowers12 and mushrooms4. The
other way round was not measured."""


def grey_among_colour(evidence: Evidence) -> Iterator[Finding]:
    """Yield the grey images of a set in colour, or the coloured ones of a grey set."""
    if evidence.measures is None or evidence.measures.height < FEWEST:
        return
    tint = column(evidence, "tint")
    sound = looks(evidence) == ""
    grey, colour = sound & (tint <= _GREY), sound & (tint >= _COLOUR)
    if grey.any() and np.mean(tint > _GREY) >= _MOST:
        yield stands_out(
            evidence,
            ordered(grey, tint),
            code="grey-among-colour",
            severity="note",
            what="grey among images in colour",
            remedy="affinage exclude DATA --finding grey-among-colour",
            detail=lambda place: f"'{evidence.classes[evidence.labels[place]]}'",
            harm=_HARM,
        )
    if colour.any() and np.mean(tint <= _GREY) >= _MOST:
        yield stands_out(
            evidence,
            ordered(colour, -tint),
            code="colour-among-grey",
            severity="note",
            what="in colour among grey images",
            remedy="affinage exclude DATA --finding colour-among-grey",
            detail=lambda place: f"'{evidence.classes[evidence.labels[place]]}'",
            harm=_HARM,
        )
