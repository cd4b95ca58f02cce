"""Trying a part on its contract, and telling all that does not hold at once."""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from affinage.errors import ModelError
from affinage.models.contracts import loss, metric, network, transform
from affinage.models.contracts.trial import Check, Task, Trial
from affinage.models.parts import Parts, qualified

Kind = Literal["model", "loss", "metric", "transform"]

CONTRACTS: dict[Kind, tuple[Check, ...]] = {
    "model": network.CONTRACT,
    "loss": loss.CONTRACT,
    "metric": metric.CONTRACT,
    "transform": transform.CONTRACT,
}
"""What is tried on each kind of part, in this order."""

_FIRST = frozenset(checks[0] for checks in CONTRACTS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """What was tried on a part, and held.

    Attributes:
        kind: Of the part.
        name: Where it is defined.
        held: What was tried, in words.
    """

    kind: Kind
    name: str
    held: tuple[str, ...]


def check_part(
    kind: Kind,
    part: Any,
    *,
    task: Task = "classify",
    classes: int = 3,
    outputs: int | None = None,
    height: int = 64,
    width: int = 64,
) -> PartReport:
    """Try whether a part of your own does what a training relies on.

    Args:
        kind: `model`, `loss`, `metric` or `transform`, as `affinage.Parts` describes them.
        part: The module or function.
        task: What is predicted; for losses and metrics.
        classes: How many classes or labels; for losses and metrics.
        outputs: Numbers that the head gives for an image; as many as classes by default.
        height: Of the images, pixels; for models.
        width: Of the images, pixels; for models.

    Returns:
        What was tried, and held.

    Raises:
        ModelError: If anything does not hold; all of it at once.
    """
    if kind not in CONTRACTS:
        raise ModelError(
            f"There is no part of the kind '{kind}'.", remedy=f"Name one of {', '.join(CONTRACTS)}."
        )
    trial = Trial(
        part=copy.deepcopy(part) if isinstance(part, nn.Module) else part,  # Modes change below.
        task=task,
        classes=classes,
        outputs=outputs or classes,
        height=height,
        width=width,
    )
    held: list[str] = []
    broken: list[str] = []
    with torch.random.fork_rng(devices=[]):
        for check in CONTRACTS[kind]:
            problem = _tried(check, trial)
            held += [] if problem else [_claim(check)]
            broken += [problem] if problem else []
            if problem and check in _FIRST:
                break  # What follows would fail for the same reason.
    if broken:
        raise ModelError(
            f"The {kind} '{qualified(part)}' cannot be trained with: {'; '.join(broken)}.",
            remedy=f"Mend it, then try again: affinage.check_part('{kind}', ...)",
        )
    return PartReport(kind=kind, name=qualified(part), held=tuple(held))


def check_parts(parts: Parts, *, task: Task, classes: int, outputs: int) -> tuple[PartReport, ...]:
    """Try all parts of a training.

    Args:
        parts: What the user brings.
        task: What is predicted.
        classes: How many classes or labels.
        outputs: Numbers that the head gives for an image.

    Raises:
        ModelError: If one of them does not hold.
    """
    given: list[tuple[Kind, Any]] = [("metric", metric) for metric in parts.metrics.values()]
    kinds: tuple[tuple[Kind, Any], ...] = (
        ("model", parts.model), ("loss", parts.loss), ("transform", parts.transform),
    )  # fmt: skip
    given += [(kind, part) for kind, part in kinds if part is not None]
    return tuple(
        check_part(kind, part, task=task, classes=classes, outputs=outputs) for kind, part in given
    )


def _tried(check: Check, trial: Trial) -> str | None:
    try:
        return check(trial)
    except Exception as error:  # noqa: BLE001 - it is the user's code: whatever it raises is told.
        first = str(error).strip().splitlines() or ["no message"]
        return f"{_claim(check)}: it raised {type(error).__name__}: {first[0]}"


def _claim(check: Check) -> str:
    return (check.__doc__ or "").strip().splitlines()[0].rstrip(".")
