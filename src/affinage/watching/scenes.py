"""What there is to look at in a training at rest, and what a look says."""

from collections.abc import Callable
from dataclasses import dataclass

from affinage.watching.live import Live
from affinage.watching.pools import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What was looked at, and whether it is as the finding says.

    Attributes:
        holds: Whether it is so.
        said: What was done and what was seen, without a full stop.
    """

    holds: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is to look at.

    Attributes:
        live: The training at rest.
        train: Its training images.
        validation: Its validation images, where there are any.
        where: What the finding speaks of.
    """

    live: Live
    train: Pool
    validation: Pool | None
    where: tuple[str, ...] = ()


Show = Callable[[Scene], Fact | None]
"""Looks; None where there is nothing to look at."""
