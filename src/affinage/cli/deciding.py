"""What the commands that decide print: each class before and after, and how to go back."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from affinage.records.decision import DecisionResult

_DONE = {
    "exclude": "taken out",
    "include": "brought back or changed back",
    "relabel": "labelled anew",
}


def run(
    command: str,
    call: "Callable[..., DecisionResult]",
    data: Path,
    *,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    """Show what a decision changes, then make it; at a terminal, ask in between.

    Args:
        command: Name of the verb.
        call: The verb with all its arguments but `dry_run`.
        data: The data set as the user named it.
        dry_run: Stop after showing.
        yes: Do not ask.
        json: Print the result as JSON, and do not ask.
    """
    from affinage.cli.pasting import remedies_pasted

    if not (dry_run or yes or json) and sys.stdin.isatty() and sys.stdout.isatty():
        with remedies_pasted(data):
            shown = call(dry_run=True)
        show_result(command, shown, data, dry_run=True)
        if not shown.rows or not typer.confirm("Do it?"):
            return
    with remedies_pasted(data):
        result = call(dry_run=dry_run)
    if json:
        from affinage.cli.console import show_json
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": command, **to_plain(result)})
        return
    show_result(command, result, data, dry_run=dry_run)


def show_result(command: str, result: "DecisionResult", data: Path, *, dry_run: bool) -> None:
    """Print the classes before and after a decision, what to know, and how to take it back."""
    from rich.table import Table
    from rich.text import Text

    from affinage.cli.console import show
    from affinage.reporting.words import label, one_line

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("class", "before", "after", "change"):
        table.add_column(column, justify="left" if column == "class" else "right", overflow="fold")
    changed = [one for one in result.classes if one.before != one.after]
    for one in changed:
        difference = f"{one.after - one.before:+,}".replace("-", "−")
        table.add_row(Text(label(one.label)), f"{one.before:,}", f"{one.after:,}", difference)
    if changed:
        show(table)
    same = len(result.classes) - len(changed)
    if same and changed:
        show(Text(f"{same:,} other class{'es' if same > 1 else ''} unchanged", style="dim"))
    for message in result.messages:
        show(Text(f"! {one_line(message)}", style="yellow"))
    noun = "image" if result.images == 1 else "images"
    would = "would be " if dry_run else ""
    show(Text(f"{result.images:,} {noun} {would}{_DONE[command]}; {result.kept:,} kept after it."))
    if result.made:
        back = f"affinage include {shlex.quote(str(data))} --number {result.number}"
        show(Text(f"Decision {result.number} is in the log. Take it back:", style="dim"))
        show(Text(back, no_wrap=True, overflow="ignore"))
