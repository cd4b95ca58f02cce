"""Which settings would change nothing in a recipe: refused, or left out and told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from affinage.records.needs import NEEDS, Need, said
from affinage.records.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A setting that would change nothing.

    Attributes:
        name: Such as `optimizer.momentum`.
        value: What it was set to.
        need: What it needs.
        why: Why it would change nothing.
    """

    name: str
    value: Any
    need: Need
    why: str

    @property
    def sentence(self) -> str:
        """Why it is refused, and what is right."""
        return (
            f"{self.name}={said(self.value)} would change nothing: {self.why}. {self.need.right}."
        )

    @property
    def told(self) -> str:
        """That it was left out, and why."""
        return f"{self.name}={said(self.value)} was left out: {self.why}."


def idle_settings(recipe: Recipe, names: Iterator[str] | list[str]) -> tuple[Idle, ...]:
    """Return which of some settings change nothing in a recipe, whatever their value.

    Args:
        recipe: As it stands.
        names: Of settings that somebody set, such as `optimizer.momentum`.
    """
    return tuple(found for name in names if (found := _idle(recipe, name)) is not None)


def value_of(recipe: Recipe, name: str) -> Any:
    """Return a setting by its full name."""
    value: Any = recipe
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _idle(recipe: Recipe, name: str) -> Idle | None:
    value = value_of(recipe, name)
    for need in NEEDS:
        if need.covers(name) and value not in need.true_anyway and (why := need.why(recipe)):
            return Idle(name=name, value=value, need=need, why=why)
    return None
