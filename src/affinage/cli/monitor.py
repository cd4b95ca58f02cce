"""`affinage monitor`."""

from pathlib import Path
from typing import Annotated

import typer

from affinage.cli.options import FailOn


def monitor(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="The folder that `affinage export` wrote.")
    ],
    *,
    log: Annotated[
        Path, typer.Option(metavar="FOLDER", help="What `affinage serve --log FOLDER` writes.")
    ],
    window: Annotated[
        int, typer.Option(metavar="N", help="Images that are judged together, 30 to 100,000.")
    ] = 200,
    false_alarms: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Windows without shift that may raise an alarm."),
    ] = 0.01,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="What images show in truth: columns image, label.",
                     show_default=False),
    ] = None,
    to_label: Annotated[
        int, typer.Option(metavar="N", help="Images to name for labelling, 0 to 1,000.")
    ] = 30,
    ask: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Write them as a table to fill in, for --labels and "
                     "affinage feedback add.", show_default="none"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where a page is written.", show_default="none"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of shuffles and draws.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    fail_on: FailOn = None,
) -> None:  # fmt: skip
    """Judge what a deployed model saw against what it was trained on.

    Windows of images are compared with the baseline that the bundle carries: how they look, what the
    network makes of them, what it says and how sure it is. The accuracy is estimated without labels,
    with an interval, or said to be unknown; and the images are named whose labels would teach most.

    Examples:
      affinage monitor mushrooms.bundle --log served/

      affinage monitor mushrooms.bundle --log served/ --labels served/corrections.csv --report drift.html
    """
    from affinage.cli.console import reporter
    from affinage.cli.results import show_judged
    from affinage.cli.severity import check_fail_on, exit_on_findings
    from affinage.reporting.monitor_report import monitor_report

    check_fail_on(fail_on)
    with reporter() as told:
        import affinage

        result = affinage.monitor(
            bundle,
            log,
            window=window,
            false_alarms=false_alarms,
            labels=labels,
            to_label=to_label,
            ask=ask,
            report=report,
            seed=seed,
            reporter=told,
        )
    show_judged("monitor", result, monitor_report, json=json)
    exit_on_findings(fail_on, result.findings)
