"""The verb `relabel`: give images another label, one by one, by a finding, a rule or a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from affinage.datasets.decisions import EXCLUDED
from affinage.datasets.label_tables import read_labels
from affinage.datasets.places import escape, normal_label
from affinage.datasets.rules import nearest
from affinage.datasets.selection import Selection, find_images, findings_of, select
from affinage.errors import DataError
from affinage.records.decision import DecisionResult
from affinage.records.manifest import Manifest
from affinage.workflows.deciding import Desk, decide, decision_of, open_desk


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which images get which label."""

    selection: Selection
    labels: Mapping[str, str] = field(default_factory=dict)  # By image id.
    label: str | None = None  # Of whatever the selection's rule names.


def relabel(
    data: str | Path,
    *,
    label: str | None = None,
    where: str | Sequence[str] = (),
    finding: str | None = None,
    images: str | Sequence[str] = (),
    table: str | Path | None = None,
    new_class: bool = False,
    reason: str = "",
    dry_run: bool = False,
) -> DecisionResult:
    """Give images another label, and return how many images each class has before and after.

    The user's files are not touched; `raw_label` keeps what the source says.

    Args:
        data: The data set's folder.
        label: The new label of whatever `images`, `where` or `finding` names.
        where: A rule, as for `exclude`; it gives rows that come later the label too.
        finding: Code of a finding of the last audit; without `label`, its own suggestions are taken.
        images: Ids, starts of ids, relative paths or files.
        table: A CSV or Parquet file with the columns `image` or `path`, and `label`.
        new_class: Labels that are no class yet are meant so.
        reason: Why, kept with the decision.
        dry_run: Only return what would change.

    Raises:
        DataError: If anything named is unknown (with the nearest), or nothing says which label.
    """
    desk = open_desk(data)
    rule, names = (
        (value,) if isinstance(value, str) else tuple(value) for value in (where, images)
    )
    if table is not None:
        if rule or names or finding or label is not None:
            raise DataError(
                "A table says itself which images get which label.", remedy="Give --table alone."
            )
        wanted = _by_table(desk.manifest, Path(table))
    elif finding is not None and label is None and not rule and not names:
        wanted = _by_suggestions(desk, finding)
    else:
        wanted = _by_hand(desk, label, rule, finding, names)
    spelt = _spellings(desk.manifest, wanted, new_class=new_class)
    decision = decision_of(
        "relabel",
        wanted.selection,
        finding=finding,
        reason=reason,
        labels={image: spelt[text] for image, text in wanted.labels.items()},
        label=None if wanted.label is None else spelt[wanted.label],
    )
    told = [*wanted.selection.messages, *_left_out(desk.manifest, wanted.selection.images)]
    return decide(desk, decision, dry_run=dry_run, messages=told)


def _by_table(manifest: Manifest, table: Path) -> _Wanted:
    rows = read_labels(table)
    found = find_images(manifest, list(rows))
    labels: dict[str, str] = {}
    for name, text in rows.items():
        if labels.setdefault(found[name], text) != text:
            raise DataError(
                f"The table gives '{name}' the label '{text}', and the same image under another name"
                f" '{labels[found[name]]}'.",
                remedy="Give each image one label.",
            )
    return _Wanted(selection=Selection(images=tuple(sorted(labels))), labels=labels)


def _by_suggestions(desk: Desk, code: str) -> _Wanted:
    told = findings_of(code, desk.dataset.load_findings())
    suggested = {image: text for one in reversed(told) for image, text in reversed(one.suggestions)}
    if not suggested:
        raise DataError(
            f"The finding '{code}' suggests no labels.", remedy="Say which: --label LABEL"
        )
    rows = desk.manifest.table.filter(pl.col("image").is_in(list(suggested)))
    labels = {image: suggested[image] for image in rows["image"].unique().to_list()}
    gone = len(suggested) - len(labels)
    return _Wanted(
        selection=Selection(
            images=tuple(sorted(labels)),
            messages=(f"{gone:,} suggested before are no longer in the data set.",) if gone else (),
        ),
        labels=labels,
    )


def _by_hand(
    desk: Desk, label: str | None, rule: Sequence[str], finding: str | None, names: Sequence[str]
) -> _Wanted:
    if label is None or normal_label(label) is None:
        raise DataError("Nothing says which label to give.", remedy="Say it: --label LABEL")
    selection = select(
        desk.manifest,
        where=rule,
        finding=finding,
        images=names,
        findings=desk.dataset.load_findings() if finding else (),
    )
    return _Wanted(
        selection=selection,
        labels=dict.fromkeys(selection.images, label),
        label=label if selection.where else None,
    )


def _spellings(manifest: Manifest, wanted: _Wanted, *, new_class: bool) -> dict[str, str]:
    """Return the spelling that each label gets: that of the class which differs by case only.

    Raises:
        DataError: If a label is no class, and nobody said that it is to be a new one.
    """
    asked = dict.fromkeys([*wanted.labels.values(), *filter(None, [wanted.label])])
    rows = manifest.table.select("label").drop_nulls().unique()["label"].sort().to_list()
    known = {label if len(label) == 1 else label.casefold(): label for label in rows}
    spelt = {text: _spelling(text, known) for text in asked}
    strange = [text for text in asked if spelt[text] not in rows]
    if strange and not new_class:
        near = nearest(strange[0], rows)
        raise DataError(
            f"There is no class {_listed(strange)}; there are {_listed(manifest.label_order)}.",
            remedy=f"Do you mean '{near}'? Add --new-class for a new class."
            if near
            else "Add --new-class for a new class.",
        )
    return spelt


def _spelling(text: str, known: Mapping[str, str]) -> str:
    plain = normal_label(escape(text)) or text
    return known.get(plain if len(plain) == 1 else plain.casefold(), plain)


def _listed(labels: Iterable[str]) -> str:
    names = [f"'{label}'" for label in labels]
    return ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")


def _left_out(manifest: Manifest, images: Sequence[str]) -> list[str]:
    rows = manifest.table.filter(
        pl.col("image").is_in(list(images)), pl.col("reason").str.starts_with(EXCLUDED)
    )
    count = rows["image"].n_unique()
    return [f"{count:,} of them are left out by a decision, and stay so."] if count else []
