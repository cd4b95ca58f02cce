"""Diagnosis: all verdicts on one training, and what they rest on."""

from dataclasses import dataclass

from affinage.records.finding import Finding
from affinage.records.signals import Signals
from affinage.records.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the doctor says of a training.

    Attributes:
        signals: What is known of it.
        verdicts: One for each rule, findings first.
        code: Exit code of the script that was watched; None where none was.
        seconds: What watching and judging took.
    """

    signals: Signals
    verdicts: tuple[Verdict, ...]
    code: int | None = None
    seconds: float = 0.0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was found, the gravest and surest first."""
        return tuple(v.finding for v in self.verdicts if v.finding is not None)
