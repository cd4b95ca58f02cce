"""`affinage feedback`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affinage.records.feedback import FeedbackAdded, FeedbackCompared


class Action(StrEnum):
    """What to do."""

    ADD = "add"
    COMPARE = "compare"


def feedback(
    action: Annotated[
        Action,
        typer.Argument(help="add: corrected images to the data set. compare: train on them, and judge."),
    ],
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="That is deployed.")],
    corrections: Annotated[
        Path | None,
        typer.Argument(metavar="CSV", help="add: columns label, and image (an id) or path.",
                       show_default=False),
    ] = None,
    *,
    run: Annotated[
        Path, typer.Option(metavar="RUN", help="The run that the bundle was exported from.")
    ],
    log: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A server's log that kept pictures.", show_default="none"),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the images are.", show_default="none"),
    ] = None,
    new_class: Annotated[
        bool, typer.Option("--new-class", help="Labels that are no class yet are meant so.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="compare: the new run's folder.",
                     show_default="affinage-runs/NAME-1"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:  # fmt: skip
    """Bring corrections from the field into the data set, and judge a model that learnt them.

    Corrected images become new rows that say where they come from; nobody is moved from one part to
    another. `compare` goes on from the deployed run, and compares the two on the test part as it was
    and on new images: better, not better than noise, or worse. Nothing is exchanged.

    Examples:
      affinage feedback add photos.bundle corrections.csv --run affinage-runs/photos-1 --images field/

      affinage feedback compare photos.bundle --run affinage-runs/photos-1
    """
    from affinage.cli.console import reporter, show_json
    from affinage.errors import DataError

    if (corrections is None) == (action is Action.ADD):
        raise DataError(
            "`add` needs a table of corrections, and `compare` takes none.",
            remedy="affinage feedback add BUNDLE corrections.csv --run RUN",
        )
    with reporter() as told:
        import affinage

        result: FeedbackAdded | FeedbackCompared
        if corrections is not None:
            result = affinage.feedback_add(
                bundle, corrections, run=run, log=log, images=images, new_class=new_class,
                reporter=told,
            )  # fmt: skip
        else:
            result = affinage.feedback_compare(bundle, run=run, output=output, reporter=told)
    if json:
        from affinage.records.plain import to_plain

        show_json({"format": 1, "command": f"feedback {action.value}", **to_plain(result)})
    else:
        _tell(result)


def _tell(result: "FeedbackAdded | FeedbackCompared") -> None:
    from rich.markup import escape

    from affinage.cli.console import show
    from affinage.records.feedback import FeedbackAdded

    if isinstance(result, FeedbackAdded):
        show(
            escape(
                f"{result.added:,} new in '{result.data}', {result.rows:,} from feedback in all."
            )
        )
        for line in result.messages:
            show(escape(line))
        return
    show(escape(result.why))
    show(escape(f"\nrun      {result.candidate}\nexport   {result.next}"))
