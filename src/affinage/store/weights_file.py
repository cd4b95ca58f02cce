"""The header of a file of weights: read without unpickling, refused where the file is damaged."""

import json
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from affinage.errors import RunError


def read_metadata(path: Path, what: Literal["model", "checkpoint"]) -> dict[str, Any]:
    """Return the JSON facts in the header of a safetensors file, after a check of the file.

    Raises:
        RunError: If the file is damaged or not ours.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        facts: dict[str, Any] = json.loads(metadata["affinage"])
    except (SafetensorError, KeyError, ValueError, OSError):
        raise damaged(path, what) from None
    return facts


def damaged(path: Path, what: Literal["model", "checkpoint"]) -> RunError:
    """Return the error that a file of weights is not as it was written, and what can be done."""
    remedy = (
        "Delete it and resume the run: what it held is trained again."
        if what == "checkpoint"
        else "Restore it from a copy, or train again: affinage train SOURCE --recipe RUN/recipe.yaml"
    )
    return RunError(
        f"The {what} '{path.name}' is damaged or was not written by affinage.", remedy=remedy
    )
