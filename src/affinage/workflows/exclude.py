"""The verb `exclude`: leave images out, with what that takes from each class."""

from collections.abc import Sequence
from pathlib import Path

from affinage.datasets.selection import select
from affinage.records.decision import DecisionResult
from affinage.workflows.deciding import decide, decision_of, open_desk


def exclude(
    data: str | Path,
    *,
    where: str | Sequence[str] = (),
    finding: str | None = None,
    images: str | Sequence[str] = (),
    reason: str = "",
    dry_run: bool = False,
) -> DecisionResult:
    """Leave images out of a data set, and return how many images each class loses.

    Nothing is deleted: the decision is entered in the data set's log, and holds wherever these
    images lie later. A rule holds for images that come later too.

    Args:
        data: The data set's folder.
        where: A rule such as `domain=example.org`; of several, values of one column are
            alternatives, and different columns hold at once. `!=` negates, `*` and `?` are wildcards.
        finding: Code of a finding of the last audit; of near-duplicates, one of each group stays.
        images: Ids, starts of ids, relative paths or files.
        reason: Why, kept with the decision and told of each row.
        dry_run: Only return what would change.

    Raises:
        DataError: If there is no such data set, or what is named is unknown (with the nearest).
    """
    desk = open_desk(data)
    selection = select(
        desk.manifest,
        where=_listed(where),
        finding=finding,
        images=_listed(images),
        findings=desk.dataset.load_findings() if finding else (),
        spare=True,
    )
    decision = decision_of("exclude", selection, finding=finding, reason=reason)
    return decide(desk, decision, dry_run=dry_run, messages=selection.messages)


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
