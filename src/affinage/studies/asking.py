"""A question from words: what is varied, what is tuned, what a ladder adds."""

import itertools
import math
import re
from collections.abc import Sequence

import yaml

from affinage.errors import RecipeError
from affinage.records.question import Arm, Choice, Nuisance, Settings, Span, Value

WIDE = 20
"""A range of positive numbers whose ends differ by so much is tuned on a logarithmic axis."""

IMAGES_PER_CLASS = "images_per_class"
"""Not a setting of the recipe: how many images of each class are learnt from."""

CLASSES = "classes"
"""Not a setting of the recipe: how many classes are told apart at once."""

_NAMED = re.compile(r"^\s*([^=:]*[^=:\s])\s*:\s+(.+)$")
"""A step with a name of its own: `crops: augment.crop=0.6`."""

_RANGE = re.compile(r"^\s*([-+\d.eE]+)\s*\.\.\s*([-+\d.eE]+)\s*$")


def arms_of(vary: Sequence[str]) -> tuple[Arm, ...]:
    """Return an arm for each combination of `KEY=a,b,c`; the first values are the reference.

    Raises:
        RecipeError: If one is not of this form, or has a single value.
    """
    named = [_key_and_values(one) for one in vary]
    combined = itertools.product(*[[(key, value) for value in values] for key, values in named])
    arms = [tuple(settings) for settings in combined]
    _check_unique([key for key, _ in named])
    return tuple(Arm(name=", ".join(word(v) for _, v in one), settings=one) for one in arms)


def ladder_of(steps: Sequence[str]) -> tuple[Arm, ...]:
    """Return the arms of a ladder: plain, then with each step added to those before.

    Args:
        steps: `KEY=VALUE`, or several of them with spaces between, for each step; a name and a colon
            before it call it by that name.
    """
    parsed = [_step(one) for one in steps]
    arms = [Arm(name="plain", settings=())]
    for place, (name, _) in enumerate(parsed):
        laid = {key: value for _, settings in parsed[: place + 1] for key, value in settings}
        arms.append(Arm(name=f"+ {name}", settings=tuple(laid.items())))
    return tuple(arms)


def leave_one_out_of(steps: Sequence[str]) -> tuple[Arm, ...]:
    """Return the arms of an ablation: all steps together, then all but each."""
    parsed = [_step(one) for one in steps]

    def laid(without: int | None) -> Settings:
        kept = [settings for place, (_, settings) in enumerate(parsed) if place != without]
        return tuple({key: value for settings in kept for key, value in settings}.items())

    left = [
        Arm(name=f"without {name}", settings=laid(place)) for place, (name, _) in enumerate(parsed)
    ]
    return (Arm(name="all", settings=laid(None)), *left)


def nuisance_of(texts: Sequence[str]) -> tuple[Nuisance, ...]:
    """Return what is tuned: `KEY=low..high` or `KEY=a,b,c`.

    A range of whole numbers is tuned in whole numbers. A range of positive numbers whose ends differ by
    a factor of 20 or more is tuned on a logarithmic axis.

    Raises:
        RecipeError: If one is not of this form, or its ends are the wrong way round.
    """
    found = [_nuisance(text) for text in texts]
    _check_unique([one.key for one in found])
    return tuple(found)


def _nuisance(text: str) -> Nuisance:
    key, equals, rest = text.partition("=")
    match = _RANGE.match(rest)
    if not equals or match is None:
        key, values = _key_and_values(text)
        return Choice(key=key, values=values)
    try:
        low, high = float(match[1]), float(match[2])
    except ValueError:
        raise _unclear(text) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RecipeError(
            f"{key}: a range goes from a lesser to a greater number, not from {match[1]} to {match[2]}.",
            remedy=f"Write --nuisance {key}=1e-4..1e-1",
        )
    whole = all(re.fullmatch(r"[-+]?\d+", end) for end in match.groups())
    return Span(
        key=key.strip(), low=low, high=high, log=low > 0 and high / low >= WIDE, whole=whole
    )


def _key_and_values(text: str) -> tuple[str, tuple[Value, ...]]:
    key, equals, rest = text.partition("=")
    values = tuple(_value(part) for part in rest.split(",")) if equals else ()
    if not key.strip() or len(values) < 2:
        raise _unclear(text)
    words = [word(value) for value in values]
    twice = next((one for one in words if words.count(one) > 1), None)
    if twice is not None:
        raise RecipeError(
            f"'{text}' names {twice} twice: what is equal cannot differ.",
            remedy=f"Name each value of {key.strip()} once.",
        )
    return key.strip(), values


def _step(text: str) -> tuple[str, Settings]:
    """Return a step's name and what it sets."""
    named, settings = _NAMED.match(text), []
    name, given = named.groups() if named else (text, text)
    for part in given.split():
        key, equals, value = part.partition("=")
        if not equals:
            raise RecipeError(
                f"'{text}' is no step of a ladder.",
                remedy="Write --add augment.horizontal_flip=true",
            )
        settings.append((key, _value(value)))
    return name, tuple(settings)


def _value(text: str) -> Value:
    """Return the value that a text stands for, `3e-4` too."""
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError:
        read = text
    if isinstance(read, str):
        try:
            return float(read)
        except ValueError:
            return read.strip()
    return read if isinstance(read, (int, float, bool)) or read is None else text.strip()


def word(value: Value) -> str:
    """Return a value as it is written in a setting."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def told_settings(settings: Settings) -> str:
    """Return settings with three digits of each number: to be read, not to be copied."""
    return ", ".join(
        f"{key} = {f'{value:.3g}' if isinstance(value, float) else word(value)}"
        for key, value in settings
    )


def setting(key: str, value: Value) -> str:
    """Return `KEY=VALUE` as `--set` takes it."""
    return f"{key}={value!r}" if isinstance(value, float) else f"{key}={word(value)}"


def _unclear(text: str) -> RecipeError:
    return RecipeError(
        f"'{text}' does not say what to vary.",
        remedy="Write KEY=a,b for values to compare, KEY=low..high for a range to tune.",
    )


def _check_unique(keys: Sequence[str]) -> None:
    twice = sorted({key for key in keys if list(keys).count(key) > 1})
    if twice:
        raise RecipeError(
            f"{', '.join(twice)} is named twice.",
            remedy="Name each setting once, with all its values.",
        )
