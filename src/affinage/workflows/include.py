"""The verb `include`: take back images that were left out, or take back a decision."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from affinage.datasets.decisions import EXCLUDED, numbered
from affinage.datasets.selection import Selection, select
from affinage.errors import DataError
from affinage.records.decision import Decision, DecisionResult, NumberedDecision
from affinage.workflows.deciding import Desk, decide, decision_of, open_desk


def include(
    data: str | Path,
    *,
    where: str | Sequence[str] = (),
    finding: str | None = None,
    images: str | Sequence[str] = (),
    last: bool = False,
    number: int | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> DecisionResult:
    """Take back images that a decision left out, or a whole decision, and return what changes.

    Args:
        data: The data set's folder.
        where: As for `exclude`. A rule takes back what the same rule struck, wherever it lies now.
        finding: As for `exclude`; all of its images.
        images: As for `exclude`.
        last: Take back the last decision that stands, of whatever kind: a relabelling too.
        number: Take back the decision of this number in the log.
        reason: Why, kept with the decision.
        dry_run: Only return what would change.

    Raises:
        DataError: If there is nothing to take back, or what is named is unknown (with the nearest).
    """
    desk = open_desk(data)
    chosen = tuple(
        (value,) if isinstance(value, str) else tuple(value) for value in (where, images)
    )
    if last or number is not None:
        if any(chosen) or finding or (last and number is not None):
            raise DataError(
                "--last and --number take back a whole decision, and go with nothing else.",
                remedy="Give one of them alone: affinage include DATA --last",
            )
        return decide(desk, _undoing(desk, number, reason), dry_run=dry_run)
    selection = select(
        desk.manifest,
        where=chosen[0],
        finding=finding,
        images=chosen[1],
        findings=desk.dataset.load_findings() if finding else (),
    )
    selection = _with_struck(selection, desk.decisions)
    _check(desk, selection)
    decision = decision_of("include", selection, finding=finding, reason=reason)
    return decide(desk, decision, dry_run=dry_run, messages=selection.messages)


def decisions(data: str | Path) -> list[NumberedDecision]:
    """Return every decision on a data set, in order, and whether it still stands.

    Raises:
        DataError: If there is no such data set, or its log is damaged.
    """
    return numbered(open_desk(data).decisions)


def _undoing(desk: Desk, number: int | None, reason: str) -> Decision:
    entries = numbered(desk.decisions)
    if number is None:
        standing = [one.number for one in entries if one.stands and one.decision.undoes is None]
        if not standing:
            raise DataError(
                "There is no decision to take back.", remedy="See all: affinage include DATA --list"
            )
        number = standing[-1]
    if not 1 <= number <= len(entries) or not entries[number - 1].stands:
        raise DataError(
            f"There is no decision {number} that still stands, of {len(entries)} in the log.",
            remedy="See their numbers: affinage include DATA --list",
        )
    return decision_of("include", Selection(images=()), reason=reason, undoes=number)


def _with_struck(selection: Selection, made: Sequence[Decision]) -> Selection:
    """Return a rule's selection with the images that the same rule once struck."""
    if not selection.where:
        return selection
    before = {
        image
        for decision in made
        if decision.action == "exclude" and set(decision.where) == set(selection.where)
        for image in decision.images
    }
    return replace(selection, images=tuple(sorted(before.union(selection.images))))


def _check(desk: Desk, selection: Selection) -> None:
    """Refuse to take back what no decision left out.

    Raises:
        DataError: With why these images are left out, if they are.
    """
    rows = desk.manifest.table.filter(pl.col("image").is_in(list(selection.images)))
    decided = rows["reason"].str.starts_with(EXCLUDED).any()
    others = rows.filter(pl.col("status") != "kept")["reason"].drop_nulls().unique().sort()
    if decided or selection.where or others.is_empty():
        return
    raise DataError(
        f"No decision left these images out; they are for another reason: {others[0]}.",
        remedy="Give an image that lies under two labels its right one: "
        "affinage relabel DATA --image ID --label LABEL",
    )
