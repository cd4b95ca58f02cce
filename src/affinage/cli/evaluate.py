"""`affinage evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from affinage.cli.options import FailOn


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="Labelled images: a folder per class, or a table."),
    ],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    fail_on: FailOn = None,
) -> None:
    """Measure a trained model on other labelled images.

    Images that the model learnt from are recognised by their bytes and left out. A look at the run's
    own test part is entered in the data set's ledger.

    Example:
      affinage evaluate affinage-runs/photos-1 photos-of-june/
    """
    from affinage.cli.console import reporter, show, show_json
    from affinage.cli.severity import check_fail_on, exit_on_findings

    check_fail_on(fail_on)
    with reporter() as told:
        import affinage

        result = affinage.evaluate(run, source, reporter=told)
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": "evaluate", **to_plain(result)})
    else:
        from affinage.reporting.evaluation_report import evaluation_report
        from affinage.reporting.terminal import to_terminal

        show(to_terminal(evaluation_report(result.run, result.evaluation, result.findings)))
    exit_on_findings(fail_on, result.findings)
