"""`affinage exclude`."""

from pathlib import Path
from typing import Annotated

import typer


def exclude(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set's folder.")],
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE", help="A rule, such as domain=example.org; repeatable."
        ),
    ] = None,
    finding: Annotated[
        str | None, typer.Option(metavar="CODE", help="The images of a finding of the last audit.")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="ID|PATH", help="An image by its id or its path; repeatable."),
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with the decision.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be taken out.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Leave images out of a data set, and show what that takes from each class.

    Nothing is deleted, and your own folder is only read: the decision is entered in the data set's
    log, and affinage include takes it back. A rule holds for images that are collected later too.

    Examples:
      affinage exclude affinage-data/fungi --where domain=data.huh.example --reason envelopes

      affinage exclude affinage-data/fungi --finding off-topic --dry-run
    """
    from functools import partial

    import affinage
    from affinage.cli.deciding import run

    run(
        "exclude",
        partial(
            affinage.exclude,
            data,
            where=where or (),
            finding=finding,
            images=image or (),
            reason=reason,
        ),
        data,
        dry_run=dry_run, yes=yes, json=json,
    )  # fmt: skip
