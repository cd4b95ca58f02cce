"""`affinage augmentations`."""

from pathlib import Path
from typing import Annotated

import typer

from affinage.cli.recipe_options import recipe_option, set_option


def augmentations(
    source: Annotated[
        list[Path], typer.Argument(metavar="SOURCE", help="Images, as for `affinage train`.")
    ],
    *,
    recipe: Annotated[Path | None, recipe_option()] = None,
    setting: Annotated[list[str] | None, set_option("augment.rotation=20")] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="A run whose features judge, on images that it has not learnt from. Default: the frozen "
            "backbone's.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The data set's folder.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="Images to try, 30 to 400.")] = 240,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page. [augmentations.html in DATA]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show what training images look like, and try which changes keep their label.

    A flipped 2 is no 2 any more, and a turned 6 is a 9: each change is tried on your own images.

    Examples:
      affinage augmentations photos/

      affinage augmentations photos/ --set augment.rotation=20
    """
    from affinage.cli.console import reporter, show, show_json

    if recipe is not None or setting:
        from affinage.workflows.recipes import resolve_recipe

        resolve_recipe(recipe, setting or ())  # A mistake is told before torch is loaded.
    with reporter() as told:
        import affinage

        result = affinage.augmentations(
            source, recipe=recipe, settings=setting or (), run=run, data=data, n=count, into=into,
            reporter=told,
        )  # fmt: skip
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "augmentations", **to_plain(result)})
        return
    from rich.table import Table
    from rich.text import Text

    from affinage.reporting.augmentation_report import points, turns

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("change", "verdict", "cost, points", "mixed up"):
        table.add_column(column, justify="right" if column.startswith("cost") else "left")
    for trial in result.trials:
        style = {"mixes classes up": "bold red", "keeps the label": "green"}.get(trial.verdict, "")
        table.add_row(
            Text(trial.change), Text(trial.verdict, style=style), Text(points(trial)),
            Text(turns(trial, most=2)),
        )  # fmt: skip
    if result.trials:
        show(Text(f"Judged by {result.judge} on {result.images:,} images."))
        show(Text("What does it cost, on images as they are, to teach the change?"))
        show(table)
    else:
        show(Text("No change was tried: that takes images with one label each."))
    show(Text(f"The sheet: {result.sheet}"))
