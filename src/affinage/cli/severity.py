"""Exit code 1: done, with findings that the caller asked to fail on."""

import typer

from affinage.errors import RecipeError
from affinage.records.finding import Finding
from affinage.records.run import RunRecord

_LEVELS = {"warning": ("warning", "blocking"), "blocking": ("blocking",)}


def check_fail_on(asked: str | None, *, goal: bool = False) -> None:
    """Raise where the word is none that `--fail-on` knows.

    Raises:
        RecipeError: With the words that it knows.
    """
    if asked is not None and asked not in (*_LEVELS, *(["goal"] if goal else [])):
        raise RecipeError(
            f"--fail-on '{asked}' is not a severity.",
            remedy=f"Say warning{', blocking or goal' if goal else ' or blocking'}.",
        )


def exit_on(asked: str | None, record: RunRecord) -> None:
    """Exit with 1 where the run is what the caller asked to fail on."""
    if asked == "goal":
        if record.goal is not None and record.goal.verdict != "met":
            raise typer.Exit(1)
    elif asked is not None:
        exit_on_findings(asked, record.findings)


def exit_on_findings(asked: str | None, findings: tuple[Finding, ...]) -> None:
    """Exit with 1 where there is a finding of at least the severity."""
    if asked in _LEVELS and any(item.severity in _LEVELS[asked] for item in findings):
        raise typer.Exit(1)
