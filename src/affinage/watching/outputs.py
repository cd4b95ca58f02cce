"""What a network gave out, and how often it was right."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from affinage.records.signals import Histogram, Point
from affinage.records.training_facts import OutputFacts, Part
from affinage.watching.targets import classes_of


@dataclass(slots=True)
class OutputTally:
    """Outputs of one part over the passes that were looked at."""

    part: Part
    n: int = 0
    images: int = 0
    minimum: float = np.inf
    maximum: float = -np.inf
    sums: int = 0
    zeros: int = 0
    constant: list[float] = field(default_factory=list)
    columns: list[bool] = field(default_factory=list)

    def add(self, outputs: Tensor) -> None:
        """Count one batch of outputs."""
        numbers = outputs.detach().float()
        if not numbers.numel() or not bool(torch.isfinite(numbers).all()):
            return
        rows = numbers.flatten(1) if numbers.ndim > 1 else numbers[:, None]
        self.n += rows.numel()
        self.images += len(rows)
        self.minimum = min(self.minimum, float(rows.min()))
        self.maximum = max(self.maximum, float(rows.max()))
        self.zeros += int((rows == 0).sum())
        if rows.shape[1] > 1:
            inside = (rows >= -1e-6).all(1) & (rows <= 1 + 1e-6).all(1)
            self.sums += int((inside & ((rows.sum(1) - 1).abs() < 1e-3)).sum())
        if len(rows) > 1:
            self.constant.append(float((rows == rows[0]).all(0).float().mean()))
            self.columns.append(_columns_sum_to_one(rows))

    def facts(self) -> OutputFacts | None:
        """Return what was seen; None where nothing was."""
        if not self.n:
            return None
        return OutputFacts(
            part=self.part,
            n=self.n,
            minimum=self.minimum,
            maximum=self.maximum,
            rows_sum_to_one=self.sums / self.images,
            at_zero=self.zeros / self.n,
            constant=float(np.mean(self.constant)) if self.constant else 0.0,
            columns_sum_to_one=float(np.mean(self.columns)) if self.columns else 0.0,
        )


def _columns_sum_to_one(rows: Tensor) -> bool:
    """Return whether outputs are shares, or logarithms of shares, of the batch and not of the image."""
    if rows.shape[1] < 2 or len(rows) < 2:
        return False
    shares = rows.exp() if bool((rows <= 0).all()) else rows
    by_column, by_row = ((shares.sum(axis) - 1).abs() for axis in (0, 1))
    return bool((by_column < 1e-3).all()) and not bool((by_row < 1e-3).all())


@dataclass(slots=True)
class Scores:
    """Loss and hits of one kind of pass, summed until they are read."""

    images: int = 0
    losses: list[tuple[Tensor, int]] = field(default_factory=list)
    hits: int | None = None
    exact: float | None = None
    error: float | None = None
    predicted: dict[int, int] = field(default_factory=dict)
    true: dict[int, int] = field(default_factory=dict)
    right: dict[int, int] = field(default_factory=dict)

    def add(
        self, outputs: Tensor, targets: Tensor | None, *, encoding: str, loss: Tensor | None,
        from_logits: bool = True,
    ) -> None:  # fmt: skip
        """Enter one batch."""
        self.images += len(outputs)
        if loss is not None and loss.numel() == 1:
            self.losses.append((loss.detach(), len(outputs)))
        if targets is None or outputs.ndim > 2 or len(targets) != len(outputs):
            return
        classes = classes_of(targets, encoding)
        if classes is not None:
            self._judge(outputs.detach(), classes, from_logits=from_logits)
        elif encoding in {"counts", "real"} and targets.numel() == outputs.numel():
            differences = outputs.detach().flatten().float() - targets.detach().flatten().float()
            per_image = len(outputs) / max(outputs.numel(), 1)
            self.error = (self.error or 0.0) + float(differences.abs().sum()) * per_image
            if encoding == "counts":
                exact = outputs.detach().round().flatten() == targets.detach().flatten()
                self.exact = (self.exact or 0.0) + float(exact.sum()) * per_image

    def _judge(self, outputs: Tensor, classes: Tensor, *, from_logits: bool) -> None:
        if outputs.ndim == 2 and outputs.shape[1] > 1:
            predicted = outputs.argmax(1)
        else:
            predicted = (outputs.flatten() > (0.0 if from_logits else 0.5)).long()
        if predicted.shape != classes.shape:
            return
        right = predicted == classes
        self.hits = (self.hits or 0) + int(right.sum())
        for tally, values in (
            (self.predicted, predicted), (self.true, classes), (self.right, classes[right]),
        ):  # fmt: skip
            for value in values.tolist():
                tally[value] = tally.get(value, 0) + 1

    def points(self, on: str, epoch: float) -> list[Point]:
        """Return the means as points of curves."""
        values: dict[str, float] = {}
        if self.losses:
            losses = (
                torch.stack([loss.float().flatten()[0] for loss, _ in self.losses]).cpu().numpy()
            )
            values["loss"] = float(np.average(losses, weights=[n for _, n in self.losses]))
        for name, total in (("accuracy", self.hits), ("mae", self.error), ("exact", self.exact)):
            if total is not None and self.images:
                values[name] = total / self.images
        return [
            Point(stage="training", series=series, on=on, epoch=epoch, value=value)
            for series, value in values.items()
            if np.isfinite(value)
        ]

    def histogram(self, on: str, epoch: float) -> Histogram | None:
        """Return predictions by class; None where there are no classes."""
        if not self.true:
            return None
        width = max(*self.true, *self.predicted) + 1
        return Histogram(
            on=on,
            epoch=epoch,
            predicted=tuple(self.predicted.get(i, 0) for i in range(width)),
            true=tuple(self.true.get(i, 0) for i in range(width)),
            hits=tuple(self.right.get(i, 0) for i in range(width)),
        )
