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
_CLASSES = 40  # That are listed at the end.
_REFUSED = "which is not asked"  # How the reason of a refused address ends.


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
        for part in [*_report(result), *_next(result, allow_private=allow_private)]:
            show(part)


def _report(result: "CollectResult") -> "list[RenderableType]":
    """Return the tables of the end: failures with examples, classes, sums."""
    from rich.table import Table
    from rich.text import Text

    from affinage.reporting.words import label, one_line

    parts: list[RenderableType] = []
    if result.failures:
        failures = Table("rows", "failed because", "for example", box=None, padding=(0, 2, 0, 0))
        for one in result.failures:
            examples = one_line(" ".join(one.examples))
            failures.add_row(f"{one.rows:,}", Text(one_line(one.reason)), Text(examples))
        parts += [failures, ""]
    if result.per_class:
        classes = Table("images", "class", box=None, padding=(0, 2, 0, 0))
        for name, images in list(result.per_class.items())[:_CLASSES]:
            classes.add_row(f"{images:,}", Text(label(name)))
        hidden = len(result.per_class) - _CLASSES
        if hidden > 0:
            classes.add_row("…", f"and {hidden:,} more {'class' if hidden == 1 else 'classes'}")
        parts += [classes, ""]
    again = f" ({_rows(result.repeated)} more say it again)" if result.repeated else ""
    parts.append(
        f"{_rows(result.rows)}{again}: {result.kept:,} kept, {result.failed:,} failed, "
        f"{result.excluded:,} excluded; {result.images:,} different images; "
        f"{result.images_per_second:,.0f} images/s"
    )
    return parts


def _next(result: "CollectResult", *, allow_private: bool) -> "list[RenderableType]":
    """Return the commands that may follow, each on a line of its own."""
    from rich.text import Text

    lines = []
    if result.failed:
        again = [word for word in sys.argv[1:] if word != "--retry-failed"] + ["--retry-failed"]
        if not allow_private and any(one.reason.endswith(_REFUSED) for one in result.failures):
            lines.append("Servers of your own network are asked only with --allow-private.")
        lines.append(f"retry   affinage {shlex.join(again)}")
    if result.images:
        data = shlex.quote(result.data)
        lines += [f"audit   affinage audit {data}", f"train   affinage train {data}"]
    return ["", *(Text(line, no_wrap=True, overflow="ignore") for line in lines)] if lines else []


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def _interrupt(number: int, frame: object) -> None:
    """End on SIGTERM as on Ctrl-C: in order, and told how to go on."""
    raise KeyboardInterrupt
