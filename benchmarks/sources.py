"""Planted bad sources found, against a tally of cleanlab's label issues per source, same features."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from affinage.auditing.evidence import Evidence
from affinage.auditing.group_gap import group_gap
from affinage.auditing.source_quality import judge_sources
from affinage.metrics.intervals import wilson
from affinage.records.finding import Pair
from benchmarks.labels import evidence_of

SETS = (
    # name, where foreign images come from, sources, repetitions with the default AFFINAGE_SEEDS.
    ("flowers12", "mushrooms4", 40, 10),
    ("flowers12", "malaria", 40, 10),
    ("mushrooms4", "flowers12", 35, 10),
    ("mushrooms4", "malaria", 35, 10),
    ("malaria", "flowers12", 45, 10),
    ("cifar10", "flowers12", 150, 4),
)
FAULTS = ("wrong", "off", "copy")
BAD, LEAST, SHARE, PURE, NEAR = 0.15, 10, (0.3, 0.8), 0.3, 0.01
"""Share of sources that are bad, images of a bad one at least, share of its images that are, share of
sources that hold one class only, and pairs of copies at random as a share of the images."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A set with invented sources.

    Attributes:
        evidence: With the column `domain`.
        bad: Fault, share and number of images of each bad source.
    """

    evidence: Evidence
    bad: dict[str, tuple[str, float, int]]


def sources(samples: Path) -> dict[str, Any]:
    """Return precision and recall of planted bad sources, false alarms without any, and times."""
    figures: dict[str, Any] = {}
    loaded = {name: evidence_of(samples / name) for name in {row[0] for row in SETS}}
    right = reported = 0
    for name, other, size, repeated in SETS:
        seeds = range(min(repeated, int(os.environ.get("AFFINAGE_SEEDS", "10"))))
        rows = np.array([_row(loaded[name], loaded[other], size, seed) for seed in seeds])
        figures[f"{name} with {other}"] = _line(rows)
        right, reported = right + int(rows[:, 0].sum()), reported + int(rows[:, 1].sum())
        clean = [_false_alarms(loaded[name], size, 2000 + seed) for seed in seeds]
        figures[f"{name} with no bad source"] = f"{sum(clean)} of {size * len(clean)} reported"
    figures["all reported"] = f"{right} of {reported} truly bad: {_interval(right, reported)}"
    slides = evidence_of(samples / "malaria" / "labels.csv")
    [gap] = group_gap(replace(slides, group="slide"))
    figures["malaria by slide"] = gap.evidence[0]
    return figures


def plant(evidence: Evidence, foreign: NDArray[np.float32], sources: int, seed: int) -> Planted:
    """Return a set dealt to sources of Zipf sizes, of which some get wrong labels, images or copies."""
    random = np.random.default_rng(1000 + seed)
    source = deal(evidence.labels, sources, random)
    features, labels = np.array(evidence.features), evidence.labels.copy()
    sizes = np.bincount(source, minlength=sources)
    large = [which for which in range(sources) if sizes[which] >= LEAST]
    bad: dict[str, tuple[str, float, int]] = {}
    pairs = []
    for number, which in enumerate(random.permutation(large)[: round(BAD * sources)].tolist()):
        fault, share = FAULTS[number % len(FAULTS)], float(random.uniform(*SHARE))
        own = np.flatnonzero(source == which)
        hit = random.permutation(own)[: max(2, round(share * len(own)))]
        if fault == "wrong":
            labels[hit] += random.integers(1, len(evidence.classes), len(hit))
            labels[hit] %= len(evidence.classes)
        elif fault == "off":
            features[hit] = foreign[random.permutation(len(foreign))[: len(hit)]]
        else:
            pairs += list(zip(hit.tolist(), np.roll(hit, 1).tolist(), strict=True))
        bad[_name(which)] = (fault, share, len(own))
    pairs += random.integers(0, len(labels), (round(NEAR * len(labels)), 2)).tolist()
    changed = replace(evidence, features=features, labels=labels)
    return Planted(evidence=_sourced(changed, source, pairs), bad=bad)


def deal(labels: NDArray[np.int64], sources: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return a source for each image: sizes as 1 over the rank, some sources of one class only."""
    sizes = 1 / np.arange(1, sources + 1)
    sizes = np.maximum(3, (sizes / sizes.sum() * len(labels)).astype(np.int64))
    source = np.full(len(labels), -1)
    order = random.permutation(len(labels))
    for which in random.permutation(sources).tolist():
        free = order[source[order] < 0]
        one = int(random.integers(labels.max() + 1))
        pure = random.random() < PURE and sizes[which] <= 0.4 * (labels == one).sum()
        chosen = free[labels[free] == one] if pure else free
        source[chosen[: sizes[which]]] = which
    left = source < 0
    source[left] = random.integers(0, sources, left.sum())
    return source


