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
from affinage.records.recipe_text import ReadRecipe, document_of, read_recipe
from affinage.records.shipped import ShippedRecipe, read_shipped
from affinage.records.task import task_named
from affinage.workflows.clock import parse_duration

SHIPPED = importlib.resources.files("affinage") / "recipes"
"""Where the recipes lie that come with the package."""


def resolve_recipe(
    recipe: Recipe | str | Path | Mapping[str, Any] | None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    flags: Mapping[str, Any] | None = None,
    *,
    given: Iterable[str] = (),
) -> Recipe:
    """Return a recipe from a file, a shipped recipe's name or a mapping, with settings laid over it.

    See `read_settings`.
    """
    return read_settings(recipe, settings, flags, given=given).recipe


def read_settings(
    recipe: Recipe | str | Path | Mapping[str, Any] | None,
    settings: Iterable[str] | Mapping[str, Any] = (),
    flags: Mapping[str, Any] | None = None,
    *,
    given: Iterable[str] = (),
    spare: Iterable[str] = (),
    start: Recipe | None = None,
) -> ReadRecipe:
    """Return a recipe with settings laid over it, and what of it these have made idle.

    A bare name, such as `cifar10-scratch`, is that of a shipped recipe unless a file has it.

    Args:
        recipe: A file, a shipped recipe's name, a mapping or a recipe; None for the defaults.
        settings: Laid over it: `key=value` each, or a mapping.
        flags: Laid over both: by name, None for those that were not given.
        given: Settings that belong to the recipe: left out, not refused, where those over it make them idle.
        spare: Names of settings that are left out, never refused, where they are idle.
        start: Of the run that a training goes on from: its model holds where the recipe says nothing of it.

    Raises:
        RecipeError: If anything in it cannot be used, or would change nothing; all of it at once.
    """
    laid = (
        [f"{name}={json.dumps(value)}" for name, value in settings.items()]
        if isinstance(settings, Mapping)
        else list(settings)
    )
    document, over = _document(recipe), [*laid, *_flags(flags or {})]
    if start is not None:
        document = _with_model(document or {}, over, start)
    read = read_recipe(document, over, given=given, spare=spare)
    if read.recipe.goal:
        parse_goal(read.recipe.goal, task_named(read.recipe.task))
    return read


def _document(recipe: Recipe | str | Path | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if isinstance(recipe, Recipe):
        return recipe.model_dump(mode="json", exclude_unset=True)
    if isinstance(recipe, (str, Path)):
        return document_of(_read_text(Path(recipe)))
    return recipe


def _with_model(
    document: Mapping[str, Any], over: Iterable[str], start: Recipe
) -> Mapping[str, Any]:
    """Return a document with another recipe's model under it, unless it asks for another backbone."""
    own = document.get("model", {})
    asked = [one.partition("=")[2].strip() for one in over if one.startswith("model.backbone=")]
    backbone = asked[-1] if asked else dict(own).get("backbone", start.model.backbone)
    if backbone != start.model.backbone:
        return document
    return {**document, "model": _laid_over(start.model.model_dump(mode="json"), own)}


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with others laid over them."""
    merged = {**under, **over}
    both = [name for name in under if isinstance(over.get(name), Mapping)]
    return merged | {name: _laid_over(under[name], over[name]) for name in both}


def _flags(flags: Mapping[str, Any]) -> list[str]:
    """Return the settings that flags of a command stand for."""
    laid = []
    for name, value in flags.items():
        if value is None:
            continue
        if name == "budget":
            value = parse_duration(value)  # noqa: PLW2901
        if name == "stages" and not isinstance(value, str):
            value = ",".join(value)  # noqa: PLW2901
        laid.append(f"{name}={'true' if value is True else value}")
    return laid


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
