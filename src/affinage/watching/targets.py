"""How targets are written, how often each class comes, and in what order."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affinage.records.training_facts import Encoding, Part, TargetFacts

_NUMBERS = 4096
_INDEX_LOSSES = {"cross_entropy", "nll_loss", "multi_margin_loss"}
MOST_CLASSES = 20_000
_MOST_VALUES = 100


@dataclass(slots=True)
class TargetTally:
    """All targets of one part that were seen."""

    part: Part
    n: int = 0
    minimum: float = np.inf
    maximum: float = -np.inf
    dtype: str = ""
    encodings: dict[str, int] = field(default_factory=dict)
    by_class: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    total: float = 0.0
    squares: float = 0.0
    numbers: int = 0
    whole: bool = True
    by_value: NDArray[np.int64] | None = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, targets: Tensor, outputs: Tensor, loss: str) -> None:
        """Count one batch."""
        numbers = targets.detach().flatten()[:_NUMBERS].double()
        if not len(numbers):
            return
        self.n += len(targets) if targets.ndim else 1
        self.dtype = str(targets.dtype).removeprefix("torch.")
        self.minimum = min(self.minimum, float(numbers.min()))
        self.maximum = max(self.maximum, float(numbers.max()))
        self.total += float(numbers.sum())
        self.squares += float((numbers**2).sum())
        self.numbers += len(numbers)
        self.whole = self.whole and bool((numbers == numbers.round()).all())
        encoding = encoding_of(targets, outputs, loss)
        self.encodings[encoding] = self.encodings.get(encoding, 0) + 1
        self._count_classes(targets, outputs, encoding)
        self._count_values(numbers, alone=targets.numel() == len(targets))

    def _count_classes(self, targets: Tensor, outputs: Tensor, encoding: str) -> None:
        classes = classes_of(targets, encoding)
        if encoding == "multi-hot" and targets.ndim == 2:
            counts = targets.detach().sum(0).long().cpu().numpy()
        elif classes is None or int(classes.max()) >= MOST_CLASSES or int(classes.min()) < 0:
            return
        else:
            width = outputs.shape[1] if outputs.ndim > 1 and outputs.shape[1] > 1 else 2
            counts = torch.bincount(classes.flatten(), minlength=width).cpu().numpy()
        longest = max(len(counts), len(self.by_class))
        self.by_class = np.pad(self.by_class, (0, longest - len(self.by_class)))
        self.by_class[: len(counts)] += counts

    def _count_values(self, numbers: Tensor, *, alone: bool) -> None:
        """Count whole numbers from 0 to 100, one per image; give up where others come."""
        inside = self.whole and self.minimum >= 0 and self.maximum <= _MOST_VALUES
        if self.by_value is None or not alone or not inside:
            self.by_value = None
            return
        counts = torch.bincount(numbers.long().cpu(), minlength=len(self.by_value)).numpy()
        counts[: len(self.by_value)] += self.by_value
        self.by_value = counts

    def facts(self) -> TargetFacts | None:
        """Return what was seen; None where nothing was."""
        if not self.n or not self.encodings:
            return None
        encoding: Any = self.settled()
        classes = encoding in {"class indices", "one-hot", "probabilities", "multi-hot"}
        mean = self.total / self.numbers
        return TargetFacts(
            part=self.part,
            encoding=encoding,
            dtype=self.dtype,
            n=self.n,
            minimum=self.minimum,
            maximum=self.maximum,
            by_class=tuple(map(int, self.by_class)) if classes else None,
            mean=None if classes else mean,
            std=None if classes else float(np.sqrt(max(self.squares / self.numbers - mean**2, 0))),
            whole=self.whole,
            by_value=tuple(map(int, self.by_value))
            if encoding == "counts" and self.by_value is not None
            else None,
        )

    def settled(self) -> str:
        """Return the encoding that explains all batches: one batch of counts may look like another."""
        for general in ("real", "counts", "probabilities", "multi-hot"):
            if general in self.encodings:
                return general
        return max(self.encodings, key=lambda name: self.encodings[name])


def encoding_of(targets: Tensor, outputs: Tensor, loss: str) -> Encoding:
    """Return how one batch of targets is written.

    Args:
        targets: As they reached the loss.
        outputs: With which the loss compared them.
        loss: Its name; tells whole numbers that are classes from those that are counts.
    """
    floating = targets.is_floating_point()
    if not floating and (loss in _INDEX_LOSSES or targets.dtype == torch.bool):
        return "multi-hot" if targets.dtype == torch.bool and targets.ndim > 1 else "class indices"
    if not floating and _fit_columns(targets, outputs):
        return "class indices"
    numbers = targets.detach().flatten(1) if targets.ndim > 1 else targets.detach()[:, None]
    if bool((numbers < 0).any()) or not bool((numbers == numbers.round()).all()):
        return "probabilities" if _rows_sum_to_one(numbers) else "real"
    if bool((numbers > 1).any()):
        return "counts"
    if numbers.shape[1] == 1:
        return "class indices"
    return "one-hot" if _rows_sum_to_one(numbers) else "multi-hot"


def _fit_columns(targets: Tensor, outputs: Tensor) -> bool:
    """Return whether whole numbers, one per image, can each be the number of an output."""
    if targets.ndim != 1 or outputs.ndim != 2 or outputs.shape[1] < 2 or not len(targets):
        return False
    return bool((targets >= 0).all()) and int(targets.max()) < outputs.shape[1]


def classes_of(targets: Tensor, encoding: str) -> Tensor | None:
    """Return the class of each image as an index; None where there is none."""
    if encoding == "class indices":
        return targets.detach().flatten().long()
    if encoding in {"one-hot", "probabilities"} and targets.ndim == 2:
        return targets.detach().argmax(1)
    return None


def _rows_sum_to_one(numbers: Tensor) -> bool:
    if numbers.ndim < 2 or numbers.shape[1] < 2:
        return False
    inside = bool((numbers >= 0).all())
    return inside and bool(
        torch.allclose(numbers.double().sum(1), torch.ones(1).double(), atol=1e-3)
    )


@dataclass(slots=True)
class LabelOrder:
    """Labels in the order in which they came to the loss, by pass over the training data."""

    first: list[int] = field(default_factory=list)
    second: list[int] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    smallest: int | None = None
    _most: int = 20_000

    def add(self, classes: Tensor, *, completed: int) -> None:
        """Append a batch's labels, with the number of passes completed before."""
        kept = (self.first, self.second)[completed] if completed < 2 else None
        if kept is None or len(kept) > self._most:
            return
        labels = classes.tolist()
        kept.extend(labels)
        self.distinct.append(len(set(labels)))
        self.smallest = min(self.smallest or len(labels), len(labels))

    def is_made_up(self) -> bool:
        """Return whether labels are no data's: each batch has one, and they take turns, as in a GAN."""
        labels = np.array(self.first)
        changes = int((labels[1:] != labels[:-1]).sum())
        return set(self.distinct) == {1} and changes > 2 * len(np.unique(labels))

    def same(self) -> bool | None:
        """Return whether two passes came in the same order; None where that cannot be told."""
        n = min(len(self.first), len(self.second))
        if n < 32 or len(set(self.first[:n])) < 2 or self.is_made_up():
            return None
        return self.first[:n] == self.second[:n]

    def neighbours(self) -> tuple[float, float, int] | None:
        """Return the share of equal neighbours, that of a random order, and the number of pairs."""
        labels = np.array(self.first)
        if len(labels) < 16 or len(np.unique(labels)) < 2 or self.is_made_up():
            return None
        counts = np.unique(labels, return_counts=True)[1]
        n = len(labels)
        expected = float((counts * (counts - 1)).sum() / (n * (n - 1)))
        return float((labels[1:] == labels[:-1]).mean()), expected, n - 1
