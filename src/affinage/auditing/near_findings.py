"""What near-duplicates do: repeat an image, contradict a label, or leak into what judges."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypedDict

from affinage.auditing.evidence import Evidence
from affinage.auditing.words import count, lines
from affinage.metrics.intervals import wilson
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding, Pair
from affinage.records.linked import groups_of
from affinage.records.split import Split
from affinage.records.words import in_percent

RIGHT, JUDGED = 351, 352
"""Of the reported pairs of five image sets, judged one by one by eye: docs/log.md."""

_BLOCKING = 0.02
_PARTS_THAT_JUDGE = ("test", "validation")


def near_duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Yield copies of one photograph under one label and within one part."""
    facts = _Facts(evidence)
    pairs = [pair for pair in evidence.near or () if facts.same(pair)]
    if not pairs:
        return
    groups = groups_of(pairs)
    second_copies = len(groups) - len(set(groups.values()))
    yield Finding(
        code="near-duplicates",
        severity="note",
        subject=f"{count(second_copies, 'image')} that {'is a copy' if second_copies == 1 else 'are copies'}"
        " of another one, cropped, resized, mirrored, captioned or compressed anew"
        f" ({count(len(set(groups.values())), 'group')}).",
        evidence=_shown(pairs),
        remedy="affinage exclude DATA --finding near-duplicates",
        cost=second_copies / len(evidence.ids),
        **_spoken_of(pairs),
    )


def near_conflicts(evidence: Evidence) -> Iterator[Finding]:
    """Yield copies of one photograph under different labels: at most one of them is right."""
    facts = _Facts(evidence)
    pairs = [pair for pair in evidence.near or () if facts.differ(pair)]
    if not pairs:
        return
    images = {image for pair in pairs for image in (pair.first_id, pair.second_id)}
    yield Finding(
        code="near-conflicts",
        severity="warning",
        subject=f"{count(len(images), 'image')} that {'is a copy' if len(images) == 1 else 'are copies'}"
        f" of one another under different labels ({count(len(pairs), 'pair')}): which label is right?",
        evidence=_shown(pairs, facts.labels),
        remedy="affinage exclude DATA --finding near-conflicts",
        suggestions=_outvoted(evidence, pairs, facts.labels),
        # One of the two labels is wrong, nobody knows which.
        cost=len(images) / 2 / len(evidence.ids),
        **_spoken_of(pairs),
    )


def leaks_across_parts(evidence: Evidence) -> Iterator[Finding]:
    """Yield copies of one photograph in two parts: what judges was learnt from."""
    split = evidence.split
    pairs = [pair for pair in evidence.near or () if split and _crosses(pair, split)]
    if split is None or not pairs:
        return
    judge = next((part for part in _PARTS_THAT_JUDGE if getattr(split, part)), "test")
    judging = getattr(split, judge) & set(evidence.ids)
    leaked = {image for pair in pairs for image in _judged_after_learning(pair, split, judge)}
    given = evidence.manifest.kept["part"].drop_nulls().len() > 0
    share = len(leaked) / max(1, len(judging))
    subject = (
        f"{len(leaked):,} of {len(judging):,} {judge} images ({in_percent(share, 1)}) have a copy in what a"
        " model is learnt or chosen from: their score is a memory test."
        if leaked
        else f"{count(len(pairs), 'pair')} of copies in two parts."
    )
    yield Finding(
        code="leaks-across-parts",
        severity="blocking" if share > _BLOCKING else "warning",
        subject=subject,
        evidence=_shown(pairs),
        remedy=f"affinage split DATA {'--recut' if given else '--seed 1'}",
        cost=share,
        **_spoken_of(pairs),
    )


class _Spoken(TypedDict):
    pairs: tuple[Pair, ...]
    ids: tuple[str, ...]
    images: tuple[str, ...]
    hit_rate: Estimate


class _Facts:
    """Label and part of each image, by its id."""

    def __init__(self, evidence: Evidence) -> None:
        names = (evidence.classes[index] for index in evidence.labels.tolist())
        self.labels: dict[str, str] = dict(zip(evidence.ids, names, strict=True))
        self._split = evidence.split

    def differ(self, pair: Pair) -> bool:
        return self.labels[pair.first_id] != self.labels[pair.second_id]

    def same(self, pair: Pair) -> bool:
        crosses = self._split is not None and _crosses(pair, self._split)
        return not self.differ(pair) and not crosses


def _crosses(pair: Pair, split: Split) -> bool:
    one, other = split.part_of(pair.first_id), split.part_of(pair.second_id)
    return one is not None and other is not None and one != other and not split.closed_set


def _judged_after_learning(pair: Pair, split: Split, judge: str) -> Iterator[str]:
    """Yield the images of a pair that judge, where the other one is learnt or chosen from."""
    parts = {image: split.part_of(image) for image in (pair.first_id, pair.second_id)}
    yield from (image for image, part in parts.items() if part == judge)


def _outvoted(
    evidence: Evidence, pairs: Sequence[Pair], labels: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return (image id, label) where more than half of all its copies agree on another label."""
    conflicting = {image for pair in pairs for image in (pair.first_id, pair.second_id)}
    groups = groups_of(evidence.near or ())
    votes: dict[str, Counter[str]] = {}
    for image, group in groups.items():
        votes.setdefault(group, Counter())[labels[image]] += 1
    suggested = []
    for image in sorted(conflicting):
        label, supporters = votes[groups[image]].most_common(1)[0]
        if label != labels[image] and supporters > votes[groups[image]].total() / 2:
            suggested.append((image, label))
    return tuple(suggested)


def _shown(pairs: Sequence[Pair], labels: dict[str, str] | None = None) -> tuple[str, ...]:
    return lines(
        f"{pair.first} ≈ {pair.second}"
        + (f" ({labels[pair.first_id]} or {labels[pair.second_id]})" if labels else "")
        for pair in pairs
    )


def _spoken_of(pairs: Sequence[Pair]) -> _Spoken:
    names = {
        image: path
        for pair in pairs
        for image, path in ((pair.first_id, pair.first), (pair.second_id, pair.second))
    }
    return {
        "pairs": tuple(pairs),
        "ids": tuple(names),
        "images": tuple(names.values()),
        "hit_rate": wilson(RIGHT, JUDGED),
    }
