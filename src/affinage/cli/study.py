"""`affinage study`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affinage.records.study import StudyRecord
    from affinage.workflows.study import Study

_QUESTION, _DESIGN, _SEARCH, _PLACES = "The question", "The design", "The search", "Places"


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
            help="ask: images as `train` takes them. run: a YAML file. work, show: a study's folder. "
            "import: a CSV, or Optuna's storage. list: words to look for.",
            show_default=False,
        ),
    ] = None,
    *,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B",
            rich_help_panel=_QUESTION,
            show_default=False,
            help="A scientific setting: its values are compared with the first. Several are combined. "
            "Also images_per_class=5,10,20.",
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            rich_help_panel=_QUESTION,
            show_default=False,
            help="A step of a ladder, compared with the step before; repeatable.",
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            rich_help_panel=_QUESTION,
            show_default=False,
            help="A step of an ablation: all of them are compared with all but each; repeatable.",
        ),
    ] = None,
    nuisance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=LOW..HIGH",
            rich_help_panel=_QUESTION,
            show_default=False,
            help="Tuned anew for each, at equal budget: a range, or KEY=a,b; repeatable.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            rich_help_panel=_QUESTION,
            show_default=False,
            help="A setting of every trial; repeatable.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_QUESTION,
            show_default=False,
            help="What trials start from: a recipe in YAML, or the name of a shipped one.",
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(rich_help_panel=_QUESTION, help="The question in words.")
    ] = None,
    why: Annotated[str | None, typer.Option(rich_help_panel=_QUESTION, help="Why you ask.")] = None,
    expect: Annotated[
        str | None, typer.Option(rich_help_panel=_QUESTION, help="What you expect to see.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_DESIGN,
            show_default=False,
            help="accuracy, log_loss, label_accuracy or mae. Default: the task's first.",
        ),
    ] = None,
    smallest: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=_DESIGN,
            show_default=False,
            help="Smallest difference that matters, such as 0.01 (one point of accuracy). Default: the "
            "smallest that this study can detect.",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(rich_help_panel=_DESIGN, help="Nuisance settings for each. Default: 16."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_DESIGN,
            help="Most fresh seeds for each. Default: 10; 3 where trials fine-tune.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            rich_help_panel=_DESIGN,
            show_default=False,
            help="Time that trials may take, such as 10m.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_DESIGN,
            help="Parts held out in turn where only heads are fitted. Default: 5.",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_DESIGN, help="Use at most so many images.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(rich_help_panel=_DESIGN, help="Of the design and all trials. Default: 0."),
    ] = None,
    bake_off: Annotated[
        bool,
        typer.Option(
            "--bake-off",
            rich_help_panel=_QUESTION,
            help="--vary model.backbone=A,B names backbones: measure size and latency too, name the Pareto "
            "front, and fine-tune those on it, at equal time.",
        ),
    ] = False,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            rich_help_panel=_SEARCH,
            show_default=False,
            help="After the comparison, search for the best settings of what leads, around the best of "
            "exploration: tpe, gp, asha or hyperband.",
        ),
    ] = None,
    search_points: Annotated[
        int | None,
        typer.Option(rich_help_panel=_SEARCH, help="Settings that it tries. Default: 24."),
    ] = None,
    fidelity: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_SEARCH,
            show_default=False,
            help="What the cheaper tries of asha and hyperband have less of: images, epochs or resolution.",
        ),
    ] = None,
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            rich_help_panel=_SEARCH,
            help="Train the best on train and validation, and look at the test part, once.",
        ),
    ] = False,
    trial_limit: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            rich_help_panel=_DESIGN,
            show_default=False,
            help="A trial that takes longer is stopped. Default: ten times the pilot's.",
        ),
    ] = None,
    trial_memory: Annotated[
        float | None,
        typer.Option(
            metavar="GIB",
            rich_help_panel=_DESIGN,
            show_default=False,
            help="A trial that holds more memory is stopped. Default: nine tenths of what is free.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask although the same question was answered before.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(rich_help_panel=_PLACES, help="The data set's folder.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=_PLACES,
            show_default=False,
            help="The study's folder. Default: affinage-studies/NAME-1, -2, … here.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output.")
    ] = False,
) -> None:
    """Ask a question about a recipe, and get an effect with its uncertainty.

    What is varied is compared on the same images and seeds, with nuisance settings tuned anew for each.
    The difference that can be found is said before the budget is spent; the study stops when its
    answer is in. The test part is never looked at.

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
                _only(subjects, "a CSV or an Optuna storage"), vary=vary or (), metric=metric,
                smallest=smallest, question=question, why=why, expectation=expect, output=output,
                reporter=told,
            )  # fmt: skip
        elif action is Action.WORK:
            done = affinage.study_work(_only(subjects, "a study's folder"), reporter=told)
        else:
            file = _only(subjects, "a YAML file") if action is Action.RUN else None
            done = affinage.study(
                None if file else subjects, file=file, vary=vary or (), add=add or (),
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
