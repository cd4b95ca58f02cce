"""What each key of a question may hold: a wrong kind is refused in words, wherever it was written."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from affinage.errors import RecipeError

SETTINGS = (str, Path, Sequence, Mapping)

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(
        ("points", "repeats", "folds", "images", "seed", "search_points"), ((Integral,), "a whole number")
    ),
    **dict.fromkeys(("smallest", "trial_memory"), ((Real,), "a number")),
    **dict.fromkeys(("budget", "trial_limit"), ((str, Real), "a span of time, such as 10m")),
    **dict.fromkeys(
        ("question", "why", "expectation", "metric", "search", "fidelity"), ((str,), "text")
    ),
    **dict.fromkeys(("final", "bake_off"), ((bool,), "true or false")),
    **dict.fromkeys(("source", "add", "leave_out"), ((str, Path, Sequence), "text or a list")),
    **dict.fromkeys(
        ("vary", "nuisance", "set"), (SETTINGS, "settings, such as features.head: [logistic, svm]")
    ),
    "recipe": ((str, Path, Mapping), "a file"),
    "data": ((str, Path), "a folder"),
}  # fmt: skip
"""Which types a key takes, and how that reads."""


def check_kinds(given: Mapping[str, Any]) -> None:
    """Refuse a value of the wrong kind.

    Args:
        given: Values by the keys of a question.

    Raises:
        RecipeError: That names the key, the value, and what it should be.
    """
    for key, value in given.items():
        kinds, wanted = KINDS[key]
        truth = (
            isinstance(value, bool) and bool not in kinds
        )  # Python counts true as a whole number.
        if value is None or (isinstance(value, kinds) and not truth):
            continue
        told = f"'{value}'" if isinstance(value, str) else str(value)
        raise RecipeError(f"{key} is {told}; it must be {wanted}.", remedy=f"Change {key}.")
