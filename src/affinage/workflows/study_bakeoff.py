"""A bake-off: what backbones cost, and a second round in which those that remain are fine-tuned."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from affinage.errors import AffinageError
from affinage.imaging.batches import prepared_batches
from affinage.inference.forward import features_of_pixels
from affinage.models.build import stack
from affinage.records.answer import Weighed
from affinage.records.estimate import Estimate
from affinage.records.question import Question
from affinage.records.recipe import Recipe
from affinage.store.study_folder import StudyFolder
from affinage.studies.bake_off import remaining, with_front
from affinage.workflows.moment import now
from affinage.workflows.reporter import Reporter
from affinage.workflows.session import make_engine
from affinage.workflows.study_data import Pool
from affinage.workflows.study_features import study_backbone
from affinage.workflows.study_recipes import recipe_of
from affinage.workflows.study_worker import Worker

RUNS = 30
"""Timed passes of one image, for each backbone, in turns."""

FINETUNED = "finetuned"
"""Folder of the second round, in that of the first."""

REPEATS = 3
SECONDS = 120.0
"""Of each training of the second round, where the question has no budget."""


def weigh(worker: Worker, pool: Pool, *, told: Reporter) -> None:
    """Measure what the backbones of a finished comparison cost, and name the Pareto front."""
    said = worker.folder.answer()
    if said is None or said.weighed:
        return
    question, passes = worker.question, dict[int, Callable[[], None]]()
    counted: dict[int, int] = {}
    for arm, named in enumerate(question.arms):
        try:
            recipe = recipe_of(question, named, (), seed=0)
            counted[arm], passes[arm] = _one_image(recipe, pool)
        except AffinageError as error:
            told.say(f"'{named.name}' was not measured: {error.problem}")
    times = _in_turns(passes, told)
    weighed = tuple(
        Weighed(
            arm=arm, weights=counted[arm], milliseconds=_spread(times[arm]),
            engine="torch, 1 thread",
        )
        for arm in passes
    )  # fmt: skip
    worker.save(with_front(question, said, weighed))


def second_round(worker: Worker) -> Question | None:
    """Return the question of the second round, at an equal budget of time for each; None for none."""
    said, question = worker.folder.answer(), worker.question
    arms = [arm for arm in (remaining(said) if said else ()) if _can_be_tuned(question, arm)]
    if len(arms) < 2:
        return None
    trials = len(arms) * REPEATS
    seconds = SECONDS if question.budget is None else max(30.0, question.budget / trials)
    names = ", ".join(question.arms[arm].name for arm in arms)
    fixed = [one for one in question.fixed if not one.startswith("stages")]
    return replace(
        question,
        question=f"Fine-tuned for {seconds:.0f} s each: which of {names}?",
        arms=tuple(question.arms[arm] for arm in arms),
        fixed=(*fixed, "stages=features,finetune", f"budget={seconds:.0f}", "compute.threads=1"),
        nuisance=(),
        repeats=REPEATS,
        bake_off=False,
        budget=None,
        search=None,
    )


def _can_be_tuned(question: Question, arm: int) -> bool:
    """Return whether a backbone has weights that can be fine-tuned."""
    fixed = [one for one in question.fixed if not one.startswith("stages")]
    try:
        asked = replace(question, fixed=(*fixed, "stages=features,finetune"))
        recipe_of(asked, question.arms[arm], (), seed=0)
    except AffinageError:
        return False
    return True


def begin_second_round(worker: Worker) -> StudyFolder | None:
    """Lay the folder of the second round down; None where nobody is left to compare."""
    folder = StudyFolder(worker.folder.path / FINETUNED)
    if folder.exists:
        return folder
    question = second_round(worker)
    if question is None:
        return None
    folder.begin(question, now())
    return folder


def tell_second_round(worker: Worker, folder: StudyFolder) -> None:
    """Add what the second round has found to the first one's answer."""
    said, other = worker.folder.answer(), folder.answer()
    assert said is not None
    if other is None:
        return
    told = f"Fine-tuned at equal time: {other.verdict}"
    worker.save(replace(said, verdict=f"{said.verdict} {told}", followed=folder.name))


def _one_image(recipe: Recipe, pool: Pool) -> tuple[int, Callable[[], None]]:
    """Return how many weights a backbone has, and a pass of one prepared image through it."""
    built = study_backbone(pool, recipe.model, seed=0)
    engine = replace(make_engine(recipe), threads=1, batch_size=1, name="torch")
    model = stack(built, classes=max(2, len(pool.data.classes))).to(engine.device)
    pixels: NDArray[np.uint8] = next(
        islice(prepared_batches(pool.items[:1], model.preprocessing, batch_size=1, threads=1), 1)
    )

    def run() -> None:
        features_of_pixels(model, pixels, engine)

    run()  # Warms up.
    return sum(parameter.numel() for parameter in model.backbone.parameters()), run


def _in_turns(passes: dict[int, Callable[[], None]], told: Reporter) -> dict[int, list[float]]:
    """Return milliseconds of single passes; backbones take turns, so that a busy moment hits all."""
    times: dict[int, list[float]] = {arm: [] for arm in passes}
    for number in range(RUNS):
        told.phase("latency of one image", number + 1, RUNS)
        for arm, run in passes.items():
            start = time.perf_counter()
            run()
            times[arm].append(1000 * (time.perf_counter() - start))
    return times


def _spread(times: list[float]) -> Estimate:
    """Return the median with the ends of the middle half."""
    low, middle, high = (float(x) for x in np.percentile(times, [25, 50, 75]))
    assert math.isfinite(middle)
    return Estimate(value=middle, low=low, high=high, n=len(times))
