"""Every setting of a recipe with its default, its values and its meaning."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from affinage.records.recipe import Recipe
from affinage.records.section import Section


def settings_table() -> list[tuple[str, str, str, str]]:
    """Return (name, default, type and range, description) of every setting, in order."""
    return [
        (name, _plain(default), _kind(entry), entry["description"])
        for name, _, default, entry in _settings()
    ]


@functools.cache
def _settings() -> tuple[tuple[str, Any, Any, Mapping[str, Any]], ...]:
    schema = Recipe.model_json_schema()
    return tuple(_every_setting(Recipe, schema["properties"], schema["$defs"]))


def _every_setting(
    section: type[Section],
    entries: Mapping[str, Any],
    sections: Mapping[str, Any],
    prefix: str = "",
) -> Iterator[tuple[str, Any, Any, Mapping[str, Any]]]:
    """Yield (name, annotation, default, entry of the schema) of every setting, nested ones too."""
    for key, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            own = sections[inner.__name__]["properties"]
            yield from _every_setting(inner, own, sections, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner, field.default, entries[key]


@functools.cache
def text_settings() -> frozenset[str]:
    """Return the settings that are text, so that a label `yes` or a column `2019` stays one."""
    return frozenset(name for name, annotation, *_ in _settings() if _is_text(annotation))


@functools.cache
def list_settings() -> frozenset[str]:
    """Return the settings that are lists, so that one value, or several with commas, make one."""
    return frozenset(name for name, annotation, *_ in _settings() if _is_list(annotation))


def example_of(name: str) -> str:
    """Return a value that a setting takes, as it is written: its example, else its default."""
    _, _, default, entry = next(row for row in _settings() if row[0] == name)
    return _plain(entry.get("examples", [default])[0])


def setting_names() -> list[str]:
    """Return the full name of every setting, such as `optimizer.lr`, in order."""
    return [name for name, *_ in _settings()]


def _is_list(annotation: Any) -> bool:
    return tuple in {get_origin(annotation), *map(get_origin, get_args(annotation))}


def _is_text(annotation: Any) -> bool:
    return annotation is str or set(get_args(annotation)) == {str, type(None)}


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_plain(item) for item in value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _kind(entry: Mapping[str, Any]) -> str:
    if "enum" in entry:
        return " | ".join(str(item) for item in entry["enum"])
    if "const" in entry:
        return str(entry["const"])
    if "anyOf" in entry:
        return " or ".join(_kind(option) for option in entry["anyOf"])
    if entry.get("type") == "array":
        return f"list of {_kind(entry['items'])}"
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    bounds = [f"{sign} {entry[key]:.10g}" for key, sign in signs.items() if key in entry]
    return " ".join([str(entry.get("type", "")), ", ".join(bounds)]).strip()
