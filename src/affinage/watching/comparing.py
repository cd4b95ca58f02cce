"""Where outputs are compared with targets for equality, as an accuracy does."""

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from affinage.records.training_facts import Comparison

_MOST_NUMBERS = 100_000
_MOST_TIMES = 50
_ROUNDINGS = {"round", "round_", "floor", "floor_", "rint", "around", "ceil", "trunc"}
_LIBRARIES = ("site-packages", "dist-packages", "/torch/", "/lib/python")


@dataclass(slots=True)
class ComparisonTally:
    """Comparisons by the place in the script that asked for them."""

    times: dict[tuple[str, int], int] = field(default_factory=dict)
    whole: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    kinds: dict[tuple[str, int], Literal["class indices", "rounded", "raw"]] = field(
        default_factory=dict
    )

    def add(self, first: Tensor, second: Tensor, where: tuple[str, int]) -> None:
        """Enter a comparison of two tensors of one size."""
        times = self.times.get(where, 0)
        if first.numel() != second.numel() or not 1 < first.numel() <= _MOST_NUMBERS:
            return
        if times > _MOST_TIMES or any(part in where[0] for part in _LIBRARIES):
            return
        self.times[where] = times + 1
        floats = [each.detach() for each in (first, second) if each.is_floating_point()]
        if torch.bool in {first.dtype, second.dtype}:
            return
        if not floats:
            self.kinds.setdefault(where, "class indices")
            self.whole.setdefault(where, []).append(1.0)
            return
        share = min(float((each == each.round()).float().mean()) for each in floats)
        self.whole.setdefault(where, []).append(share)
        if share < 1.0 or self.kinds.get(where) == "raw":
            self.kinds[where] = "raw"
        else:
            self.kinds.setdefault(where, "rounded")

    def facts(self) -> tuple[Comparison, ...]:
        """Return all places, in the order in which they were met."""
        return tuple(
            Comparison(
                where=f"{Path(where[0]).name}:{where[1]}",
                times=self.times[where],
                of=kind,
                whole=sum(self.whole[where]) / len(self.whole[where]),
                rounded_after=_rounded_after(*where),
            )
            for where, kind in self.kinds.items()
        )


def _rounded_after(file: str, line: int) -> bool:
    """Return whether a rounding is called further down in the same function, or in the module."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False
    around: ast.AST = tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.With) and (
            node.lineno <= line <= (node.end_lineno or 0)
        ):
            around = node  # The innermost block comes last.
    return any(
        isinstance(node, ast.Call) and node.lineno > line and _called(node.func) in _ROUNDINGS
        for node in ast.walk(around)
    )


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
