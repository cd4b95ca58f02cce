"""The terminal: progress that moves, lines where it cannot, errors in words."""

import json
import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from affinage.errors import AffinageError
from affinage.workflows.reporter import Lines


def out() -> Console:
    """Return the console of results (standard output)."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def show(content: RenderableType) -> None:
    """Print a result; a line that may not be broken, such as a command, runs on at the edge."""
    out().print(content, crop=False)


def show_json(value: Any) -> None:
    """Print a JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def complain(error: AffinageError) -> None:
    """Print what is wrong, and what to do, on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    text = Text()
    text.append("Error: ", style="bold red")
    text.append(error.problem)
    text.append("\n  → ", style="bold")
    text.append(error.remedy)
    console.print(text)


class Bars:
    """Progress on a terminal: a bar per phase, with the time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]left[/dim]"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def phase(self, name: str, done: int, total: int | None) -> None:
        """Move a phase's bar, at most ten times a second."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        now = time.monotonic()
        if now - self._last > 0.1 or (total is not None and done >= total):
            self._last = now
            self._progress.update(self._tasks[name], completed=done, total=total)

    def say(self, text: str) -> None:
        """Print a sentence above the bars."""
        self._progress.console.print(Text(text))


class PlainLines(Lines):
    """Progress as lines, where standard error is not a terminal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def reporter() -> Bars | PlainLines:
    """Return the way to show progress that fits standard error."""
    return Bars() if sys.stderr.isatty() else PlainLines()
