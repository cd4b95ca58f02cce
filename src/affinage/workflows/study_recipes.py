"""Which recipe a trial has, and which questions no trial could be run with; without torch."""

from collections.abc import Mapping
from dataclasses import replace

from affinage.errors import RecipeError
from affinage.records.question import Arm, Question, Search, Settings
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import ReadRecipe
from affinage.records.study import Job
from affinage.studies.asking import CLASSES, IMAGES_PER_CLASS, setting
from affinage.studies.bake_off import check_bake_off
from affinage.studies.design import nuisance_points, value_at
from affinage.studies.scoring import METRICS
from affinage.workflows.recipes import read_settings, resolve_recipe

SIZE = ("model.width", "model.height")
HEAD_KEYS = ("features.", "model.backbone", *SIZE, IMAGES_PER_CLASS, CLASSES)
SPOTS = 16
"""Nuisance settings at which it is asked whether a tuned setting changes anything."""

SEEDS = 1_000_003
"""Between the seeds of two questions on the same data: a prime, so that they do not meet."""


def first_point(question: Question) -> Settings:
    """Return the low end of every range that is tuned."""
    return tuple((one.key, value_at(one, 0.0)) for one in question.nuisance)


def heads_only(question: Question) -> bool:
    """Return whether every trial fits a head on cached features only.

    So it is where all that is varied or tuned concerns the head, the backbone or the size of its input,
    unless the question's own recipe names the stages, changes the network beyond these, or counts.
    """
    keys = [key for arm in question.arms for key, _ in arm.settings]
    keys += [one.key for one in question.nuisance]
    recipe = base_recipe(question)
    usual = {"backbone": type(recipe.model)().backbone, "width": None, "height": None}
    plain = recipe.model.model_copy(update=usual)
    if recipe.task == "count" or plain != type(recipe.model)():
        return False
    asked = {text.partition("=")[0] for text in question.fixed} | set(question.recipe)
    if "stages" in asked and tuple(recipe.stages) != ("features",):
        return False
    return all(key.startswith(HEAD_KEYS) for key in keys)


def base_recipe(question: Question) -> Recipe:
    """Return the recipe that all trials start from."""
    return resolve_recipe(question.recipe, question.fixed)


def trial_recipe(question: Question, job: Job, points: Mapping[int, Settings]) -> Recipe:
    """Return the recipe of one trial.

    Raises:
        RecipeError: If its settings cannot be had together.
    """
    return recipe_of(
        question, question.arms[job.arm], points[job.point], seed=seed_of(question, job)
    )


def recipe_of(question: Question, arm: Arm, point: Settings, *, seed: int) -> Recipe:
    """Return the recipe of an arm at a nuisance setting.

    Raises:
        RecipeError: If the settings cannot be had together.
    """
    return _read(question, arm, point, seed=seed).recipe


def _read(question: Question, arm: Arm, point: Settings, *, seed: int) -> ReadRecipe:
    """Return the recipe of an arm at a nuisance setting, and which of these change nothing for it."""
    own = (IMAGES_PER_CLASS, CLASSES)
    laid = [setting(key, value) for key, value in (*point, *arm.settings) if key not in own]
    stages = ["stages=features"] if heads_only(question) else []
    return read_settings(
        question.recipe, [*laid, *stages], {"seed": seed},
        given=question.fixed, spare=[key for key, _ in point],
    )  # fmt: skip


def with_idle(question: Question) -> Question:
    """Return a question whose arms know which tuned settings change nothing for them.

    Raises:
        RecipeError: If one changes nothing for any arm.
    """
    points = nuisance_points(question.nuisance, points=SPOTS, seed=0)
    arms = tuple(replace(arm, idle=_idle_for(question, arm, points)) for arm in question.arms)
    for one in question.nuisance:
        told = [dict(arm.idle).get(one.key) for arm in arms]
        if all(told):
            raise RecipeError(
                f"Tuning {one.key} would change nothing: {told[0]}.",
                remedy="Leave it out, or vary what it is for.",
            )
    return replace(question, arms=arms)


def _idle_for(question: Question, arm: Arm, points: tuple[Settings, ...]) -> Settings:
    """Return the tuned settings that change nothing for an arm at any of these points, and why."""
    why: dict[str, str] = {}
    always = {key for key, _ in points[0]}
    for point in points:
        idle = {one.name: one.why for one in _read(question, arm, point, seed=0).idle}
        always &= set(idle)
        why |= idle
    return tuple((key, why[key]) for key in sorted(always))


def seed_of(question: Question, job: Job) -> int:
    """Return a trial's seed: the same for all arms, another for every repeat."""
    return (question.seed * SEEDS + job.repeat) % 2**31


