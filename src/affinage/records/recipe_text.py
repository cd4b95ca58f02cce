"""A recipe from YAML and `--set key=value`, and back."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from affinage.errors import RecipeError
from affinage.records.recipe import Recipe
from affinage.records.settings_table import list_settings, setting_names, text_settings


def parse_recipe(document: Mapping[str, Any] | None = None, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a YAML document with `key=value` settings laid over it.

    Args:
        document: Nested settings as a YAML file gives them; None or empty for the defaults.
        settings: Such as `optimizer.lr=3e-4`; values are read as YAML. Later ones win.

    Raises:
        RecipeError: If anything is unknown or ill-typed; all of it at once, each with the nearest name.
    """
    merged = _with_lists(document or {})
    problems: list[str] = []
    for setting in settings:
        problem = _lay_over(merged, setting)
        if problem:
            problems.append(problem)
    try:
        recipe = Recipe.model_validate(merged)
    except ValidationError as error:
        problems.extend(_describe_all(error.errors()))
        recipe = None
    if problems or recipe is None:
        raise RecipeError(
            "\n  ".join([f"{len(problems)} settings cannot be used:", *problems])
            if len(problems) > 1
            else f"A setting cannot be used: {problems[0]}",
            remedy="See every setting with its range: affinage train --settings",
        )
    return recipe


def load_recipe(text: str, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe in a YAML text, with settings laid over it.

    Raises:
        RecipeError: If it is not YAML, not a mapping, or holds what a recipe cannot.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(
            f"The recipe is not YAML: {' '.join(str(error).split())}",
            remedy="Mend that line; `key: value`, indented by two spaces within a section.",
        ) from None
    if document is not None and not isinstance(document, dict):
        raise RecipeError(
            f"The recipe is a {type(document).__name__}, not `key: value` lines.",
            remedy="Write settings such as `seed: 1` or `optimizer:` with `  lr: 3e-4` under it.",
        )
    return parse_recipe(document, settings)


def dump_recipe(recipe: Recipe) -> str:
    """Return the recipe as YAML that `load_recipe` reads back to an equal one."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _with_lists(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a copy in which one value, or several with commas, is a list where a list is asked for."""
    copied: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            copied[str(key)] = _with_lists(value, f"{name}.")
        else:
            copied[str(key)] = _as_list(value) if name in list_settings() else value
    return copied


def _lay_over(document: dict[str, Any], setting: str) -> str | None:
    """Write one `a.b=value` into the nested document; return what is wrong with it, if anything."""
    name, equals, text = setting.partition("=")
    if not equals or not name.strip():
        return f"'{setting}' is not key=value"
    try:
        value = _value_of(name.strip(), text)
    except yaml.YAMLError:
        return f"{name}: '{text}' is not a value"
    *sections, key = name.strip().split(".")
    inner = document
    for section in sections:
        inner = inner.setdefault(section, {})
        if not isinstance(inner, dict):
            return f"{name}: '{section}' is a value, not a section"
    inner[key] = value
    return None


def _value_of(name: str, text: str) -> Any:
    """Return the value that a text stands for: as it is for settings that are text, else as YAML."""
    if name in text_settings():
        return None if text.strip() in ("", "null") else text.strip()
    value = _number(yaml.safe_load(text))
    if name in list_settings() and not text.strip():
        return []
    return _as_list(value) if name in list_settings() else value


def _as_list(value: Any) -> Any:
    if isinstance(value, str):
        return [_number(part) for part in value.split(",")]
    return value if value is None or isinstance(value, list | tuple) else [value]


def _number(value: Any) -> Any:
    """Read `3e-4`, which YAML 1.1 takes for a string, as the number that everyone means."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value.strip()
    return value


def _describe_all(details: Iterable[Any]) -> list[str]:
    """Return a sentence for each setting; one that takes two kinds of values says both."""
    said: dict[str, list[str]] = {}
    for detail in _causes(list(details)):
        location = [str(part) for part in detail["loc"] if not isinstance(part, int)]
        text = _describe(detail, location)
        known = [name for name in setting_names() if ".".join(location).startswith(f"{name}.")]
        said.setdefault(known[0] if known else text, []).append(text)
    return [
        texts[0]
        if len(texts) == 1
        else f"{name}: " + " or ".join([*map(_without_value, texts[:-1]), _meaning(texts[-1])])
        for name, texts in said.items()
    ]


def _causes(details: list[Any]) -> Iterator[Any]:
    """Yield the errors that are not mere consequences: a list is too short where its one item is wrong."""
    for detail in details:
        place = detail["loc"]
        inside = (other["loc"][: len(place)] == place != other["loc"] for other in details)
        if detail["type"] != "too_short" or not any(inside):
            yield detail


def _meaning(text: str) -> str:
    return text.partition(": ")[2]


def _without_value(text: str) -> str:
    return _meaning(text).rpartition(", not ")[0]


def _describe(detail: Any, location: list[str]) -> str:
    name = ".".join(location)
    if detail["type"] == "extra_forbidden":
        names = setting_names()
        if isinstance(detail["input"], Mapping) and detail["input"]:
            name += f".{next(iter(detail['input']))}"  # A whole section of an unknown name.
            location = name.split(".")
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5) or [
            full for full in names if full.rsplit(".", 1)[-1] == location[-1]
        ]
        return f"{name}: no such setting" + (f"; do you mean {near[0]}?" if near else "")
    message = detail["msg"].removeprefix("Value error, ")
    if not name or isinstance(detail["input"], Mapping):
        return ": ".join(part for part in (name, str(message)) if part)
    return f"{name}: {message[0].lower()}{message[1:]}, not {detail['input']!r}"
