"""The options of `affinage study`."""

from pathlib import Path
from typing import Annotated

import typer

from affinage.cli.recipe_options import recipe_option, set_option

_QUESTION, _DESIGN, _SEARCH, _PLACES = "The question", "The design", "The search", "Places"

Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=A,B",
        rich_help_panel=_QUESTION,
        show_default=False,
        help="A scientific setting: its values are compared with the first. Several are combined. "
        "Also images_per_class=5,10,20.",
    ),
]

Add = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        rich_help_panel=_QUESTION,
        show_default=False,
        help="A step of a ladder, compared with the step before; repeatable.",
    ),
]

LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        rich_help_panel=_QUESTION,
        show_default=False,
        help="A step of an ablation: all of them are compared with all but each; repeatable.",
    ),
]

Nuisance = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=LOW..HIGH",
        rich_help_panel=_QUESTION,
        show_default=False,
        help="Tuned anew for each, at equal budget: a range, or KEY=a,b; repeatable.",
    ),
]

Setting = Annotated[
    list[str] | None,
    set_option("finetune.epochs=3", more="It holds for every trial.", panel=_QUESTION),
]

Recipe = Annotated[Path | None, recipe_option("What trials start from", panel=_QUESTION)]

Question = Annotated[
    str | None, typer.Option(rich_help_panel=_QUESTION, help="The question in words.")
]

Why = Annotated[str | None, typer.Option(rich_help_panel=_QUESTION, help="Why you ask.")]

Expect = Annotated[
    str | None, typer.Option(rich_help_panel=_QUESTION, help="What you expect to see.")
]

Metric = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_DESIGN,
        show_default=False,
        help="accuracy, log_loss, label_accuracy or mae. Default: the task's first.",
    ),
]

Smallest = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_DESIGN,
        show_default=False,
        help="Smallest difference that matters, such as 0.01 (one point of accuracy). Default: the "
        "smallest that this study can detect.",
    ),
]

Points = Annotated[
    int | None,
    typer.Option(rich_help_panel=_DESIGN, help="Nuisance settings for each. Default: 16."),
]

Repeats = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=_DESIGN,
        help="Most fresh seeds for each. Default: 10; 3 where trials fine-tune.",
    ),
]

Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        rich_help_panel=_DESIGN,
        show_default=False,
        help="Time that trials may take, such as 10m.",
    ),
]

Folds = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=_DESIGN,
        help="Parts held out in turn where only heads are fitted. Default: 5.",
    ),
]

Images = Annotated[
    int | None,
    typer.Option(rich_help_panel=_DESIGN, help="Use at most so many images.", show_default=False),
]

Seed = Annotated[
    int | None,
    typer.Option(rich_help_panel=_DESIGN, help="Of the design and all trials. Default: 0."),
]

BakeOff = Annotated[
    bool,
    typer.Option(
        "--bake-off",
        rich_help_panel=_QUESTION,
        help="--vary model.backbone=A,B names backbones: measure size and latency too, name the Pareto "
        "front, and fine-tune those on it, at equal time.",
    ),
]

Search = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        rich_help_panel=_SEARCH,
        show_default=False,
        help="After the comparison, search for the best settings of what leads, around the best of "
        "exploration: tpe, gp, asha or hyperband.",
    ),
]

SearchPoints = Annotated[
    int | None,
    typer.Option(rich_help_panel=_SEARCH, help="Settings that it tries. Default: 24."),
]

Fidelity = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_SEARCH,
        show_default=False,
        help="What the cheaper tries of asha and hyperband have less of: images, epochs or resolution.",
    ),
]

Final = Annotated[
    bool,
    typer.Option(
        "--final",
        rich_help_panel=_SEARCH,
        help="Train the best on train and validation, and look at the test part, once.",
    ),
]

TrialLimit = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        rich_help_panel=_DESIGN,
        show_default=False,
        help="A trial that takes longer is stopped. Default: ten times the pilot's.",
    ),
]

TrialMemory = Annotated[
    float | None,
    typer.Option(
        metavar="GIB",
        rich_help_panel=_DESIGN,
        show_default=False,
        help="A trial that holds more memory is stopped. Default: nine tenths of what is free, 2 at least.",
    ),
]

Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Ask although the same question was answered before; for work: run trials that failed again.",
    ),
]

Data = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_PLACES, help="The data set's folder.", show_default=False),
]

Output = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_PLACES,
        show_default=False,
        help="The study's folder. Default: affinage-studies/NAME-1, -2, … here.",
    ),
]
