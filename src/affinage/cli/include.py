"""`affinage include`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affinage.records.decision import NumberedDecision


def include(
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
    last: Annotated[
        bool, typer.Option("--last", help="Take back the last decision, whatever it was.")
    ] = False,
    number: Annotated[
        int | None, typer.Option(metavar="N", help="Take back decision N of the log.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the log of decisions.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with the decision.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would come back.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Take back images that were left out, or a whole decision.

    Examples:
      affinage include affinage-data/fungi --last

      affinage include affinage-data/fungi --where domain=data.huh.example

      affinage include affinage-data/fungi --list
    """
    from functools import partial

    import affinage
    from affinage.cli.deciding import run
    from affinage.cli.pasting import remedies_pasted

    if list_:
        with remedies_pasted(data):
            entries = affinage.decisions(data)
        _show_log(entries, json=json)
        return
    run(
        "include",
        partial(
            affinage.include,
            data,
            where=where or (),
            finding=finding,
            images=image or (),
            last=last,
            number=number,
            reason=reason,
        ),
        data,
        dry_run=dry_run, yes=yes, json=json,
    )  # fmt: skip


def _show_log(entries: "list[NumberedDecision]", *, json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from affinage.cli.console import show, show_json
    from affinage.reporting.words import one_line

    if json:
        from affinage.records.plain import to_plain

        log = [to_plain(one) for one in entries]
        show_json({"format": 1, "command": "include", "decisions": log})
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("number", "at", "by", "decision", "of", "images", "reason"):
        right = column in ("number", "images")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for one in entries:
        made = one.decision
        what = " and ".join(made.where) or (made.finding and f"finding {made.finding}") or ""
        what = f"decision {made.undoes}" if made.undoes else what
        struck = len(made.images) or len(made.labels)
        cells = [str(one.number), made.at[:16].replace("T", " "), made.by, made.action, what]
        cells += [f"{struck:,}" if struck else "", made.reason]
        table.add_row(
            *(Text(one_line(cell)) for cell in cells), style=None if one.stands else "dim strike"
        )
    show(table if entries else "No decision has been made.")
