"""Feedback: what came back from the field, and what a model that learnt it is worth."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.estimate import Estimate

Proposal = Literal["better", "not better than noise", "worse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackAdded:
    """What corrections added to a data set.

    Attributes:
        data: Name of the data set's folder.
        added: Images that are new in it.
        labels: Of these, how many show what.
        there_already: Images of corrections that the data set has already; they were left as they are.
        not_found: Corrections whose image is nowhere.
        unreadable: Images that cannot be read.
        new_classes: Labels that no image had before.
        rows: Rows that the data set has now from feedback.
        messages: Sentences on what to know.
    """

    data: str
    added: int
    labels: dict[str, int]
    there_already: int
    not_found: int
    unreadable: int
    new_classes: tuple[str, ...]
    rows: int
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCompared:
    """A model that learnt the feedback beside the deployed one.

    Attributes:
        deployed: Name of the deployed run.
        candidate: Folder of the new run.
        proposal: `better`, `not better than noise`, or `worse`.
        why: In a sentence.
        untouched: Accuracy of the new model less the deployed one's on the test part as it was.
        new: The same on new images that the new model did not learn from.
        worse_on: Classes on which it is surely worse on the untouched test part.
        next: The command that would make a bundle of it; nothing was exchanged.
    """

    deployed: str
    candidate: str
    proposal: Proposal
    why: str
    untouched: Estimate
    new: Estimate
    worse_on: tuple[str, ...]
    next: str
