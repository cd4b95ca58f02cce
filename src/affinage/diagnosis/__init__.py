"""Signals of a training become verdicts: one file per family of rules, listed in `rules.py`."""
