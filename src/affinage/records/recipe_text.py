"""A recipe from YAML and `--set key=value`, and back."""

import copy
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from affinage.errors import RecipeError
from affinage.records.idle import Idle, idle_settings, value_of
from affinage.records.recipe import Recipe
from affinage.records.settings_table import (
    example_of,
    list_settings,
    setting_names,
    text_settings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecipe:
    """A recipe, and what of it was left out.

    Attributes:
        recipe: What is used.
        idle: What another setting had made idle.
    """

    recipe: Recipe
    idle: tuple[Idle, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """A sentence for each setting that was left out."""
        return tuple(one.told for one in self.idle)


def parse_recipe(document: Mapping[str, Any] | None = None, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a YAML document with `key=value` settings laid over it; see `read_recipe`."""
    return read_recipe(document, settings).recipe


def read_recipe(
    document: Mapping[str, Any] | None = None,
    settings: Iterable[str] = (),
    *,
    given: Iterable[str] = (),
    spare: Iterable[str] = (),
) -> ReadRecipe:
    """Return the recipe of a YAML document with `key=value` settings laid over it, and what was left out.

    A setting that would change nothing is refused; one of the document that the settings over it have made
    idle (another optimizer, fewer stages) is left out: recipes are made to be varied.

    Args:
        document: Nested settings as a YAML file gives them; None or empty for the defaults.
        settings: Such as `optimizer.lr=3e-4`; values are read as YAML. Later ones win.
        given: Settings that belong to the document.
        spare: Names of settings that are left out, never refused, where they are idle.

    Raises:
        RecipeError: If anything is unknown, ill-typed or idle; all of it at once, each with the nearest name.
    """
    base, laid = _with_lists(document or {}), list(settings)
    wrong = [problem for one in given if (problem := _lay_over(base, one))]
    merged = copy.deepcopy(base)
    wrong += [problem for one in laid if (problem := _lay_over(merged, one))]
    recipe = _validated(merged, wrong)
    over = {one.partition("=")[0].strip() for one in laid} - set(spare)
    left_out: list[Idle] = []
    for _ in range(_ROUNDS):  # What is left out may have been what another setting needed.
        idle = _idle_in(merged, recipe)
        if not idle:
            break
        _refuse([one.sentence for one in idle if one.name in over and not one.need.told])
        alone = _idle_alone(base) if laid else {one.name for one in idle}
        _refuse([one.sentence for one in idle if one.name in alone and not one.need.told])
        left_out += idle
        for one in idle:
            _take_out(merged, one.name)
        recipe = _validated(merged, [])
    return ReadRecipe(recipe=recipe, idle=tuple(left_out))


_ROUNDS = 4


def stored_recipe(text: str) -> Recipe:
    """Return a recipe as a run keeps it: accepted once, so nothing idle is looked for.

    Raises:
        RecipeError: If it is not YAML, or holds what a recipe cannot.
    """
    return _validated(_with_lists(document_of(text) or {}), [])


def _validated(document: Mapping[str, Any], problems: list[str]) -> Recipe:
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        problems.extend(_describe_all(error.errors()))
        recipe = None
    _refuse(problems)
    assert recipe is not None
    return recipe


def _refuse(problems: Sequence[str]) -> None:
    if not problems:
        return
    raise RecipeError(
        "\n  ".join([f"{len(problems)} settings cannot be used:", *problems])
        if len(problems) > 1
        else f"A setting cannot be used: {problems[0]}",
        remedy="See every setting with its range: affinage train --settings",
    )


def _idle_in(document: Mapping[str, Any], recipe: Recipe) -> list[Idle]:
    """Return what a document sets otherwise than it would be without, and what changes nothing."""
    found = idle_settings(recipe, [name for name in setting_names() if _holds(document, name)])
    without = _without(document, [one.name for one in found]) if found else recipe
    return [one for one in found if without is None or one.value != value_of(without, one.name)]


def _idle_alone(document: Mapping[str, Any]) -> set[str]:
    """Return what is idle in a document by itself; nothing where it is no recipe by itself."""
    try:
        return {one.name for one in _idle_in(document, Recipe.model_validate(document))}
    except ValidationError:
        return set()


def _without(document: Mapping[str, Any], names: Iterable[str]) -> Recipe | None:
    """Return the recipe if the document did not hold some settings; None where that is none."""
    rest = copy.deepcopy(dict(document))
    for name in names:
        _take_out(rest, name)
    try:
        return Recipe.model_validate(rest)
    except ValidationError:
        return None


def _holds(document: Mapping[str, Any], name: str) -> bool:
    inner: Any = document
    for part in name.split("."):
        if not isinstance(inner, Mapping) or part not in inner:
            return False
        inner = inner[part]
    return True


def _take_out(document: dict[str, Any], name: str) -> None:
    *sections, key = name.split(".")
    for section in sections:
        document = document[section]
    del document[key]


def load_recipe(text: str, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe in a YAML text, with settings laid over it; see `read_recipe`.

    Raises:
        RecipeError: If it is not YAML, not a mapping, or holds what a recipe cannot.
    """
    return parse_recipe(document_of(text), settings)


def document_of(text: str) -> Mapping[str, Any] | None:
    """Return the nested settings in a YAML text; None where it is empty.

    Raises:
        RecipeError: If it is not YAML, or not a mapping.
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
    return document


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
        own = [full for full in names if full.rsplit(".", 1)[-1] == location[-1]]
        near = own or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        return f"{name}: no such setting" + (f"; do you mean {near[0]}?" if near else "")
    if detail["type"] in ("too_short", "too_long"):
        return f"{name}: {_how_many(detail['ctx'], name)}"
    message = detail["msg"].removeprefix("Value error, ")
    if not name or isinstance(detail["input"], Mapping):
        return ": ".join(part for part in (name, str(message)) if part)
    return f"{name}: {message[0].lower()}{message[1:]}, not {_written(detail['input'])}"


def _written(value: Any) -> str:
    """Return a value as a recipe has it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def _how_many(limits: Mapping[str, Any], name: str) -> str:
    """Return how many values a list takes, with an example of the right form."""
    least, most = limits.get("min_length"), limits.get("max_length")
    bound = f"at least {least}" if least is not None else f"at most {most}"
    return (
        f"takes {bound} values, separated by commas, and got {limits.get('actual_length')}; "
        f"for example {name}={example_of(name)}"
    )
