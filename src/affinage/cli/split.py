"""`affinage split`."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affinage.cli.options import FailOn

if TYPE_CHECKING:
    from affinage.records.split import SplitResult


def split(
    source: Annotated[
        list[Path],
        typer.Argument(metavar="DATA|SOURCE...", help="A data set's folder; or folders, tables."),
    ],
    *,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The data set's folder. [affinage-data/NAME]"),
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Values that must not straddle parts.")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share of the training images. [0.2]")
    ] = None,
    test: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share of all images; 0 for none. [0.2]")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", help="Deal train and validation into K folds.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Another cut of the same images. [0]")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Under which the cut is kept.")
    ] = None,
    keep_near: Annotated[
        bool,
        typer.Option("--keep-near/--no-keep-near", help="Keep near-duplicates in one part."),
    ] = True,
    recut: Annotated[
        bool, typer.Option("--recut", help="Cut all parts anew, whatever the source gives.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    fail_on: FailOn = None,
) -> None:
    """Cut a data set into parts without leaks, and show what each part has.

    Copies, near-duplicates and groups lie in one part. Images that have a part keep it when the data
    set grows. A training with the same settings takes this cut.

    Examples:
      affinage split affinage-data/cells --group slide

      affinage split affinage-data/cells --group slide --folds 5
    """
    from affinage.cli.console import reporter, show, show_json
    from affinage.cli.pasting import remedies_pasted
    from affinage.cli.severity import check_fail_on, exit_on_findings

    check_fail_on(fail_on)
    asked = data or (source[0] if len(source) == 1 else None)
    with remedies_pasted(asked or "DATA"), reporter() as told:
        import affinage

        result = affinage.split(
            list(source),
            data=data,
            group=group,
            validation=validation,
            test=test,
            folds=folds,
            seed=seed,
            name=name,
            keep_near=keep_near,
            recut=recut,
            reporter=told,
        )
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "split", **to_plain(result)})
    else:
        from rich.text import Text

        folder = asked or Path("affinage-data", result.data)
        _show(result, folder)
        if folds is None and name is None:
            given = {"group": group, "validation": validation, "test": test, "seed": seed}
            command = _training(folder, given, recut=recut)
            show(Text(f"\ntrain   {command}", no_wrap=True, overflow="ignore"))
    exit_on_findings(fail_on, result.findings)


def _training(folder: Path, given: Mapping[str, object], *, recut: bool) -> str:
    """Return the command that trains on this cut."""
    words = ["affinage", "train", str(folder)]
    if recut:
        words += ["--set", "split.given=false"]
    for setting, value in given.items():
        if value is not None:
            words += ["--set", f"split.{setting}={value}"]
    return shlex.join(words)


def _show(result: "SplitResult", folder: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from affinage.cli.console import show
    from affinage.cli.pasting import with_pasted_remedies
    from affinage.reporting.terminal import findings_to_terminal
    from affinage.reporting.words import label

    parts = list(result.images)
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("class", overflow="fold")
    for part in parts:
        table.add_column(part, justify="right")
    for one in result.classes:
        table.add_row(Text(label(one.label)), *(f"{one.images[part]:,}" for part in parts))
    table.add_row("all images", *(f"{n:,}" for n in result.images.values()), style="bold")
    if result.group is not None:
        counts = (f"{result.groups[part]:,}" for part in parts)
        table.add_row(Text(f"values of {result.group}"), *counts, style="dim")
    show(table)
    show(findings_to_terminal(with_pasted_remedies(result.findings, folder)))
    together = (
        f"; {result.kept_together:,} images with near-duplicates" if result.kept_together else ""
    )
    stayed = f"; {result.stayed:,} images stay where they were" if result.stayed else ""
    show(Text(f"Kept as splits/{result.name}.parquet in {result.data}{together}{stayed}."))
