"""The recipe of a command: a file or mapping, settings and flags laid over it; without torch."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from affinage.errors import RecipeError
from affinage.evaluation.goals import parse_goal
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import load_recipe, parse_recipe
from affinage.records.task import task_named
from affinage.workflows.clock import parse_duration


def resolve_recipe(
    recipe: Recipe | str | Path | Mapping[str, Any] | None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    flags: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return a recipe from a file or mapping, `key=value` settings and flags laid over it.

    Raises:
        RecipeError: If anything in it cannot be used; all of it at once.
    """
    overrides = (
        [f"{name}={json.dumps(value)}" for name, value in settings.items()]
        if isinstance(settings, Mapping)
        else list(settings)
    )
    for name, value in (flags or {}).items():
        if value is None:
            continue
        if name == "budget":
            value = parse_duration(value)  # noqa: PLW2901
        if name == "stages" and not isinstance(value, str):
            value = ",".join(value)  # noqa: PLW2901
        overrides.append(f"{name}={'true' if value is True else value}")
    if isinstance(recipe, Recipe):
        resolved = parse_recipe(recipe.model_dump(mode="json", exclude_unset=True), overrides)
    elif isinstance(recipe, (str, Path)):
        resolved = load_recipe(_read_text(Path(recipe)), overrides)
    else:
        resolved = parse_recipe(recipe, overrides)
    if resolved.goal:
        parse_goal(resolved.goal, task_named(resolved.task))
    return resolved


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"The recipe '{path}' cannot be read: {error}", remedy="Give a YAML file with --recipe."
        ) from None
