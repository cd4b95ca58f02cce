"""`affinage recipes`."""

from typing import Annotated

import typer


def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print this recipe's YAML.")
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the recipes that come with Affinage, or print one to copy and change.

    Examples:
      affinage recipes

      affinage recipes cifar10-scratch > mine.yaml

      affinage train photos/ --recipe nearest-neighbour
    """
    from affinage.cli.console import show, show_json
    from affinage.workflows.recipes import list_recipes, shipped_recipe

    chosen = [shipped_recipe(name)] if name else list(list_recipes())
    if json:
        from affinage.records.plain import to_plain

        plain = [to_plain(one) for one in chosen]
        show_json({"format": 1, "command": "recipes", "recipes": plain})
        return
    if name:
        print(chosen[0].text, end="")
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("recipe", "what it is", "measured on the test part"):
        table.add_column(column, overflow="fold")
    for one in chosen:
        measured = "; ".join(
            f"{score.data}: {score.metric} {score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
            for score in one.expected
        )
        table.add_row(one.name, one.about, measured or "–")
    show(table)
