"""What the verbs that decide share: the folder they decide on, and what a decision changes."""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affinage.datasets.decisions import (
    apply_decisions,
    changed_images,
    changed_rows,
    class_counts,
    standing,
)
from affinage.datasets.labels import in_order
from affinage.datasets.selection import Selection
from affinage.errors import DataError
from affinage.records.decision import Action, ClassChange, Decision, DecisionResult
from affinage.records.manifest import Manifest
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.moment import now
from affinage.workflows.places import default_data_folder

FEWEST = 10
"""Images that a class needs for its score to mean something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A data set's folder with what was found and what was decided so far.

    Attributes:
        dataset: The folder.
        found: The manifest without any decision.
        decisions: In order.
        manifest: With the decisions applied.
    """

    dataset: DatasetFolder
    found: Manifest
    decisions: Sequence[Decision]
    manifest: Manifest


def open_desk(data: str | Path, *, beside: Path | None = None) -> Desk:
    """Return a data set's folder, without looking at its images.

    Args:
        data: The folder; or a source whose data set lies in `affinage-data`.
        beside: The working folder; None for the current one.

    Raises:
        DataError: If there is no data set, or it is damaged.
    """
    dataset = DatasetFolder(Path(data))
    if not dataset.exists and Path(data).exists():
        dataset = DatasetFolder(default_data_folder([Path(data)], beside=beside or Path()))
    found = dataset.load_manifest()
    if found is None and (Path(data) / "manifest.parquet").exists():
        raise DataError(
            f"'{data}' is no data set's folder: its manifest.parquet lacks the metadata that Affinage"
            " writes, as if another program had written it.",
            remedy="Put the old file back, or give the collect or audit command once more.",
        )
    if found is None:
        raise DataError(
            f"'{data}' is no data set's folder: it has no manifest.parquet.",
            remedy="Name the folder that collect, audit or train made, such as affinage-data/photos.",
        )
    decisions = dataset.decisions()
    return Desk(
        dataset=dataset,
        found=found,
        decisions=decisions,
        manifest=apply_decisions(found, decisions),
    )


def decision_of(
    action: Action,
    selection: Selection,
    *,
    finding: str | None = None,
    reason: str = "",
    labels: Mapping[str, str] | None = None,
    label: str | None = None,
    undoes: int | None = None,
) -> Decision:
    """Return a decision of now on the images that were selected."""
    return Decision(
        action=action,
        at=now(),
        by=_login(),
        reason=" ".join(reason.encode("utf-8", "replace").decode().split()),
        where=selection.where,
        finding=finding,
        images=selection.images,
        labels=tuple(sorted((labels or {}).items())),
        label=label,
        undoes=undoes,
    )


def decide(
    desk: Desk, decision: Decision, *, dry_run: bool, messages: Sequence[str] = ()
) -> DecisionResult:
    """Return what a decision changes, and enter it in the log where it changes anything.

    Args:
        desk: Where it is made.
        decision: What is decided.
        dry_run: Only say what would change.
        messages: Sentences that come before those on the classes.
    """
    after = apply_decisions(desk.found, [*desk.decisions, decision])
    images, rows = changed_images(desk.manifest, after), changed_rows(desk.manifest, after)
    before, now_has = class_counts(desk.manifest), class_counts(after)
    classes = tuple(
        ClassChange(label=label, before=before.get(label, 0), after=now_has.get(label, 0))
        for label in in_order({*before, *now_has})
    )
    told = [*messages, *_on_classes(classes)]
    if rows and not images:
        told.append(f"No image changes: those of the {rows:,} rows that do have copies elsewhere.")
    elif not rows and _ahead(desk, decision):
        told.append("Nothing changes now; the rule holds for images that come later.")
    elif not rows:
        told.append("Nothing changes: the images are so already. Nothing is entered in the log.")
    makes = not dry_run and (rows > 0 or _ahead(desk, decision))
    if makes:
        desk.dataset.enter_decision(decision)
    return DecisionResult(
        data=desk.dataset.name,
        made=makes,
        number=len(desk.decisions) + 1 if makes else None,
        decision=decision,
        images=images,
        rows=rows,
        kept=sum(now_has.values()),
        classes=classes,
        messages=tuple(told),
    )


def _ahead(desk: Desk, decision: Decision) -> bool:
    """Return whether a rule is new, so that it says something about images still to come."""
    rules = {(one.action, one.where, one.label) for one in standing(desk.decisions)}
    rule = (decision.action, decision.where, decision.label)
    return bool(decision.where) and decision.action != "include" and rule not in rules


def _on_classes(classes: Sequence[ClassChange]) -> list[str]:
    """Return sentences on the classes that a decision leaves too small."""
    shrunk = [one for one in classes if one.after < one.before]
    told = [f"'{one.label}' is left without any image." for one in shrunk if not one.after]
    told += [
        f"'{one.label}' is left with {one.after} image{'s' if one.after > 1 else ''}: too few to judge"
        " (10 or more are wanted)."
        for one in shrunk
        if 0 < one.after < FEWEST
    ]
    left = sum(one.after > 0 for one in classes)
    if shrunk and left < 2:
        told.append(
            f"{left} class{'' if left == 1 else 'es'} left: nothing can be trained on that."
        )
    return told


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # No name for this user, as in some containers.
        return ""
