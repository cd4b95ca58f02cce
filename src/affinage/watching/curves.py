"""Curves by epoch, from the passes of a training."""

from dataclasses import dataclass, field

from torch import Tensor

from affinage.records.signals import Histogram, Point
from affinage.watching.outputs import Scores


@dataclass(slots=True)
class Curves:
    """Scores that are summed over a pass of the data and closed at its end."""

    points: list[Point] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    _open: dict[str, Scores] = field(default_factory=dict)

    def add(
        self, on: str, outputs: Tensor, targets: Tensor | None, *, encoding: str,
        loss: Tensor | None, from_logits: bool,
    ) -> None:  # fmt: skip
        """Enter one batch."""
        self._open.setdefault(on, Scores()).add(
            outputs, targets, encoding=encoding, loss=loss, from_logits=from_logits
        )

    def close(self, on: str, epoch: float) -> None:
        """Turn what was summed into points at an epoch."""
        scores = self._open.pop(on, None)
        if scores is None:
            return
        self.points += scores.points(on, epoch)
        histogram = scores.histogram(on, epoch)
        if histogram:
            self.histograms.append(histogram)

    def close_evaluations(self, epoch: float) -> None:
        """Close everything but the running means of training."""
        for on in [name for name in self._open if name != "train (running)"]:
            self.close(on, epoch)
