"""Shortcuts: whether a class can be told by how its images were made, rather than by what they show."""

from collections.abc import Iterator
from shlex import quote

import numpy as np

from affinage.auditing.evidence import Evidence
from affinage.auditing.shortcut_cues import Cue, cues, thumbnail_cue
from affinage.auditing.shortcut_prediction import FEWEST, Told, balanced_accuracy, chance, tell
from affinage.auditing.words import count, lines
from affinage.records.finding import Finding, Severity
from affinage.records.words import in_percent

SHARED = 4.0
"""Sources that a class must effectively come from for a grouped split to part them."""

_REMEDIES = {
    "shortcut-dimensions": "Bring all images to one size and shape, then: affinage audit DATA",
    "shortcut-file-size": "See what differs, save all files alike, then audit again: affinage sample"
    " DATA --finding shortcut-file-size",
    "shortcut-encoding": "Save all images in one format and quality, then: affinage audit DATA",
    "shortcut-camera": "Add images of every class from every camera; these are all from one kind: affinage"
    " sample DATA --finding shortcut-camera",
    "shortcut-software": "Pass all images through the same programs, then: affinage audit DATA",
    "shortcut-source": "affinage split DATA --group {column}",
    "shortcut-thumbnail": "See whether another place or light gives them away: affinage sample DATA"
    " --finding shortcut-thumbnail",
    "shortcut-border": "See whether their border gives them away, and cut it off: affinage sample DATA"
    " --finding shortcut-border",
}


def shortcuts(evidence: Evidence) -> Iterator[Finding]:
    """Yield the cues that give a class away: file size, dimensions, encoding, source, border and so on.

    Each is learnt by a small predictor in five-fold cross-validation. A cue is a shortcut where the
    predictor answers some class for its own images so much more often than for the others' (Youden's
    index) that honest image sets stay below it; the mean over all classes would hide that one of many
    was saved in another way. Colours are honest information, so a thumbnail makes a note only, and only
    where its edge, which seldom shows the thing itself, gives a class away.

    Source:
        Youden, Index for Rating Diagnostic Tests, 1950; Torralba & Efros, Unbiased Look at Dataset
        Bias, 2011.
    """
    if len(evidence.classes) < 2 or len(evidence.ids) < 2 * FEWEST:
        return
    for cue in cues(evidence):
        told = tell(cue, evidence)
        given_away = [
            label
            for label in np.argsort(-np.nan_to_num(told.edge), kind="stable").tolist()
            if told.edge[label] >= cue.bar and told.surely[label] >= _least(cue)
        ]
        if given_away:
            yield _finding(cue, told, given_away, evidence)


def _least(cue: Cue) -> float:
    """Return what the lower bound must reach: more where honest images come near the bar."""
    return cue.bar - 0.1 if cue.kind == "pixels" else cue.bar / 2


def _finding(cue: Cue, told: Told, given_away: list[int], evidence: Evidence) -> Finding:
    rows = np.arange(len(evidence.labels)) if cue.rows is None else cue.rows
    names, ids, paths = evidence.classes, evidence.ids, evidence.paths
    worst = given_away[0]
    caught = np.isin(told.labels, given_away) & (told.answers == told.labels)
    shown = rows[caught].tolist()
    more = f", and {count(len(given_away) - 1, 'further class', 'further classes')}"
    return Finding(
        code=cue.code,
        severity=_severity(cue, given_away, evidence),
        subject=f"'{names[worst]}'{more if len(given_away) > 1 else ''} can be told from {cue.what}"
        f" alone: a model may learn that instead of what the images show.",
        evidence=(
            _score(told, len(names)),
            *lines(_share(told, label, names[label]) for label in given_away),
            *_difference(cue, told, worst, names[worst]),
            *_whole_thumbnail(cue, evidence),
        ),
        remedy=_REMEDIES[cue.code].format(column=quote(evidence.group or "")),
        images=tuple(paths[row] for row in shown),
        ids=tuple(ids[row] for row in shown),
        cost=float(sum(told.edge[k] * (evidence.labels == k).mean() for k in given_away)),
    )


def _severity(cue: Cue, given_away: list[int], evidence: Evidence) -> Severity:
    """A class from many sources of its own is natural, and a grouped split suffices: a note."""
    if cue.kind == "pixels":
        return "note"
    if cue.code != "shortcut-source":
        return "warning"
    for label in given_away:
        own = cue.values[evidence.labels == label]
        _, sizes = np.unique(own, return_counts=True)
        if float(sizes.sum() ** 2 / (sizes**2).sum()) < SHARED:
            return "warning"
    return "note"


def _score(told: Told, classes: int) -> str:
    found = balanced_accuracy(told, classes)
    return (
        f"balanced accuracy of the cue alone: {in_percent(found.value, 1)} [{in_percent(found.low, 1)},"
        f" {in_percent(found.high, 1)}] on {found.n:,} images,"
        f" {in_percent(chance(told, classes), 1)} at most by chance"
    )


def _share(told: Told, label: int, name: str) -> str:
    own = told.labels == label
    hits, alarms = (told.answers[own] == label).mean(), (told.answers[~own] == label).mean()
    return f"'{name}' is answered for {in_percent(hits)} of its images and {in_percent(alarms)} of the others"


def _difference(cue: Cue, told: Told, label: int, name: str) -> Iterator[str]:
    """Yield what the images of a class have, and what the others have."""
    own = told.labels == label
    if cue.kind == "names":
        values = cue.values.astype(np.intp)
        shares = [np.bincount(values[rows], minlength=len(cue.names)) for rows in (own, ~own)]
        inside, outside = (np.divide(share, max(1, share.sum())) for share in shares)
        for value in np.argsort(outside - inside, kind="stable")[:2].tolist():
            if inside[value] > outside[value]:
                yield (
                    f"'{cue.names[value]}': {in_percent(inside[value])} of '{name}',"
                    f" {in_percent(outside[value])} of the others"
                )
        return
    for number, column in enumerate(cue.names[:2]):
        numbers = cue.values[:, number]
        yield (
            f"{column}, median: {np.median(numbers[own]):.4g} for '{name}',"
            f" {np.median(numbers[~own]):.4g} for the others"
        )


def _whole_thumbnail(cue: Cue, evidence: Evidence) -> Iterator[str]:
    whole = thumbnail_cue(evidence) if cue.kind == "pixels" else None
    if whole is not None:
        found = balanced_accuracy(tell(whole, evidence), len(evidence.classes))
        yield f"balanced accuracy of the whole 8 × 8 thumbnail: {in_percent(found.value, 1)}"
