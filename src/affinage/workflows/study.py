"""The verb `study`: a question is asked, its trials are run, and the answer is written down."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affinage.errors import AffinageError, DataError, RunError
from affinage.records.question import Question
from affinage.records.study import StudyRecord
from affinage.store.study_folder import StudyFolder, studies_in
from affinage.studies.questions import akin, laid_over, question_from, same_question
from affinage.workflows.clock import parse_duration
from affinage.workflows.moment import now
from affinage.workflows.places import data_set_name
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.study_guard import interruptible
from affinage.workflows.study_recipes import check_question, heads_only, with_idle
from affinage.workflows.study_record import Study

STUDIES = "affinage-studies"
MOST_AKIN = 2
"""So many earlier studies on the same settings are named."""

FEW_REPEATS = 3
"""Of trials that fine-tune, where nobody says."""


def study(
    source: str | Path | Sequence[str | Path] | None = None,
    *,
    vary: Sequence[str] = (),
    add: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    nuisance: Sequence[str] = (),
    settings: Sequence[str] = (),
    recipe: str | Path | Mapping[str, Any] | None = None,
    metric: str | None = None,
    smallest: float | None = None,
    points: int | None = None,
    repeats: int | None = None,
    budget: str | float | None = None,
    folds: int | None = None,
    images: int | None = None,
    seed: int | None = None,
    question: str | None = None,
    why: str | None = None,
    expectation: str | None = None,
    data: str | Path | None = None,
    output: str | Path | None = None,
    bake_off: bool | None = None,
    search: str | None = None,
    search_points: int | None = None,
    fidelity: str | None = None,
    final: bool | None = None,
    trial_limit: str | float | None = None,
    trial_memory: float | None = None,
    again: bool = False,
    reporter: Reporter | None = None,
    file: str | Path | None = None,
) -> Study:
    """Ask a question about a recipe, run its trials, and return the study with its answer.

    Args:
        source: Folders or tables of images, as `train` takes them.
        vary: Scientific settings, `KEY=a,b`: their combinations are compared with the first.
        add: Steps of a ladder, each `KEY=VALUE`: each is compared with the step before.
        leave_out: Steps of an ablation: all together is compared with all but each.
        nuisance: Tuned anew for each of these, at equal budget: `KEY=low..high` or `KEY=a,b`.
        settings: `KEY=VALUE` that hold for every trial.
        recipe: What trials start from, as `train` takes it.
        metric: `accuracy`, `log_loss`, `label_accuracy` or `mae`; the task's first by default.
        smallest: Smallest difference that matters, in the metric's unit (0.01 is a point of accuracy).
        points: Nuisance settings for each arm; 16 by default.
        repeats: Most fresh seeds for each arm; 10 by default, 3 where trials fine-tune.
        budget: Time that trials may take, such as `10m`.
        folds: Parts held out in turn where only heads are fitted; 5 by default.
        images: Use at most so many images.
        seed: Of the design and of all trials.
        question: In words.
        why: Why it is asked.
        expectation: What you expect to see.
        data: The data set's folder.
        output: The study's folder; `affinage-studies/NAME-1`, … by default.
        bake_off: `vary` names backbones: measure their size and latency too, name the Pareto front, and
            fine-tune those that lie on it, at equal time.
        search: After the comparison, look for the best settings of the leading arm: `tpe`, `gp`, `asha` or
            `hyperband`.
        search_points: Settings that the search tries; 24 by default.
        fidelity: What the cheaper tries of `asha` and `hyperband` have less of: `images`, `epochs` or
            `resolution`; epochs by default where trials fine-tune.
        final: Train the best on train and validation, and look at the test part, once.
        trial_limit: A trial that takes longer is stopped, such as `10m`; ten times the pilot's by default.
        trial_memory: A trial that holds more GiB is stopped; nine tenths of the free memory by
            default, and 2 at least.
        again: Ask it although the same question was answered before.
        reporter: Told of progress.
        file: A YAML file with these words as keys; what is given beside it wins.

    Raises:
        AffinageError: If the question cannot be asked of these images.
    """
    given: dict[str, Any] = {
        "source": source, "vary": vary, "add": add, "leave_out": leave_out, "nuisance": nuisance,
        "set": settings, "recipe": recipe, "metric": metric, "smallest": smallest, "points": points,
        "repeats": repeats, "budget": budget, "folds": folds, "images": images, "seed": seed,
        "question": question, "why": why, "expectation": expectation, "data": data, "search": search,
        "search_points": search_points, "fidelity": fidelity, "final": final, "bake_off": bake_off,
        "trial_limit": trial_limit, "trial_memory": trial_memory,
    }  # fmt: skip
    asked = _question(laid_over(given, Path(file) if file is not None else None), file=file)
    check_question(asked)
    asked, told = with_idle(asked), reporter or Lines()
    earlier = _answered_before(asked)
    if earlier is not None and not again:
        told.say(f"asked before, {earlier.asked()[:10]}: '{earlier.name}'. To run it anew: --again")
        return Study(earlier.path)
    for one in _akin(asked):
        said = one.answer()
        assert said is not None
        told.say(f"akin, {one.asked()[:10]}, '{one.name}': {said.verdict}")
    folder = StudyFolder(Path(output) if output is not None else _default_folder(asked))
    folder.begin(asked, now())
    told.say("loading torch")
    with interruptible(folder.path, told):
        from affinage.workflows.study_work import study_work  # noqa: PLC0415 - loads torch: mistakes are told before.

    with _without_trace_of_mistakes(folder):
        return study_work(folder.path, reporter=told)


def list_studies(words: str = "", *, folder: str | Path | None = None) -> list[StudyRecord]:
    """Return the studies that were asked here, the latest first, whose text has all these words.

    Args:
        words: Looked for in question, why, expectation, settings and verdict, in any case.
        folder: Where studies lie; `affinage-studies` here by default.
    """
    found = []
    for one in _readable(Path(folder) if folder is not None else Path(STUDIES)):
        question, said = one.question(), one.answer()
        text = " ".join(
            [one.name, repr(question), said.verdict if said is not None else ""]
        ).lower()
        if all(word in text for word in words.lower().split()):
            found.append(
                StudyRecord(
                    name=one.name, asked=one.asked(), question=question, design=(), images=None,
                    announced=one.announced(), trials=(), answer=said,
                )
            )  # fmt: skip
    return found


def _question(laid: dict[str, Any], *, file: str | Path | None) -> Question:
    """Return the question of what was given; what follows from other settings is filled in.

    Raises:
        DataError: If a source is not there: said before torch is loaded.
    """
    recipe = resolve_recipe(laid.get("recipe"), laid.get("set", ()))
    start = resolve_recipe(laid.get("recipe"))
    for key in ("budget", "trial_limit"):
        if key in laid:
            laid[key] = parse_duration(laid[key])
    question = question_from(
        laid, recipe=start.model_dump(mode="json", exclude_unset=True), task=recipe.task
    )
    missing = next((source for source in question.sources if not Path(source).exists()), None)
    if missing is not None:
        raise DataError(
            f"'{missing}' does not exist.",
            remedy="Check the path; one in a file counts from where you are. Other images may be named after "
            "it: affinage study run FILE IMAGES"
            if file is not None
            else "Check the path.",
        )
    if "repeats" not in laid and not heads_only(question):
        question = replace(question, repeats=FEW_REPEATS)
    if question.search is not None and "fidelity" not in laid and not heads_only(question):
        question = replace(question, search=replace(question.search, fidelity="epochs"))
    return question


def _readable(folder: Path) -> Iterator[StudyFolder]:
    """Yield the studies that can be read, the latest first: a damaged one is no reason to stop."""
    for one in studies_in(folder):
        with contextlib.suppress(RunError):
            _ = one.question(), one.answer(), one.announced()
            yield one


def _answered_before(question: Question) -> StudyFolder | None:
    for one in _readable(Path(STUDIES)):
        said = one.answer()
        if said is not None and said.finished and same_question(one.question(), question):
            return one
    return None


def _akin(question: Question) -> list[StudyFolder]:
    """Return the latest studies that have answered another question on the same settings and images."""
    found = [
        one
        for one in _readable(Path(STUDIES))
        if (said := one.answer()) is not None and said.finished and akin(one.question(), question)
    ]
    return found[:MOST_AKIN]


def _default_folder(question: Question) -> Path:
    return new_folder(data_set_name([Path(source) for source in question.sources]))


def new_folder(name: str) -> Path:
    """Return the first folder of studies of this name that is not there yet."""
    number = 1
    while (Path(STUDIES) / f"{name}-{number}").exists():
        number += 1
    return Path(STUDIES) / f"{name}-{number}"


@contextlib.contextmanager
def _without_trace_of_mistakes(folder: StudyFolder) -> Iterator[None]:
    """Remove the study's folder where its images cannot be used: there is nothing to go on with."""
    try:
        yield
    except AffinageError:
        if not folder.begun:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
