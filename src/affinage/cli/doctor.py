"""`affinage doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affinage.cli.options import FailOn
from affinage.cli.recipe_options import recipe_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from affinage.records.diagnosis import Diagnosis
    from affinage.records.verdict import Verdict

_COLOURS = {"blocking": "bold red", "warning": "bold yellow", "note": "bold"}
_MANY = 5
"""Questions that one reason left unchecked, from which on it is told without being asked for."""


def doctor(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET",
            help="A run's folder, a training script, or logs (TensorBoard, CSV, JSON).",
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]...", help="The script's own arguments; after -- all of them."),
    ] = None,
    *,
    minutes: Annotated[
        float, typer.Option(min=0.05, help="Cut a script after so many minutes.")
    ] = 10.0,
    preflight: Annotated[
        bool,
        typer.Option("--preflight", help="TARGET is a source of images: check before training."),
    ] = False,
    recipe: Annotated[str | None, recipe_option("Of the pre-flight")] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save what was seen, to be judged again later.",
                     show_default=False),
    ] = None,
    prove: Annotated[
        bool,
        typer.Option("--prove", help="Test what was found: on copies of a script's training, or by reruns."),
    ] = False,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the recipe of a run with what was proved (implies --prove).",
                     show_default=False),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="List also each question that is fine or could not be checked."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print all verdicts as JSON.")] = False,
    fail_on: FailOn = None,
) -> None:  # fmt: skip
    """Name what is wrong with a training, and what was checked and is fine.

    A script runs unmodified under observation, its own output kept; nothing of it is changed.

    Examples:
      affinage doctor affinage-runs/photos-1

      affinage doctor train.py --minutes 3

      affinage doctor logs/

      affinage doctor --preflight photos/
    """
    from affinage.cli.console import show_json
    from affinage.cli.severity import check_fail_on, exit_on_findings
    from affinage.workflows.doctor import doctor as examine
    from affinage.workflows.doctor import doctor_json
    from affinage.workflows.prescribe import prescribe

    check_fail_on(fail_on)
    if preflight:
        from affinage.cli.console import reporter
        from affinage.workflows.preflight import preflight as fly

        with reporter() as progress:
            diagnosis = fly(target, recipe=recipe, progress=progress)
    else:
        diagnosis = examine(
            target,
            arguments or (),
            minutes=minutes,
            quiet=json,
            keep=keep,
            prove=prove or fix is not None,
        )
    fixes = prescribe(target, diagnosis, fix) if fix is not None and not preflight else ()
    if json:
        show_json(doctor_json(diagnosis, fixes=fixes))
    else:
        _show(diagnosis, everything=everything)
        if fix is not None:
            _show_fixes(fixes, fix)
    exit_on_findings(fail_on, diagnosis.findings)


def _show(diagnosis: "Diagnosis", *, everything: bool) -> None:
    from rich.text import Text

    from affinage.cli.console import show

    signals = diagnosis.signals
    seen = f"{signals.steps} steps seen" if signals.steps else f"{len(signals.points)} points read"
    show(Text(f"\n{signals.name or 'training'}: {seen}; {_counted(diagnosis)}", style="bold"))
    if signals.ended == "cut":
        show(Text("The script was cut (by --minutes or Ctrl-C); it is judged as far as it came."))
    if signals.ended == "failed":
        from affinage.workflows.failing import hint

        show(Text(f"The script failed: {signals.error}", style="bold red"))
        if (remedy := hint(signals.error)) != "":
            show(Text(f"  → {remedy}"))
    for verdict in diagnosis.verdicts:
        if verdict.answer == "finding":
            show(_told(verdict))
    if not diagnosis.findings:
        show(Text("Nothing wrong was found.", style="bold green"))
    for line in _listed(diagnosis) if everything else _rest(diagnosis):
        show(line)


def _counted(diagnosis: "Diagnosis") -> str:
    """Return how many findings there are of each severity: `1 warning, 2 notes`."""
    grades = [finding.severity for finding in diagnosis.findings]
    counts = [(grades.count(grade), grade) for grade in ("blocking", "warning", "note")]
    words = [
        f"{n} {grade}{'s' if n > 1 and grade != 'blocking' else ''}" for n, grade in counts if n
    ]
    return ", ".join(words) or "nothing wrong found"


def _rest(diagnosis: "Diagnosis") -> "Iterator[Text]":
    """Yield what was not found in two lines, and why most of the unchecked could not be."""
    from collections import Counter

    from rich.text import Text

    answers = Counter(verdict.answer for verdict in diagnosis.verdicts)
    unchecked = Counter(v.said for v in diagnosis.verdicts if v.answer == "unchecked")
    fine = answers["fine"]
    words = (
        "question was checked and is fine" if fine == 1 else "questions were checked and are fine"
    )
    text = f"\n{fine} other {words}"
    if unchecked:
        text += f"; {answers['unchecked']} could not be checked"
    yield Text(f"{text}. --all lists them.", style="dim")
    reason, times = unchecked.most_common(1)[0] if unchecked else ("", 0)
    if times >= _MANY:
        yield Text(f"{times} of those could not because {reason}.", style="dim")


def _listed(diagnosis: "Diagnosis") -> "Iterator[Text]":
    """Yield every question that is fine or could not be checked, with what was looked at or why not."""
    from rich.text import Text

    for answer, title in (("fine", "Checked and fine"), ("unchecked", "Could not be checked")):
        verdicts = [v for v in diagnosis.verdicts if v.answer == answer]
        if verdicts:
            yield Text(f"\n{title} ({len(verdicts)})", style="bold")
        because = "because " if answer == "unchecked" else ""
        for verdict in verdicts:
            yield Text(f"  {verdict.code}: {because}{verdict.said}", style="dim")


def _show_fixes(fixes: tuple[str, ...], file: Path) -> None:
    from rich.text import Text

    from affinage.cli.console import show

    if not fixes:
        show(Text("\nNothing was proved, so nothing is changed.", style="bold"))
        return
    show(Text("\nWhat was proved is mended by", style="bold"))
    for line in fixes:
        show(Text(f"  {line}"))
    if file.exists():
        show(Text(f"The recipe is in {file}; train with --recipe {file}."))


def _told(verdict: "Verdict") -> "Text":
    from rich.text import Text

    from affinage.reporting.verdict_blocks import remedy_told, sureness

    finding = verdict.finding
    assert finding is not None
    text = Text(f"\n{finding.severity}: ", style=_COLOURS[finding.severity])
    text.append(f"{finding.subject}\n", style="bold")
    for line in finding.evidence:
        text.append(f"  {line}\n", style="default")
    for other in verdict.alternatives:
        text.append(
            f"  It could also be {other.explanation}; but {other.against}.\n", style="default"
        )
    if verdict.explained_by:
        text.append(
            f"  Probably a consequence of: {', '.join(verdict.explained_by)}\n", style="dim"
        )
    if finding.remedy:
        text.append(f"  → {finding.remedy}\n", style="default")
    if verdict.confidence:
        text.append(f"  {sureness(verdict).capitalize()}\n", style="dim")
    if verdict.experiment:
        text.append(f"  What would refute it: {verdict.experiment}\n", style="dim")
    if verdict.outcome is not None:
        text.append(
            f"  {verdict.outcome.mark.capitalize()}. {verdict.outcome.said}\n", style="bold"
        )
        if verdict.outcome.remedy is not None:
            text.append(f"  {remedy_told(verdict.outcome.remedy)}\n", style="bold")
    text.append(f"  [{verdict.code}]", style="dim")
    return text
