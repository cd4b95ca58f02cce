"""Finding: the one currency of audit, diagnosis and monitoring."""

from dataclasses import dataclass
from typing import Literal

from affinage.records.estimate import Estimate

Severity = Literal["note", "warning", "blocking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images that a finding ties together, such as an image and its near-duplicate.

    Attributes:
        first: Relative path of one of them.
        second: Relative path of the other.
        first_id: Image id (SHA-256 of the bytes) of the first.
        second_id: Image id of the second.
        score: How sure it is, 0 to 1; None where it is a fact.
    """

    first: str
    second: str
    first_id: str
    second_id: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the owner of the data or the model should know.

    Attributes:
        code: A stable name in kebab-case, such as `exact-duplicates`.
        severity: `note` needs no action, `warning` may change the score, `blocking` makes it wrong.
        subject: What it is about, as a sentence with its numbers.
        evidence: Plain lines that let the reader check: paths, labels, counts. Relative paths only.
        remedy: One thing to do, one command where there is one; empty only for a note that asks for
            nothing. `DATA` in it stands for the data set's folder.
        images: Relative paths of all images that it speaks of (`evidence` may show only a few), the
            surest or gravest first.
        ids: Image ids of all images that it speaks of, in the order in which `images` first names them.
        pairs: Where it speaks of pairs, all of them, the surest first.
        suggestions: Where it proposes other labels: (image id, label), the surest first.
        hit_rate: Where it is a guess: how often such a guess is right; `n` is the guesses that it was
            computed for, or the cases that it was measured on. None where it is a fact.
        cost: Expected share of the data set's images that mislead a training or a score because of
            it, 0 to 1; findings of one severity are told in its order.
    """

    code: str
    severity: Severity
    subject: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    images: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    suggestions: tuple[tuple[str, str], ...] = ()
    hit_rate: Estimate | None = None
    cost: float = 0.0
