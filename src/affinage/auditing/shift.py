"""Shift: whether the parts of a split differ more than chance would make them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from affinage.auditing.evidence import Evidence
from affinage.auditing.shift_tests import (
    TwoParts,
    area,
    kinds,
    quantities,
    told_apart,
    variation,
)
from affinage.auditing.source_features import compact
from affinage.auditing.source_signs import spread
from affinage.auditing.words import lines
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.words import in_percent

FEWEST = 20
"""Images below which a part is not compared."""

COMPARED = 5_000
"""Images of each part that are compared at most, a fair sample."""

APART, SURELY_APART = 0.65, 0.55
"""Area under the curve from which parts count as different, and what its interval must stay above. In 36
random splits of four image sets the highest was 0.57, in splits by slide 0.60 (docs/log.md)."""

FAR_APART = 0.75
"""The same for a single quantity, such as the brightness, that alone makes parts different."""

CHANGED, LABELS_CHANGED = 0.5, 0.15
"""Total variation from which the encodings or cameras, and the label shares, count as different."""

CHANCE = 1e-3
SHOWN = 24


def shift(evidence: Evidence) -> Iterator[Finding]:
    """Yield that the test or the validation part differs from the training part, and in what.

    Label shares are compared by themselves; all else within each label, so that the one does not
    pass for the other. Parts that were dealt at random stay silent, and so does a closed set.
    """
    part = _parts(evidence)
    for name in ("test", "validation"):
        if min((part == "train").sum(), (part == name).sum()) >= FEWEST:
            yield from _label_shift(evidence, part, name)
            yield from _look_shift(evidence, part, name)


def _parts(evidence: Evidence) -> NDArray[np.str_]:
    """Return the given part of each image, "" where it has none."""
    if evidence.split is None:
        return np.array([part or "" for part in evidence.images["part"].to_list()], dtype=np.str_)
    if evidence.split.closed_set:
        return np.full(len(evidence.ids), "", dtype=np.str_)
    found = [evidence.split.part_of(image) or "" for image in evidence.ids]
    return np.array(found, dtype=np.str_)


def _label_shift(evidence: Evidence, part: NDArray[np.str_], name: str) -> Iterator[Finding]:
    """Yield that the classes have other shares, by the chi-square test and by how much."""
    classes = len(evidence.classes)
    both = [np.bincount(evidence.labels[part == one], minlength=classes) for one in ("train", name)]
    present = np.flatnonzero(both[0] + both[1])
    if len(present) < 2:
        return
    counts = np.stack(both)[:, present]
    shares = counts / counts.sum(axis=1, keepdims=True)
    moved = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if moved < LABELS_CHANGED or chi2_contingency(counts).pvalue >= CHANCE:
        return
    order = np.argsort(-np.abs(shares[0] - shares[1]), kind="stable").tolist()
    yield Finding(
        code="label-shift",
        severity="warning",
        subject=f"The classes have other shares in '{name}' than in 'train': {in_percent(moved)} of its"
        " images would have to change class.",
        evidence=lines(
            f"'{evidence.classes[present[k]]}': {in_percent(shares[1, k])} of '{name}',"
            f" {in_percent(shares[0, k])} of 'train'"
            for k in order
        ),
        remedy="Judge by the balanced accuracy and by each class's recall.",
        cost=moved * float((part == name).mean()),
    )


def _look_shift(evidence: Evidence, part: NDArray[np.str_], name: str) -> Iterator[Finding]:
    """Yield that images of the same labels look otherwise in the part than in train."""
    chosen = [spread(part == one, COMPARED) for one in ("train", name)]
    rows = np.sort(np.concatenate(chosen))
    parts = TwoParts(
        ids=evidence.images["image"].gather(rows).to_list(),
        labels=evidence.labels[rows],
        second=part[rows] == name,
        groups=_groups(evidence, rows),
    )
    differing = list(_differing(evidence, rows, parts, name))
    apart, shown = _features_apart(evidence, rows, parts)
    if apart is None and not any(alone for _, alone in differing):
        return
    size = int((part == name).sum())
    yield Finding(
        code="shift",
        severity="warning",
        subject=f"Images in '{name}' ({size:,}) are not like those in 'train': its score tells of other"
        " images than were learnt.",
        evidence=(
            *([] if apart is None else [_ranked(apart, name)]),
            *(text for text, _ in differing),
        ),
        remedy="If the parts should be alike, deal them anew: affinage split DATA",
        images=tuple(evidence.images["path"].gather(shown).to_list()),
        ids=tuple(evidence.images["image"].gather(shown).to_list()),
        cost=(2 * APART - 1 if apart is None else 2 * (apart.value or 0) - 1) * size / len(part),
    )


def _features_apart(
    evidence: Evidence, rows: NDArray[np.intp], parts: TwoParts
) -> tuple[Estimate | None, list[int]]:
    """Return the area if features tell the parts apart, and the images that do so most clearly."""
    if evidence.features is None:
        return None, []
    found, scores = told_apart(compact(evidence.features[rows]), parts)
    if (found.value or 0) < APART or (found.low or 0) <= SURELY_APART:
        return None, []
    order = np.argsort(-np.where(parts.second, scores, -np.inf), kind="stable")
    return found, rows[order[: min(SHOWN, int(parts.second.sum()))]].tolist()


def _ranked(apart: Estimate, name: str) -> str:
    value, low, high = (end or 0 for end in (apart.value, apart.low, apart.high))
    return (
        f"a head on frozen features puts an image of '{name}' above one of 'train' with the same label"
        f" in {in_percent(value)} [{in_percent(low)}, {in_percent(high)}] of cases; 50 % is chance"
    )


def _groups(evidence: Evidence, rows: NDArray[np.intp]) -> list[str] | None:
    if evidence.group is None or evidence.group not in evidence.images.columns:
        return None
    values = evidence.images[evidence.group].to_list()
    return [
        f"image {row}" if values[row] is None else f"group {values[row]}" for row in rows.tolist()
    ]


def _differing(
    evidence: Evidence, rows: NDArray[np.intp], parts: TwoParts, name: str
) -> Iterator[tuple[str, bool]]:
    """Yield what differs, in words, and whether that alone makes the parts different."""
    for quantity, values in quantities(evidence):
        chosen = values[rows]
        found = area(chosen, parts.second, parts.labels)
        if found.value is None or found.low is None or found.high is None:
            continue
        far, surely = (
            (found.value, found.low) if found.value > 0.5 else (1 - found.value, 1 - found.high)
        )
        if far >= APART and surely > SURELY_APART:
            inside, outside = np.median(chosen[parts.second]), np.median(chosen[~parts.second])
            text = f"{quantity}, median: {inside:.3g} in '{name}', {outside:.3g} in 'train'"
            yield text, far >= FAR_APART
    for kind, given in kinds(evidence):
        names, index = np.unique(np.array(given, dtype=object), return_inverse=True)
        own = index.reshape(-1)[rows]
        moved, most = variation(own, parts.second, parts.labels)
        if moved >= CHANGED:
            shares = [(own[part] == most).mean() for part in (parts.second, ~parts.second)]
            here, there = in_percent(shares[0]), in_percent(shares[1])
            yield f"{kind} '{names[most]}': {here} of '{name}', {there} of 'train'", True
