"""Bench: how long each step of a training takes an image on this machine, and what would help."""

from dataclasses import dataclass, replace
from typing import Literal

StageName = Literal["read", "decode", "augment", "compute"]

DISAGREE = 1.5
"""Times by which the sum of the parts may differ from the whole before that is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Seconds an image takes each stage alone, with all processors of this process at work.

    Attributes:
        read: Files from the disk; from memory where the system could not be made to forget them.
        decode: Bytes to pixels.
        augment: Pixels to a random view.
        compute: Forward and backward pass.
        overlapped: True where an accelerator computes while processors prepare.
    """

    read: float
    decode: float
    augment: float
    compute: float
    overlapped: bool = False

    @property
    def seconds(self) -> float:
        """What an image takes altogether.

        Reading waits for the disk while others work. Decoding, augmenting and computing share the
        processors, so that their times add up, unless an accelerator computes.
        """
        prepared = self.decode + self.augment
        if self.overlapped:
            return max(self.read, prepared, self.compute)
        return max(self.read, prepared + self.compute)

    @property
    def bottleneck(self) -> StageName:
        """The stage without which an image would take the least."""
        without: dict[StageName, Rates] = {
            "compute": replace(self, compute=0.0),
            "decode": replace(self, decode=0.0),
            "augment": replace(self, augment=0.0),
            "read": replace(self, read=0.0),
        }
        return min(without, key=lambda name: without[name].seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change of settings, and what it is predicted to gain.

    Attributes:
        what: In words, with the setting.
        images_per_second: Predicted, from what was measured.
        times: As many as without it.
    """

    what: str
    images_per_second: float
    times: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What `affinage bench` measured.

    Attributes:
        images: How many were measured.
        threads: That read, decode and augment.
        backbone: What computed.
        device: Where.
        from_disk: Whether files came from the disk; False where they stood in memory.
        megabytes: Mean size of a file, MB.
        rates: Seconds an image, by stage.
        predicted: Images per second of fine-tuning that the stages add up to.
        measured: Images per second of real fine-tuning steps on the same images, the median.
        slowest: The same of the slowest step.
        fastest: The same of the fastest step.
        steps: How many were measured.
        bottleneck: The stage to begin with.
        remedies: The most useful first.
    """

    images: int
    threads: int
    backbone: str
    device: str
    from_disk: bool
    megabytes: float
    rates: Rates
    predicted: float
    measured: float
    slowest: float
    fastest: float
    steps: int
    bottleneck: StageName
    remedies: tuple[Remedy, ...]

    @property
    def agrees(self) -> bool:
        """Whether the parts add up to about what real steps took."""
        return 1 / DISAGREE <= self.predicted / self.measured <= DISAGREE


def remedies_of(rates: Rates, cures: dict[str, Rates]) -> tuple[Remedy, ...]:
    """Return what each change would gain, the most first; what gains less than 2 % is left out.

    Args:
        rates: As it is.
        cures: What the stages would take after a change, by what the change is.
    """
    found = [
        Remedy(
            what=what,
            images_per_second=1 / cured.seconds,
            times=rates.seconds / cured.seconds,
        )
        for what, cured in cures.items()
    ]
    worth = [remedy for remedy in found if remedy.times >= 1.02]
    return tuple(sorted(worth, key=lambda remedy: -remedy.times))
