"""Recipe: everything that determines a run but the data.

One frozen model is the YAML file, the `--set section.key=value` flags and the table in the docs.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from affinage.records.count_defaults import with_defaults_for_counts
from affinage.records.networks import with_defaults_from_scratch
from affinage.records.pairings import problems
from affinage.records.recipe_fields import RecipeFields, Stage
from affinage.records.recipe_rules import contradictions

__all__ = ["FORMAT", "Recipe", "Stage", "forced_pairings"]

FORMAT = 1


class Recipe(RecipeFields):
    """Everything that determines a run but the data: settings that go together."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_follow_the_rest(cls, document: Any) -> Any:
        if not isinstance(document, Mapping):
            return document
        return with_defaults_for_counts(with_defaults_from_scratch(document))

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        problem = next(contradictions(self), None)
        if problem:
            raise ValueError(problem)
        return self


def forced_pairings(recipe: Recipe) -> tuple[str, ...]:
    """Return what `force` let through, each with the reason and the right pairing; none if all fits."""
    return problems(recipe.chosen_loss())
