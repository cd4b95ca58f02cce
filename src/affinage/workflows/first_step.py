"""The short form of the pre-flight: what the first step of a training shows, at next to no cost."""

from affinage.diagnosis.diagnose import diagnose
from affinage.diagnosis.rules import RULES
from affinage.records.finding import Finding
from affinage.records.signals import Signals

CODES = (
    "nothing-trainable",
    "loss-activation-mismatch",
    "broadcast-in-loss",
    "outputs-do-not-fit-classes",
    "frozen-batchnorm-in-training-mode",
    "preprocessing-mismatch",
    "constant-inputs",
    "label-order-mismatch",
    "parameters-not-in-optimizer",
    "parameters-without-gradient",
)
"""Rules that one step is enough for."""


def first_step_findings(signals: Signals) -> tuple[Finding, ...]:
    """Return what is wrong for certain after the first step: warnings and worse.

    Args:
        signals: Of a training that took a step.
    """
    rules = tuple(rule for rule in RULES if rule.code in CODES)
    verdicts = diagnose(signals, rules=rules)
    return tuple(
        verdict.finding
        for verdict in verdicts
        if verdict.finding is not None and verdict.finding.severity != "note"
    )
