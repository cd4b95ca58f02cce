"""`affinage predict`."""

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
    if strict and any(answer.label is None for answer in answers):
        raise typer.Exit(1)


def _table(answers: "list[Prediction]") -> None:
    from rich.table import Table
    from rich.text import Text

    from affinage.cli.console import show
    from affinage.reporting.words import one_line

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for column, side in (("image", "left"), ("label", "left"), ("sure", "right"), ("next", "left")):
        table.add_column(column, overflow="fold", justify="right" if side == "right" else "left")
    notes: list[str] = []
    for answer in answers:
        path = one_line(answer.path)
        if answer.label is None or answer.confidence is None:
            table.add_row(Text(path), Text("not read", style="red"), "", "")
            notes.append(f"{path}: {one_line(answer.reason)}")
            continue
        others = sorted(
            (item for item in answer.probabilities.items() if item[0] != answer.label),
            key=lambda item: -item[1],
        )
        following = f"{one_line(others[0][0])} {100 * others[0][1]:.1f} %" if others else ""
        table.add_row(
            Text(path), Text(one_line(answer.label), style="bold"), f"{100 * answer.confidence:.1f} %",
            Text(following, style="dim"),
        )  # fmt: skip
        if answer.notes:
            notes.append(f"{path}: {'; '.join(answer.notes)}")
    show(table)
    if notes:
        show(Text("\n" + "\n".join(notes)))


def _csv(answers: "list[Prediction]") -> None:
    import csv
    import sys

    classes = next((list(answer.probabilities) for answer in answers if answer.label), [])
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        ["path", "label", "confidence", "reason", "notes", *(f"p:{name}" for name in classes)]
    )
    for answer in answers:
        confidence = "" if answer.confidence is None else f"{answer.confidence:.6f}"
        notes = "; ".join(answer.notes)
        probabilities = [
            f"{answer.probabilities[name]:.6f}" if answer.label else "" for name in classes
        ]
        writer.writerow(
            [answer.path, answer.label or "", confidence, answer.reason, notes, *probabilities]
        )


def _jsonl(answers: "list[Prediction]") -> None:
    import json

    from affinage.records.plain import to_plain

    for answer in answers:
        print(json.dumps({"format": 1, **to_plain(answer)}, ensure_ascii=False))
