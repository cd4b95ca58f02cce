"""`affinage sample`."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set's folder.")],
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE", help="A rule, such as domain=example.org; repeatable."
        ),
    ] = None,
    finding: Annotated[
        str | None, typer.Option(metavar="CODE", help="Draw from a finding of the last audit.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many images at most.")] = 24,
    seed: Annotated[int, typer.Option(help="Another one draws other images.")] = 0,
    excluded: Annotated[
        bool, typer.Option("--excluded", help="Draw from what a decision left out.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page. [samples/NAME.html in DATA]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print paths and ids as JSON.")] = False,
) -> None:
    """Draw images at random, and write them on one page to look at.

    Examples:
      affinage sample affinage-data/fungi --where domain=data.huh.example

      affinage sample affinage-data/fungi --finding off-topic -n 100
    """
    from affinage.cli.console import reporter, show, show_json
    from affinage.cli.pasting import remedies_pasted

    with remedies_pasted(data), reporter() as told:
        import affinage

        result = affinage.sample(
            data,
            where=where or (),
            finding=finding,
            n=count,
            seed=seed,
            excluded=excluded,
            into=into,
            reporter=told,
        )
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "sample", **to_plain(result)})
        return
    from rich.text import Text

    from affinage.reporting.words import label

    shares = list(result.classes.items())
    most = ", ".join(f"{label(name)} {size:,}" for name, size in shares[:6])
    more = f" and {len(shares) - 6:,} more classes" if len(shares) > 6 else ""
    show(Text(f"{len(result.images):,} images drawn from {result.among:,} ({most}{more})."))
    lost = sum(bool(one.problem) for one in result.images)
    if lost:
        show(Text(f"! {lost:,} could not be shown; the page says why.", style="yellow"))
    show(Text(f"The sheet: {result.sheet}"))
