"""Finding: the one currency of audit, diagnosis and monitoring."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "blocking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the owner of the data or the model should know.

    Attributes:
        code: A stable name in kebab-case, such as `exact-duplicates`.
        severity: `note` needs no action, `warning` may change the score, `blocking` makes it wrong.
        subject: What it is about, as a sentence with its numbers.
        evidence: Plain lines that let the reader check: paths, labels, counts. Relative paths only.
        remedy: One thing to do; empty only for a note that asks for nothing.
        images: Relative paths of all images that it speaks of (`evidence` may show only a few).
    """

    code: str
    severity: Severity
    subject: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    images: tuple[str, ...] = ()
