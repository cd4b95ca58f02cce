"""`affinage collect`."""

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from affinage.workflows.collect import CollectResult

_MANNERS = "Manners"
_SAFETY = "Safety"


def collect(
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="CSV, TSV or Parquet with the columns url and label."),
    ],
    *,
    into: Annotated[
        Path,
        typer.Option(metavar="DATA", help="The data set's folder: images, manifest, ledger."),
    ],
    per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Draw rows until each class has N different images. Default: all rows.",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the rows again that failed before.")
    ] = False,
    block: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="A domain with its subdomains (mycoportal.org), or paths of it "
            "('host.example/thumbs/*'), not to be asked for; may be repeated.",
            show_default=False,
        ),
    ] = None,
    block_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A file of such patterns, one a line.", show_default=False
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Put images on an object store, such as s3://bucket/prefix.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which rows --per-class draws.")] = 0,
    concurrency: Annotated[
        int, typer.Option(help="Requests at once, over all hosts.", rich_help_panel=_MANNERS)
    ] = 256,
    per_host: Annotated[
        int, typer.Option(help="Requests at once to one host.", rich_help_panel=_MANNERS)
    ] = 8,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="PER_SECOND",
            help="Requests begun per second to one host. Default: no limit.",
            rich_help_panel=_MANNERS,
            show_default=False,
        ),
    ] = None,
    retries: Annotated[
        int,
        typer.Option(help="Tries after an answer that may pass.", rich_help_panel=_MANNERS),
    ] = 3,
    robots: Annotated[
        bool,
        typer.Option("--robots", help="Ask for robots.txt and obey it.", rich_help_panel=_MANNERS),
    ] = False,
    max_bytes: Annotated[
        str, typer.Option(metavar="SIZE", help="Largest file.", rich_help_panel=_SAFETY)
    ] = "32MB",
    timeout: Annotated[
        float, typer.Option(help="Seconds for one answer in all.", rich_help_panel=_SAFETY)
    ] = 60.0,
    connect_timeout: Annotated[
        float, typer.Option(help="Seconds for a connection.", rich_help_panel=_SAFETY)
    ] = 10.0,
    read_timeout: Annotated[
        float,
        typer.Option(help="Seconds between two pieces of an answer.", rich_help_panel=_SAFETY),
    ] = 20.0,
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private",
            help="Connect to loopback, private and link-local addresses too.",
            rich_help_panel=_SAFETY,
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Download a table of image addresses into a data set.

    It can be stopped and killed at any time: the same command goes on. Rows that were added to the
    table are added; what is there is not fetched again.

    Examples:
      affinage collect mushrooms.csv --into mushrooms --per-class 2000

      affinage collect mushrooms.csv --into mushrooms --block mycoportal.org --retry-failed
    """
    from affinage.cli.console import reporter, show, show_json
    from affinage.errors import Interrupted

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with reporter() as told:
            import affinage

            result = affinage.collect(
                table,
                into,
                per_class=per_class,
                concurrency=concurrency,
                per_host=per_host,
                rate=rate,
                retries=retries,
                retry_failed=retry_failed,
                block=block or (),
                block_file=block_file,
                allow_private=allow_private,
                robots=robots,
                max_bytes=max_bytes,
                timeout=timeout,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                target=target,
                seed=seed,
                reporter=told,
            )
    except Interrupted as stopped:
        print(f"\nInterrupted. {stopped.problem}", file=sys.stderr)
        print(f"  → Go on: affinage {shlex.join(sys.argv[1:])}", file=sys.stderr)
        raise typer.Exit(130) from None
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "collect", **to_plain(result)})
    else:
        for part in _report(result):
            show(part)


def _report(result: "CollectResult") -> "list[RenderableType]":
    """Return the tables of the end: failures with examples, classes, sums."""
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    if result.failures:
        failures = Table("rows", "failed because", "for example", box=None, padding=(0, 2, 0, 0))
        for one in result.failures:
            failures.add_row(f"{one.rows:,}", Text(one.reason), Text(" ".join(one.examples)))
        parts += [failures, ""]
    if result.per_class:
        classes = Table("images", "class", box=None, padding=(0, 2, 0, 0))
        for label, images in list(result.per_class.items())[:40]:
            classes.add_row(f"{images:,}", Text(label))
        if len(result.per_class) > 40:
            classes.add_row("…", f"and {len(result.per_class) - 40:,} more classes")
        parts += [classes, ""]
    again = f" ({result.repeated:,} rows say it again)" if result.repeated else ""
    parts.append(
        f"{result.rows:,} rows{again}: {result.kept:,} kept, {result.failed:,} failed, "
        f"{result.excluded:,} excluded; {result.images:,} different images; "
        f"{result.images_per_second:,.0f} images/s"
    )
    data = shlex.quote(result.data)
    parts.append(Text(f"\naudit   affinage audit {data}\ntrain   affinage train {data}"))
    return parts


def _interrupt(number: int, frame: object) -> None:
    """End on SIGTERM as on Ctrl-C: in order, and told how to go on."""
    raise KeyboardInterrupt
