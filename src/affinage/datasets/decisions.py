"""From a manifest as it was found and the owner's decisions to the manifest that is used."""

from collections.abc import Sequence

import polars as pl

from affinage.datasets.conflicts import judged, lifted, with_status
from affinage.datasets.labels import in_order
from affinage.datasets.rules import meets, parse_rule
from affinage.records.decision import Decision, NumberedDecision
from affinage.records.manifest import Manifest

EXCLUDED = "excluded: "
"""How the reason of a row begins that a decision left out."""

_DECIDED = "_decided"


def numbered(decisions: Sequence[Decision]) -> list[NumberedDecision]:
    """Return decisions with their numbers, and whether each still stands.

    A decision stands unless a later one that stands undoes it: an undo can itself be undone.
    """
    undone: set[int] = set()
    made: list[NumberedDecision] = []
    for number, decision in reversed(list(enumerate(decisions, start=1))):
        stands = number not in undone
        if stands and decision.undoes is not None:
            undone.add(decision.undoes)
        made.append(NumberedDecision(number=number, decision=decision, stands=stands))
    return made[::-1]


def standing(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the decisions that stand and strike images, in order."""
    return [
        entry.decision
        for entry in numbered(decisions)
        if entry.stands and entry.decision.undoes is None
    ]


def apply_decisions(manifest: Manifest, decisions: Sequence[Decision]) -> Manifest:
    """Return a manifest in which the owner's decisions hold; the last that strikes a row wins.

    A decision strikes rows by their image, and by its rule: a row that came after it under the same
    rule is struck too. Only what would be kept can be left out: a file that cannot be read stays
    `failed`. Which images stand under two labels is judged anew, so that leaving one of the two
    rows out, or labelling the image, ends such a conflict.

    Args:
        manifest: As a scan or a collection made it.
        decisions: In the order in which they were made, undone ones included.

    Returns:
        The same rows: `status` is `excluded` and `reason` begins with `EXCLUDED` where a row was left
        out, `label` is the new one (`raw_label` stays); `label_order` names the classes that are left.
    """
    held = standing(decisions)
    if not held:
        return manifest
    table = lifted(manifest.table).with_columns(pl.lit(None, pl.String).alias(_DECIDED))
    for decision in held:
        table = _strike(table, decision)
    out = pl.col(_DECIDED).is_not_null() & (pl.col("status") == "kept")
    return judged(manifest, with_status(table, out, "excluded", pl.col(_DECIDED)).drop(_DECIDED))


def reason_of(decision: Decision) -> str:
    """Return what the rows that a decision leaves out give as their reason."""
    if decision.reason:
        return EXCLUDED + decision.reason
    if decision.where:
        return EXCLUDED + " and ".join(decision.where)
    if decision.finding:
        return f"{EXCLUDED}finding {decision.finding}"
    return f"{EXCLUDED}chosen one by one"


def _strike(table: pl.DataFrame, decision: Decision) -> pl.DataFrame:
    if decision.action == "relabel":
        return _relabel(table, decision)
    struck = _struck(table, decision)
    value = pl.lit(reason_of(decision) if decision.action == "exclude" else None, pl.String)
    return table.with_columns(pl.when(struck).then(value).otherwise(_DECIDED).alias(_DECIDED))


def _struck(table: pl.DataFrame, decision: Decision) -> pl.Expr:
    by_image = pl.col("image").is_in(list(decision.images)).fill_null(value=False)
    if not decision.where:
        return by_image
    return by_image | meets(table, parse_rule(decision.where))


def _relabel(table: pl.DataFrame, decision: Decision) -> pl.DataFrame:
    if decision.label is not None:
        struck, new = _struck(table, decision), pl.lit(decision.label)
        table = table.with_columns(pl.when(struck).then(new).otherwise("label").alias("label"))
    if not decision.labels:
        return table
    images, labels = zip(*decision.labels, strict=True)
    new_labels = pl.col("image").replace_strict(
        list(images), list(labels), default=pl.col("label"), return_dtype=pl.String
    )
    return table.with_columns(new_labels.alias("label"))


def class_counts(manifest: Manifest) -> dict[str, int]:
    """Return how many different images each class has, in the order of the classes."""
    kept = manifest.table.select("image", "label", "status").filter(pl.col("status") == "kept")
    counts = dict(kept.group_by("label").agg(pl.col("image").n_unique().alias("n")).iter_rows())
    return {label: counts[label] for label in in_order(filter(None, counts))}


def changed_images(before: Manifest, after: Manifest) -> int:
    """Return how many images are kept under another label, or kept in one of two manifests only.

    An image of which only some copies were left out is still kept, and not counted.
    """
    rows = pl.concat([_used(before).with_columns(then=True), _used(after).with_columns(then=False)])
    labels = rows.group_by("image", "label").agg(pl.col("then").n_unique().alias("times"))
    return labels.filter(pl.col("times") == 1)["image"].n_unique()


def changed_rows(before: Manifest, after: Manifest) -> int:
    """Return how many rows are used otherwise: not, again, or under another label.

    Args:
        before: A manifest.
        after: The same rows in the same order, with other labels or statuses.
    """
    kept = (pl.col("status") == "kept").alias("kept")
    was, now = (one.table.select(kept, pl.when(kept).then("label")) for one in (before, after))
    other = was["label"].ne_missing(now["label"]) | (was["kept"] != now["kept"])
    return int(other.sum())


def _used(manifest: Manifest) -> pl.DataFrame:
    used = manifest.table.select("image", "label", "status").filter(pl.col("status") == "kept")
    return used.select("image", "label").unique()
