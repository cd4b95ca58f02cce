"""Titles that mean the same in every report."""

AT_A_GLANCE = "At a glance"
SCORES = "Scores"
DECISIONS = "What was decided, and why"
FINDINGS = "Findings"
TO_LABEL = "To label next"

ESSENTIAL = frozenset({AT_A_GLANCE, SCORES, DECISIONS, FINDINGS, TO_LABEL})
"""What a terminal shows unless asked for all."""
