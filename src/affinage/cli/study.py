"""`affinage study`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affinage.cli import study_options as options

if TYPE_CHECKING:
    from affinage.records.study import StudyRecord
    from affinage.workflows.study_record import Study


class Action(StrEnum):
    """What to do."""

    ASK = "ask"
    RUN = "run"
    WORK = "work"
    SHOW = "show"
    IMPORT = "import"
    LIST = "list"


def study(
    action: Annotated[
        Action,
        typer.Argument(
            help="ask: a question on these images. run: the question in a YAML file. work: help with, or go "
            "on with, a study. show: its page on the terminal. import: judge past results. "
            "list: the questions asked here."
        ),
    ],
    subject: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUBJECT",
            help="ask: images as `train` takes them. run: a YAML file, and images in "
            "place of those that it names. work, show: a study's folder. "
            "import: a CSV, or Optuna's storage. list: words to look for.",
            show_default=False,
        ),
    ] = None,
    *,
    vary: options.Vary = None,
    add: options.Add = None,
    leave_out: options.LeaveOut = None,
    nuisance: options.Nuisance = None,
    setting: options.Setting = None,
    recipe: options.Recipe = None,
    question: options.Question = None,
    why: options.Why = None,
    expect: options.Expect = None,
    metric: options.Metric = None,
    smallest: options.Smallest = None,
    points: options.Points = None,
    repeats: options.Repeats = None,
    budget: options.Budget = None,
    folds: options.Folds = None,
    images: options.Images = None,
    seed: options.Seed = None,
    bake_off: options.BakeOff = False,
    search: options.Search = None,
    search_points: options.SearchPoints = None,
    fidelity: options.Fidelity = None,
    final: options.Final = False,
    trial_limit: options.TrialLimit = None,
    trial_memory: options.TrialMemory = None,
    again: options.Again = False,
    data: options.Data = None,
    output: options.Output = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output.")
    ] = False,
) -> None:
    """Ask a question about a recipe, and get an effect with its uncertainty.

    What is varied is compared on the same images and seeds, with nuisance settings tuned anew for each.
    The difference that can be found is said before the budget is spent; the study stops when its
    answer is in. The test part is never looked at, but by --final, once.

    Examples:
      affinage study ask photos/ --vary features.head=logistic,nearest

      affinage study ask photos/ --vary finetune.batchnorm=frozen,adapt --nuisance optimizer.lr=1e-5..1e-2
      --budget 30m

      affinage study list batchnorm
    """  # fmt: skip
    import affinage
    from affinage.cli.console import reporter, show_json
    from affinage.records.plain import to_plain

    subjects = subject or []
    if action is Action.LIST:
        _list(affinage.list_studies(" ".join(subjects), folder=output), json=json)
        return
    with reporter() as told:
        if action is Action.SHOW:
            done = affinage.Study(_only(subjects, "a study's folder"))
        elif action is Action.IMPORT:
            done = affinage.study_import(
                _only(subjects, "a CSV or an Optuna storage"), vary=vary or (),
                nuisance=nuisance or (), metric=metric,
                smallest=smallest, question=question, why=why, expectation=expect, output=output,
                reporter=told,
            )  # fmt: skip
        elif action is Action.WORK:
            waiting = affinage.Study(_only(subjects, "a study's folder"))
            told.say(f"loading torch, for: {waiting.question.question}")
            done = affinage.study_work(waiting.path, again=again, reporter=told)
        else:
            file = _only(subjects[:1], "a YAML file") if action is Action.RUN else None
            done = affinage.study(
                subjects[1:] if file else subjects, file=file, vary=vary or (), add=add or (),
                leave_out=leave_out or (), nuisance=nuisance or (), settings=setting or (),
                recipe=recipe, metric=metric, smallest=smallest, points=points, repeats=repeats,
                budget=budget, folds=folds, images=images, seed=seed, question=question, why=why,
                expectation=expect, data=data, output=output, again=again, reporter=told, search=search,
                bake_off=bake_off or None,
                search_points=search_points, fidelity=fidelity, final=final or None,
                trial_limit=trial_limit, trial_memory=trial_memory,
            )  # fmt: skip
    if json:
        show_json({"format": 1, "command": "study", **to_plain(done.record)})
    else:
        _show(done, full=action is Action.SHOW)


def _only(subjects: list[str], what: str) -> Path:
    """Return the one subject.

    Raises:
        RecipeError: If there is none, or several.
    """
    from affinage.errors import RecipeError

    if len(subjects) != 1:
        raise RecipeError(
            f"This needs {what}, and got {len(subjects)}.", remedy="See: affinage study --help"
        )
    return Path(subjects[0])


def _show(done: "Study", *, full: bool) -> None:
    from affinage.cli.console import show
    from affinage.reporting.terminal import to_terminal

    show(to_terminal(done.report, full=full))
    if not full and done.answer is not None:
        for one in done.answer.differences:
            show(f"  {one.sentence}")
        show(f"  next: {done.answer.next_question}")
    show(f"\n{done.page}")


def _list(found: "list[StudyRecord]", *, json: bool) -> None:
    from affinage.cli.console import show, show_json
    from affinage.records.plain import to_plain

    if json:
        show_json({"format": 1, "command": "study", "studies": [to_plain(one) for one in found]})
        return
    for one in found:
        show(f"{one.asked[:10]}  {one.name}  {one.question.question}")
        show(f"    {one.answer.verdict if one.answer is not None else 'No answer yet.'}")
    if not found:
        show("No such question was asked here.")
