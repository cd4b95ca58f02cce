"""The recipe of a command: a file or mapping, settings and flags laid over it; without torch."""

import difflib
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from affinage.errors import RecipeError
from affinage.evaluation.goals import parse_goal
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import load_recipe, parse_recipe
from affinage.records.shipped import ShippedRecipe, read_shipped
from affinage.records.task import task_named
from affinage.workflows.clock import parse_duration

SHIPPED = importlib.resources.files("affinage") / "recipes"
"""Where the recipes lie that come with the package."""


def resolve_recipe(
    recipe: Recipe | str | Path | Mapping[str, Any] | None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    flags: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return a recipe from a file, a shipped recipe's name or a mapping, with settings laid over it.

    A bare name, such as `cifar10-scratch`, is that of a shipped recipe unless a file has it.

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


def list_recipes() -> tuple[ShippedRecipe, ...]:
    """Return the recipes that come with the package, by name: `--recipe NAME` takes them."""
    files = [file for file in SHIPPED.iterdir() if file.name.endswith(".yaml")]
    return tuple(
        read_shipped(file.name.removesuffix(".yaml"), file.read_text(encoding="utf-8"))
        for file in sorted(files, key=lambda file: file.name)
    )


def shipped_recipe(name: str) -> ShippedRecipe:
    """Return the shipped recipe of this name.

    Raises:
        RecipeError: If there is none; with the nearest name.
    """
    known = {recipe.name: recipe for recipe in list_recipes()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise RecipeError(
        f"There is no recipe '{name}', neither as a file nor among those that come with Affinage"
        + (f"; do you mean {near[0]}?" if near else "."),
        remedy="Give a YAML file, or one of these names: affinage recipes",
    )


def _read_text(path: Path) -> str:
    bare = not path.suffix and path.name == str(path)
    if bare and not path.is_file():
        return shipped_recipe(path.name).text
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"The recipe '{path}' cannot be read: {error}", remedy="Give a YAML file with --recipe."
        ) from None
