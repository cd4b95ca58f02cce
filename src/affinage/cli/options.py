"""Options that several commands have alike."""

from typing import Annotated

import typer

FailOn = Annotated[
    str | None,
    typer.Option(
        metavar="SEVERITY",
        help="Exit with 1 on a finding: warning or blocking.",
        show_default=False,
    ),
]
