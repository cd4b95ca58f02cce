"""What changes to images do to their labels, tried on a data set's own images."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.estimate import Estimate

LabelVerdict = Literal[
    "keeps the label", "mixes classes up", "costs accuracy", "hard to tell", "too few images"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """Images of one class that a judge who was taught with the change takes for another class.

    Attributes:
        label: Their class.
        called: What most of them are called.
        images: How many of them were right before and are called so.
        of: How many of the class were right before.
    """

    label: str
    called: str
    images: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationTrial:
    """One change, tried on the same images before and after.

    Attributes:
        change: Its name, such as `horizontal flip`.
        setting: The recipe's setting that draws it, such as `augment.horizontal_flip`.
        off: The setting's value that turns it off, as one writes it.
        before: Accuracy on images as they are, of a judge that was taught with such images; no image is
            judged by what has learnt from it.
        changed: Its accuracy on the changed images: how unfamiliar they are to it.
        taught: Accuracy on images as they are, of a judge that was taught with changed images too,
            under their old labels.
        difference: `taught` minus `before`, paired: what it costs to teach the change.
        verdict: Whether the change keeps the label, as far as these images say.
        turned: Classes that are mixed up by it, the worst first.
    """

    change: str
    setting: str
    off: str
    before: Estimate
    changed: Estimate
    taught: Estimate
    difference: Estimate
    verdict: LabelVerdict
    turned: tuple[Turned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationsResult:
    """Before and after of a recipe's augmentation, and which changes keep the label.

    Attributes:
        data: Name of the data set.
        images: How many images were tried.
        judge: Whose features said what an image is.
        trials: One for each change, those that change labels first.
        sheet: Where the page is.
        seconds: What it took.
    """

    data: str
    images: int
    judge: str
    trials: tuple[AugmentationTrial, ...]
    sheet: str
    seconds: float
