"""`affinage show`."""

from pathlib import Path
from typing import Annotated

import typer


def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the whole report as Markdown.")
    ] = False,
) -> None:
    """Show the results of a run: scores, stages, findings, and where the report is.

    Example:
      affinage show affinage-runs/photos-1 --json | jq .evaluation.test.accuracy
    """
    from affinage.cli.console import show_json
    from affinage.workflows.show import show as read
    from affinage.workflows.show import show_json as as_json

    record = read(run)
    if json:
        show_json(as_json(record))
        return
    if markdown:
        from affinage.reporting.markdown import to_markdown
        from affinage.reporting.run_report import run_report

        print(to_markdown(run_report(record)))
        return
    from affinage.cli.results import show_results
    from affinage.workflows.run import Run

    show_results(Run(run), record, again=False)