def _name(source: int) -> str:
    return f"site{source:03d}.example"


def _sourced(evidence: Evidence, source: NDArray[np.int64], pairs: list[Any]) -> Evidence:
    ids = evidence.ids
    domains = pl.DataFrame({"image": ids, "domain": [_name(which) for which in source.tolist()]})
    table = evidence.manifest.table.join(domains, on="image", how="left")
    near = (Pair(first=ids[a], second=ids[b], first_id=ids[a], second_id=ids[b]) for a, b in pairs)
    return replace(
        evidence,
        images=evidence.images.with_columns(domains["domain"]),
        manifest=replace(evidence.manifest, table=table),
        near=tuple(near),
        group="domain",
    )


def _row(evidence: Evidence, other: Evidence, sources: int, seed: int) -> tuple[float, ...]:
    """Return right, reported, bad; of those with 20 images: right, bad; seconds; the peer's."""
    assert other.features is not None
    planted = plant(evidence, other.features, sources, seed)
    began = time.perf_counter()
    judgement = judge_sources(planted.evidence)
    seconds = time.perf_counter() - began
    assert judgement is not None
    found = {report.value for report in judgement.suspicious}
    large = {name for name, (_, _, n) in planted.bad.items() if n >= 20}
    tallied = _tally(planted.evidence)
    return (
        len(found & set(planted.bad)),
        len(found),
        len(planted.bad),
        len(found & large),
        len(large),
        seconds,
        len(tallied & set(planted.bad)),
        len(tallied),
    )


def _tally(evidence: Evidence) -> set[str]:
    """Return the sources with more of cleanlab's label issues than the whole set, p at most 0.05."""
    features, domain = evidence.features, evidence.images["domain"].to_numpy()
    answers = cross_val_predict(
        LogisticRegression(), features, evidence.labels, method="predict_proba"
    )
    issue = find_label_issues(evidence.labels, answers, n_jobs=1)
    found = set()
    for name in np.unique(domain).tolist():
        own = issue[domain == name]
        if len(own) >= 5 and binom.sf(own.sum() - 1, len(own), issue.mean()) <= 0.05:
            found.add(name)
    return found


def _false_alarms(evidence: Evidence, sources: int, seed: int) -> int:
    source = deal(evidence.labels, sources, np.random.default_rng(seed))
    judgement = judge_sources(_sourced(evidence, source, []))
    assert judgement is not None
    return len(judgement.suspicious)


def _line(rows: NDArray[np.float64]) -> str:
    right, reported, bad, right_large, large, _, peer_right, peer_reported = rows.sum(
        axis=0
    ).astype(int)
    return (
        f"recall {right / bad:.3f} of {bad} ({right_large} of {large} with 20 images or more),"
        f" precision {right / max(1, reported):.3f}, {np.median(rows[:, 5]):.1f} s;"
        f" cleanlab's issues tallied: recall {peer_right / bad:.3f},"
        f" precision {peer_right / max(1, peer_reported):.3f}"
    )


def _interval(right: int, reported: int) -> str:
    found = wilson(right, reported)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
