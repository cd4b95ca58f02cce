"""`affinage predict`."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affinage.records.prediction import Prediction


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE|FOLDER", help="Images, or folders of them.")
    ],
    *,
    format_: Annotated[
        Format, typer.Option("--format", help="table for people, csv or jsonl for programs.")
    ] = Format.table,
    json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where an image could not be read.")
    ] = False,
) -> None:
    """Say what a trained model sees in images.

    Unreadable images are listed with the reason; the others are still answered. The probability is
    calibrated on the run's validation part.

    Examples:
      affinage predict affinage-runs/photos-1 new.jpg

      affinage predict affinage-runs/photos-1 field/ --format csv > answers.csv
    """
    from affinage.cli.console import reporter

    with reporter() as told:
        import affinage

        answers = affinage.predict(run, images, reporter=told)
    chosen = Format.jsonl if json else format_
    {Format.table: _table, Format.csv: _csv, Format.jsonl: _jsonl}[chosen](answers)
    if strict and not all(answer.answered for answer in answers):
        raise typer.Exit(1)


def _table(answers: "list[Prediction]") -> None:
    from rich.table import Table
    from rich.text import Text

    from affinage.cli.console import show
    from affinage.reporting.words import one_line

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    cells, columns = _columns(answers)
    table.add_column("image", overflow="fold")
    for column, right in columns:
        table.add_column(
            Text(one_line(column)), overflow="fold", justify="right" if right else "left"
        )
    notes: list[str] = []
    for answer in answers:
        path = one_line(answer.path)
        if not answer.answered:
            table.add_row(Text(path), Text("not read", style="red"), *[""] * (len(columns) - 1))
            notes.append(f"{path}: {one_line(answer.reason)}")
            continue
        shown = [Text(one_line(text), style=style) for text, style in cells(answer)]
        table.add_row(Text(path), *shown)
        if answer.notes:
            notes.append(f"{path}: {'; '.join(answer.notes)}")
    show(table)
    if notes:
        show(Text("\n" + "\n".join(notes)))


_Cells = Callable[["Prediction"], list[tuple[str, str]]]


def _columns(answers: "list[Prediction]") -> tuple[_Cells, list[tuple[str, bool]]]:
    """Return what is shown of an answer, and the columns (name, numbers) it stands in, by the task."""
    first = next((answer for answer in answers if answer.answered), None)
    if first is not None and first.counts:
        return _counted, [(name, True) for name in first.counts]
    if first is not None and first.label is None:
        return _tagged, [("labels", False), ("next", False)]
    return _labelled, [("label", False), ("sure", True), ("next", False)]


def _labelled(answer: "Prediction") -> list[tuple[str, str]]:
    following = _following(answer, (answer.label or "",))
    sure = f"{100 * (answer.confidence or 0):.1f} %"
    return [(answer.label or "", "bold"), (sure, ""), (following, "dim")]


def _tagged(answer: "Prediction") -> list[tuple[str, str]]:
    named = (f"{name} {100 * answer.probabilities[name]:.0f} %" for name in answer.labels)
    return [(", ".join(named) or "none", "bold"), (_following(answer, answer.labels), "dim")]


def _counted(answer: "Prediction") -> list[tuple[str, str]]:
    return [
        (f"{value:.1f}" + (f" ({ends[0]}–{ends[1]})" if ends else ""), "bold")
        for name, value in answer.counts.items()
        for ends in [answer.ranges.get(name)]
    ]


def _following(answer: "Prediction", said: tuple[str, ...]) -> str:
    others = sorted(
        (item for item in answer.probabilities.items() if item[0] not in said),
        key=lambda item: -item[1],
    )
    return f"{others[0][0]} {100 * others[0][1]:.1f} %" if others else ""


def _csv(answers: "list[Prediction]") -> None:
    import csv
    import sys

    from affinage.datasets.places import escape

    first = next((answer for answer in answers if answer.answered), None)
    classes = list(first.probabilities) if first else []
    counted = list(first.counts) if first else []
    tagged = first is not None and first.label is None and not counted
    writer = csv.writer(sys.stdout, lineterminator="\n")
    own = ["labels"] if tagged else [] if counted else ["label", "confidence"]
    ends = [f"{end}:{name}" for name in counted for end in ("count", "low", "high")]
    writer.writerow(["path", *own, "reason", "notes", *(f"p:{name}" for name in classes), *ends])
    for answer in answers:
        sure = "" if answer.confidence is None else f"{answer.confidence:.6f}"
        said = (
            ["; ".join(answer.labels)] if tagged else [] if counted else [answer.label or "", sure]
        )
        shares = [f"{answer.probabilities[n]:.6f}" if answer.answered else "" for n in classes]
        numbers = [text for name in counted for text in _count_cells(answer, name)]
        writer.writerow(
            [escape(answer.path), *said, answer.reason, "; ".join(answer.notes), *shares, *numbers]
        )


def _count_cells(answer: "Prediction", name: str) -> list[str]:
    if not answer.answered:
        return ["", "", ""]
    low, high = answer.ranges.get(name, ("", ""))
    return [f"{answer.counts[name]:.4f}", str(low), str(high)]


def _jsonl(answers: "list[Prediction]") -> None:
    import json

    from affinage.records.plain import to_plain

    for answer in answers:
        line = json.dumps({"format": 1, **to_plain(answer)}, ensure_ascii=False)
        print(line.encode(errors="backslashreplace").decode())  # Bytes of a name that are no UTF-8.
