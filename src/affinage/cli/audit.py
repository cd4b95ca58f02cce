"""`affinage audit`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affinage.cli.options import FailOn

if TYPE_CHECKING:
    from affinage.records.audit import AuditResult


def audit(
    source: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            help="A data set's folder (DATA), or folders and tables of images, as for `train`.",
        ),
    ],
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="The data set's folder.", show_default="its own, or affinage-data/NAME"),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Judge every value of this column as a source: domain, camera, slide, uploader.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="No features: without near-duplicates, wrong labels, off-topic images and sources.",
        ),
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="timm name of the backbone of the features.",
                     show_default="tf_efficientnet_lite0"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the report goes.",
                     show_default="audit.html in the data set's folder"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    fail_on: FailOn = None,
) -> None:  # fmt: skip
    """Look for everything that is wrong with a data set, and write a report with pictures.

    Damaged files, copies and near-duplicates, leaks between parts, likely wrong labels, off-topic
    images, placeholders, dark or blurred ones, shortcuts, bad sources: the costliest first, each with
    its evidence and one command to settle it. Nothing is changed.

    Examples:
      affinage audit photos/

      affinage audit affinage-data/mushrooms --group domain
    """
    from affinage.cli.console import reporter
    from affinage.cli.results import show_judged
    from affinage.cli.severity import check_fail_on, exit_on_findings
    from affinage.reporting.audit_report import audit_report

    check_fail_on(fail_on)
    with reporter() as told:
        import affinage

        result = affinage.audit(
            source,
            data=data,
            group=group,
            quick=quick,
            backbone=backbone,
            report=report,
            reporter=told,
        )
    show_judged("audit", result, lambda found: audit_report(_named(found)), json=json)
    exit_on_findings(fail_on, result.findings)


def _named(result: "AuditResult") -> "AuditResult":
    """Return the result with commands that can be pasted."""
    from affinage.cli.pasting import with_pasted_remedies

    findings = with_pasted_remedies(result.findings, result.folder)
    return dataclasses.replace(result, findings=findings)
