"""`affinage layers`."""

from pathlib import Path
from typing import Annotated

import typer

from affinage.cli.recipe_options import set_option


def layers(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe in YAML, a shipped recipe's name, or a run's folder.",
            show_default=False,
        ),
    ] = None,
    *,
    setting: Annotated[list[str] | None, set_option("model.backbone=three_conv")] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Classes of the head. Default: the run's, else 10.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="A row for each layer, also in deep networks.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Show the layers of a recipe's network: outputs, weights, costs, what they see, how they learn.

    Reads no image and fetches no weights.

    Examples:
      affinage layers

      affinage layers --set model.backbone=mini_xception --set model.mini_xception.modules=2
    """
    from affinage.cli.console import show, show_json
    from affinage.workflows.recipes import resolve_recipe

    if recipe is None or not recipe.is_dir():
        resolve_recipe(recipe, setting or ())  # A mistake is told before torch is loaded.
    import affinage

    table = affinage.layers(recipe, settings=setting or (), classes=classes)
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "layers", **to_plain(table)})
        return
    from affinage.reporting.layer_table import layer_report
    from affinage.reporting.terminal import to_terminal

    show(to_terminal(layer_report(table, every=every), width=80, full=True))
