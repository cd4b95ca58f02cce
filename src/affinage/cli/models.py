"""`affinage models`."""

from typing import Annotated

import typer

_MEANINGS = {
    "package": "offline (package)",
    "cache": "offline (cache)",
    "install": "pip install",
    "hub": "hub",
    "random only": "random weights only",
}


def models(
    pattern: Annotated[
        str,
        typer.Argument(metavar="PATTERN", help="Part of a name, or a pattern such as '*vit*'."),
    ] = "",
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the backbones that can be used, those that work offline now first.

    Without a pattern, only those with weights on this machine or in a package are shown.

    Examples:
      affinage models

      affinage models mobilenetv3
    """
    import affinage
    from affinage.cli.console import show, show_json

    entries = affinage.list_models(pattern or "*")
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "models", "models": [to_plain(one) for one in entries]})
        return
    from rich.table import Table

    shown = (
        entries
        if pattern
        else [one for one in entries if one.available in ("package", "cache", "install")]
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("backbone", "weights", "parameters", "input", "licence"):
        table.add_column(column, justify="right" if column in ("parameters", "input") else "left")
    for one in shown:
        millions = f"{one.parameters / 1e6:.1f} M" if one.parameters else "–"
        mark = " (default)" if one.default else ""
        table.add_row(
            one.name + mark,
            _MEANINGS[one.available],
            millions,
            f"{one.width} × {one.height}",
            one.licence,
        )
    show(table)
    if not shown:
        show("No backbone has such a name; try a shorter part of it.")
    elif not pattern:
        once = sum(one.available == "hub" for one in entries)
        without = len(entries) - len(shown) - once
        show(
            f"\n{once:,} more need the network once, {without:,} have random weights only:"
            " affinage models PATTERN"
        )
