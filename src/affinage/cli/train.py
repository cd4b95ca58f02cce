"""`affinage train`."""

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from affinage.cli.recipe_options import recipe_option, set_option
from affinage.cli.started import STARTED
from affinage.errors import AffinageError, ImageError

_RECIPE = "The recipe"
_PLACES = "Places"


def train(
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE",
            help="A folder per class; or train/, val/, test/ with these; or a CSV, TSV or Parquet "
            "table with path,label[,split]; or several of them.",
            show_default=False,
        ),
    ] = None,
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The data set's folder: manifest, splits, cached features, ledger of looks at the "
            "test part. Default: affinage-data/NAME here.",
            rich_help_panel=_PLACES,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The run's folder. Default: affinage-runs/NAME-1, -2, … here.",
            rich_help_panel=_PLACES,
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with an interrupted run; it ends with the same numbers.",
            rich_help_panel=_PLACES,
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Go on from a trained model with more data, other settings or more classes.",
            rich_help_panel=_RECIPE,
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What is predicted: classify (one label), multilabel (any number of labels), or count "
            "(how many of each class). Default: classify.",
            rich_help_panel=_RECIPE,
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the table (slide, patient, domain) whose values must not straddle parts.",
            rich_help_panel=_RECIPE,
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[Path | None, recipe_option(panel=_RECIPE)] = None,
    setting: Annotated[
        list[str] | None, set_option("optimizer.lr=3e-4", more="See --settings.", panel=_RECIPE)
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            help="features (seconds: a head on the frozen backbone), finetune, or both: "
            "features,finetune. Default: both; validation decides which is kept.",
            rich_help_panel=_RECIPE,
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time that the whole may take, such as 90s or 10m: the best model so far is kept.",
            rich_help_panel=_RECIPE,
            show_default=False,
        ),
    ] = None,
    goal: Annotated[
        str | None,
        typer.Option(
            metavar="GOAL",
            help='Declared beforehand, answered at the end: "accuracy >= 0.95".',
            rich_help_panel=_RECIPE,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of every random number. Default: 0.", rich_help_panel=_RECIPE),
    ] = None,
    closed_set: Annotated[
        bool,
        typer.Option(
            "--closed-set",
            help="Validation is the training images, on purpose: recognise exactly these. Scores "
            "are then labelled as memory tests.",
            rich_help_panel=_RECIPE,
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Train with settings that contradict each other; the run is marked.",
            rich_help_panel=_RECIPE,
        ),
    ] = False,
    mlflow: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Tell MLflow too: a server such as http://127.0.0.1:5000, or sqlite:///mlflow.db.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print every setting of a recipe, then end.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON on standard output.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="SEVERITY",
            help="Exit with 1 where there is a finding of at least this severity: warning or "
            "blocking; or `goal`, where the goal is not met.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train a model on a folder of images, and write an honest report.

    Scans, splits without leaks, fits a head on the frozen backbone's features, fine-tunes, keeps what
    validation prefers, measures the test part once, and prints where things are.

    Examples:
      affinage train photos/

      affinage train cells.csv --group slide --goal "accuracy >= 0.95"

      affinage train photos/ --stages features --budget 1m
    """
    from affinage.cli.console import reporter, show, show_json
    from affinage.cli.severity import check_fail_on, exit_on

    if settings:
        from affinage.cli.settings import settings_listing

        show(settings_listing())
        return
    check_fail_on(fail_on, goal=True)
    if resume is None:
        from affinage.workflows.recipes import resolve_recipe

        resolve_recipe(
            recipe,
            setting or (),
            {
                "task": task,
                "budget": budget,
                "stages": stages,
                "goal": goal,
                "seed": seed,
                "force": force or None,
            },
        )  # A mistake is told before torch is loaded.
    with reporter() as told, _interruptible(resume) as begun:
        told.say("loading torch")
        import affinage

        run = affinage.train(
            [*(source or [])] or None,
            data=data,
            output=output,
            recipe=recipe,
            settings=setting or (),
            task=task,
            group=group,
            stages=stages,
            budget=budget,
            goal=goal,
            seed=seed,
            closed_set=closed_set or None,
            force=force or None,
            start=start,
            resume=resume,
            mlflow=mlflow,
            reporter=told,
            started=STARTED,
            on_begin=begun.append,
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and int(os.environ.get("RANK", "0")) > 0:
        return  # The first of several processes speaks for all.
    record = run.record
    if json:
        from affinage.workflows.show import show_json as as_json

        show_json(as_json(record, command="train"))
    else:
        from affinage.cli.results import show_results

        show_results(run, record, again=True)
    exit_on(fail_on, record)


def _interrupt(number: int, frame: object) -> None:
    """End on SIGTERM (a batch system's, a shutdown's) as on Ctrl-C: told how to go on."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def _interruptible(resume: Path | None) -> Iterator[list[Path]]:
    """On Ctrl-C, say how to go on, and end with 130; also where the disk is full or an image is gone."""
    begun: list[Path] = []
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield begun
    except AffinageError as error:
        run = resume or (begun[0] if begun else None)
        if run is not None and "--resume RUN" in error.remedy:
            error.remedy = (
                f"Free some room, then go on: affinage train --resume {shlex.quote(str(run))}. "
                "Nothing was damaged."
            )
        elif run is not None and isinstance(error, ImageError):
            error.remedy += (
                f" Once it is as it was, go on: affinage train --resume {shlex.quote(str(run))}"
            )
        raise
    except KeyboardInterrupt:
        run = resume or (begun[0] if begun else None)
        print("\nInterrupted.", file=sys.stderr)
        if run is not None:
            print(f"  → Go on: affinage train --resume {shlex.quote(str(run))}", file=sys.stderr)
        else:
            print("  → Nothing was written yet: give the same command again.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(130)  # At once: threads that decode ahead need not finish.