def images_per_class(question: Question, job: Job) -> int | None:
    """Return how many images of each class a trial learns from; None for all."""
    asked = dict(question.arms[job.arm].settings).get(IMAGES_PER_CLASS)
    return None if asked is None else int(asked)


def classes_at_once(question: Question, job: Job) -> int | None:
    """Return how many classes a trial tells apart at once; None for all."""
    asked = dict(question.arms[job.arm].settings).get(CLASSES)
    return None if asked is None else int(asked)


def check_question(question: Question) -> None:
    """Refuse what no trial could be run with, before any is.

    Raises:
        RecipeError: If a setting is unknown, out of range, or varied and tuned at once; if the metric is
            not one of the task; or if the numbers of points, repeats or folds cannot be.
    """
    recipe = base_recipe(question)
    metric = METRICS.get(question.metric)
    if metric is None or recipe.task not in metric.tasks:
        known = ", ".join(name for name, one in METRICS.items() if recipe.task in one.tasks)
        raise RecipeError(
            f"'{question.metric}' is no score of single images for task={recipe.task}.",
            remedy=f"Use --metric with one of: {known}.",
        )
    _check_numbers(question, share=metric.share)
    _check_scope(question)
    if question.bake_off:
        check_bake_off(question)
    if question.search is not None:
        _check_search(question.search, question)
    varied = {key for arm in question.arms for key, _ in arm.settings}
    both = sorted(varied & {one.key for one in question.nuisance})
    if both:
        raise RecipeError(
            f"{', '.join(both)} is both varied and tuned.", remedy="Let it be one or the other."
        )
    _check_settings(question)


def _check_numbers(question: Question, *, share: bool) -> None:
    """Refuse numbers that cannot be."""
    for name, value, low, high in (
        ("--points", question.points, 1, 4096),
        ("--repeats", question.repeats, 1, 1000),
        ("--folds", question.folds, 2, 20),
        ("--seed", question.seed, 0, 2**31 - 1),
        ("--images", question.images, 1, 10**9),
    ):
        if value is not None and not low <= value <= high:
            raise RecipeError(
                f"{name} is {value}; it must be from {low} to {high}.", remedy=f"Change {name}."
            )
    memory = question.trial_memory
    if memory is not None and not memory > 0:
        raise RecipeError(
            f"--trial-memory is {memory / 2**30:g}; a trial needs some memory.",
            remedy="Write --trial-memory 4 for 4 GiB, or leave it out.",
        )
    size = question.smallest
    if size is None or (size > 0 and not (share and size >= 1)):
        return
    if size > 0:
        raise RecipeError(
            f"--smallest is {size:g}, and shares differ by less than 1.",
            remedy=f"For {size:g} points write --smallest {size / 100:g}",
        )
    raise RecipeError(
        f"--smallest is {size:g}; a difference that matters is greater than 0.",
        remedy="Write --smallest 0.01 for one point of accuracy.",
    )


def _check_scope(question: Question) -> None:
    """Refuse to vary how much is learnt from where trials fine-tune."""
    keys = {key for arm in question.arms for key, _ in arm.settings}
    asked = [key for key in (IMAGES_PER_CLASS, CLASSES) if key in keys]
    if asked and not heads_only(question):
        raise RecipeError(
            f"{asked[0]} can be varied where trials fit heads on cached features, and these fine-tune.",
            remedy="Leave out settings of fine-tuning, or ask two questions.",
        )
    few = [
        value
        for arm in question.arms
        for key, value in arm.settings
        if key in asked and (isinstance(value, bool) or not isinstance(value, int) or value < 1)
    ]
    if few:
        raise RecipeError(
            f"{asked[0]} is {few[0]}; it is a whole number, 1 at least.",
            remedy=f"Change {asked[0]}.",
        )


def _check_search(search: Search, question: Question) -> None:
    """Refuse a search that cannot be."""
    if not question.nuisance:
        raise RecipeError(
            "There is nothing to search: no setting is tuned.",
            remedy="Give --nuisance KEY=low..high, or leave --search out.",
        )
    if not 1 <= search.points <= 100_000:
        raise RecipeError(
            f"--search-points is {search.points}; it must be from 1 to 100000.",
            remedy="Change --search-points.",
        )
    early = search.method in ("asha", "hyperband")
    if early and heads_only(question) and search.fidelity != "images":
        raise RecipeError(
            f"Heads on cached features have no {search.fidelity} to save.",
            remedy="Use --fidelity images.",
        )


def _check_settings(question: Question) -> None:
    """Build the recipe of every arm at both ends of every range."""
    for arm in question.arms:
        for place in (0.0, 1.0):
            point = tuple((one.key, value_at(one, place)) for one in question.nuisance)
            recipe_of(question, arm, point, seed=0)
