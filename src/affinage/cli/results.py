"""Results as commands print them: the report, and where things are."""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from affinage.cli.console import show, show_json
from affinage.cli.pasting import with_pasted_remedies

if TYPE_CHECKING:
    from affinage.records.report import Report
    from affinage.records.run import RunRecord
    from affinage.workflows.run import Run


def show_results(run: "Run", record: "RunRecord", *, again: bool) -> None:
    """Print the essential sections of the report, then where things are.

    Args:
        run: A finished run.
        record: All of its results.
        again: Whether to say how they are shown again.
    """
    from affinage.reporting.run_report import run_report
    from affinage.reporting.terminal import to_terminal

    data = seen_from_here(run.data)
    if data.exists():  # A run that was moved to another machine has none.
        findings = with_pasted_remedies(record.findings, data)
        record = dataclasses.replace(record, findings=findings)
    show(to_terminal(run_report(record)))
    show(_where(run, data, again=again))


class Judged(Protocol):
    """What a command found, with the path of its page; empty where none was written."""

    @property
    def report(self) -> str:
        """Return where the page lies."""


Found = TypeVar("Found", bound=Judged)


def show_judged(
    command: str, result: Found, report: "Callable[[Found], Report]", *, json: bool
) -> None:
    """Print what a command found, as JSON or as its report, and where the page lies.

    Args:
        command: Its name.
        result: What it found.
        report: What makes a report of it.
        json: Whether JSON was asked for.
    """
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": command, **to_plain(result)})
        return
    from rich.markup import escape

    from affinage.reporting.terminal import to_terminal

    show(to_terminal(report(result)))
    if result.report:
        show(f"\nreport   {escape(result.report)}")


def seen_from_here(place: Path) -> Path:
    """Return a path as the working folder sees it, where it lies there."""
    here = Path.cwd()
    return place.relative_to(here) if place.is_relative_to(here) else place


def _where(run: "Run", data: Path, *, again: bool) -> str:
    from rich.markup import escape

    path = escape(shlex.quote(str(run.path)))
    lines = [
        f"\nreport   {escape(str(run.report))}",
        *([f"data     {escape(str(data))}"] if data.exists() else []),
        f"predict  affinage predict {path} IMAGE...",
        f"export   affinage export {path}",
        *([f"again    affinage show {path}"] if again else []),
    ]
    return "\n".join(lines)
