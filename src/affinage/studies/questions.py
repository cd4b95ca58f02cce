"""A question from what was given: flags, a YAML file, or both."""

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from affinage.errors import RecipeError
from affinage.records.plain import to_plain
from affinage.records.question import Arm, Design, Fidelity, Question, Search, SearchMethod
from affinage.studies.asking import arms_of, ladder_of, leave_one_out_of, nuisance_of, setting
from affinage.studies.question_kinds import check_kinds
from affinage.studies.scoring import default_metric

KEYS = (
    "source", "vary", "add", "leave_out", "nuisance", "set", "recipe", "metric", "smallest", "points",
    "repeats", "budget", "folds", "images", "seed", "question", "why", "expectation", "data",
    "search", "search_points", "fidelity", "final", "trial_limit", "trial_memory", "bake_off",
)  # fmt: skip
WORDS = ("question", "why", "expectation", "budget", "trial_seconds", "trial_memory")
METHODS = get_args(SearchMethod)
FIDELITIES = get_args(Fidelity)
"""What may differ between two questions that are the same."""


def read_question(file: Path) -> dict[str, Any]:
    """Return the keys of a question in YAML.

    Raises:
        RecipeError: If it cannot be read, is no mapping, or has a key that no question has.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise RecipeError(
            f"The question '{file}' cannot be read: {why}.",
            remedy="Give a YAML file with keys such as source, vary and nuisance.",
        ) from None
    if not isinstance(document, dict):
        raise RecipeError(
            f"The question '{file}' is not `key: value` lines.",
            remedy="Write keys such as source, vary and nuisance.",
        )
    unknown = sorted(str(key) for key in document if key not in KEYS)
    if unknown:
        near = difflib.get_close_matches(unknown[0], KEYS, n=1)
        meant = f"; do you mean {near[0]}?" if near else "."
        raise RecipeError(
            f"A question has no {', '.join(unknown)}{meant}",
            remedy=f"Its keys are {', '.join(KEYS)}.",
        )
    check_kinds(document)
    for key in ("vary", "nuisance"):
        if isinstance(document.get(key), Mapping):
            document[key] = [f"{name}={_joined(values)}" for name, values in document[key].items()]
    for key in ("add", "leave_out"):
        if isinstance(document.get(key), list):
            document[key] = [_step_of(one) for one in document[key]]
    if isinstance(document.get("set"), Mapping):
        document["set"] = [setting(name, value) for name, value in document["set"].items()]
    return document


def arms_and_design(given: Mapping[str, Any]) -> tuple[tuple[Arm, ...], Design]:
    """Return what is compared, and with what.

    Raises:
        RecipeError: If none or several of vary, add and leave_out are given.
    """
    kinds = [key for key in ("vary", "add", "leave_out") if given.get(key)]
    if len(kinds) > 1:
        raise RecipeError(
            f"{' and '.join(kinds)} are different designs.", remedy="Ask two questions instead."
        )
    if not kinds and given.get("nuisance"):
        return (Arm(name="tuned", settings=()),), "compare"
    if not kinds:
        raise RecipeError(
            "The question does not say what to compare.",
            remedy="Give --vary KEY=a,b, the steps of a ladder with --add KEY=VALUE, or with --nuisance "
            "KEY=low..high alone what to tune.",
        )
    match kinds[0]:
        case "vary":
            return arms_of(_texts(given["vary"])), "compare"
        case "add":
            return ladder_of(_texts(given["add"])), "add-one"
        case _:
            return leave_one_out_of(_texts(given["leave_out"])), "leave-one-out"


def same_question(one: Question, other: Question) -> bool:
    """Return whether two questions would run the same trials."""

    def bare(question: Question) -> str:
        plain = to_plain(dataclasses.replace(question, sources=tuple(sorted(question.sources))))
        return json.dumps({k: v for k, v in plain.items() if k not in WORDS}, sort_keys=True)

    return bare(one) == bare(other)


def akin(one: Question, other: Question) -> bool:
    """Return whether two questions compare the same settings on the same images, in whatever way."""

    def about(question: Question) -> tuple[object, ...]:
        keys = frozenset(key for arm in question.arms for key, _ in arm.settings)
        return frozenset(question.sources), keys, question.metric

    several = len(one.arms) > 1 and len(other.arms) > 1
    return several and about(one) == about(other) and not same_question(one, other)


def in_words(arms: Sequence[Arm], design: Design, sources: Sequence[str]) -> str:
    """Return a question in words, where nobody gave any."""
    on = ", ".join(_named(Path(source)) for source in sources)
    if len(arms) == 1:
        return f"What is the best setting on {on}?"
    if design == "add-one":
        return f"What does each step add on {on}?"
    if design == "leave-one-out":
        return f"What does each step contribute on {on}?"
    keys = ", ".join(key for key, _ in arms[0].settings)
    others = ", ".join(arm.name for arm in arms[1:4]) + (", …" if len(arms) > 4 else "")
    does = "do" if len(arms) > 2 else "does"
    return f"{keys}: {does} {others} help against {arms[0].name} on {on}?"


def _named(source: Path) -> str:
    """Return what a source is called: a table has the name of its folder too, since many are labels.csv."""
    return f"{source.parent.name}/{source.name}" if source.suffix else source.name


def laid_over(given: Mapping[str, Any], file: Path | None) -> dict[str, Any]:
    """Return what was given by flags, and under it what stands in a file; nothing that is empty.

    Raises:
        RecipeError: If the file cannot be read, or a value is of the wrong kind.
    """
    laid = read_question(file) if file is not None else {}
    said = {key: value for key, value in given.items() if value not in (None, (), [], "")}
    both = laid | said
    check_kinds(both)
    return both | ({"set": _texts(both["set"])} if "set" in both else {})


def question_from(laid: Mapping[str, Any], *, recipe: Mapping[str, Any], task: str) -> Question:
    """Return the question of what was given.

    Args:
        laid: By the names of `KEYS`; budget in seconds.
        recipe: Nested settings that all trials start from.
        task: What the recipe predicts.

    Raises:
        RecipeError: If it does not say what is asked, or of which images.
    """
    if not laid.get("source"):
        raise RecipeError(
            "The question names no images.", remedy="affinage study ask photos/ --vary KEY=a,b"
        )
    arms, design = arms_and_design(laid)
    sources = tuple(str(Path(one).resolve()) for one in _texts(laid["source"]))
    numbers = ("smallest", "points", "repeats", "budget", "folds", "seed", "images")
    memory = laid.get("trial_memory")
    return Question(
        question=laid.get("question") or in_words(arms, design, sources),
        why=laid.get("why", ""),
        expectation=laid.get("expectation", ""),
        sources=sources,
        recipe=dict(recipe),
        fixed=tuple(_texts(laid.get("set", ()))),
        arms=arms,
        design=design,
        nuisance=nuisance_of(_texts(laid.get("nuisance", ()))),
        metric=laid.get("metric") or default_metric(task),
        data=str(Path(laid["data"]).resolve()) if laid.get("data") else None,
        search=_search(laid),
        bake_off=bool(laid.get("bake_off", False)),
        trial_seconds=laid.get("trial_limit"),
        trial_memory=None if memory is None else round(memory * 2**30),
        **{key: laid[key] for key in numbers if key in laid},
    )


def _search(laid: Mapping[str, Any]) -> Search | None:
    """Return the search that was asked for; None for none."""
    method = laid.get("search")
    if method is None:
        lost = [key for key in ("search_points", "fidelity", "final") if laid.get(key)]
        if lost:
            raise RecipeError(
                f"{', '.join(lost)} belongs to a search, and none was asked for.",
                remedy=f"Add --search with one of: {', '.join(METHODS)}.",
            )
        return None
    for name, value, known in (
        ("--search", method, METHODS),
        ("--fidelity", laid.get("fidelity", "images"), FIDELITIES),
    ):
        if value not in known:
            raise RecipeError(f"There is no {name} {value}.", remedy=f"Use {', '.join(known)}.")
    return Search(
        method=method,
        points=int(laid.get("search_points", Search.__dataclass_fields__["points"].default)),
        fidelity=laid.get("fidelity", "images"),
        train=bool(laid.get("final", False)),
    )


def _texts(value: Any) -> list[str]:
    return [str(value)] if isinstance(value, (str, Path)) else [str(one) for one in value]


def _step_of(given: Any) -> str:
    """Return a step of a ladder as a flag has it: a file may give it a name, and a mapping of settings."""
    if not isinstance(given, Mapping):
        return str(given)
    steps = []
    for name, values in given.items():
        if isinstance(values, Mapping):
            steps.append(f"{name}: " + " ".join(setting(*one) for one in values.items()))
        else:
            named = isinstance(values, str) and "=" in values
            steps.append(f"{name}: {values}" if named else setting(name, values))
    return " ".join(steps)


def _joined(values: Any) -> str:
    if isinstance(values, (list, tuple)):
        return ",".join(setting("", value)[1:] for value in values)
    return str(values)
