"""How often a finding names a fault that is there, by how it is known."""

from affinage.diagnosis.answers import Grade

BY_GRADE: dict[Grade, float] = {"fact": 0.95, "measured": 0.9, "pattern": 0.8}
"""Assumed; `python -m benchmarks.doctor` prints what the tuning part says."""
