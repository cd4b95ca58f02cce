"""`affinage relabel`."""

from pathlib import Path
from typing import Annotated

import typer


def relabel(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set's folder.")],
    *,
    label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="The new label of what is named.")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="ID|PATH", help="An image by its id or its path; repeatable."),
    ] = None,
    finding: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="A finding; without --label, its own suggestions."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="A rule, such as label=old; repeatable."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A table with image or path, and label."),
    ] = None,
    new_class: Annotated[
        bool, typer.Option("--new-class", help="Allow labels that are no class yet.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with the decision.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Give images another label; your own files are not touched.

    Examples:
      affinage relabel affinage-data/fungi --image train/bufo/12.jpg --label muscaria

      affinage relabel affinage-data/fungi --finding wrong-labels

      affinage relabel affinage-data/fungi --table checked.csv
    """
    from functools import partial

    import affinage
    from affinage.cli.deciding import run

    run(
        "relabel",
        partial(
            affinage.relabel,
            data,
            label=label,
            where=where or (),
            finding=finding,
            images=image or (),
            table=table,
            new_class=new_class,
            reason=reason,
        ),
        data,
        dry_run=dry_run, yes=yes, json=json,
    )  # fmt: skip
