"""Wrong labels and off-topic images: injected cases found, against cleanlab's defaults, same features."""

import itertools
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.off_topic import apartness
from affinage.auditing.off_topic_tail import best_cut
from affinage.auditing.wrong_labels import hit_rate, judge_labels
from affinage.datasets.sources import scan
from affinage.heads.out_of_fold import out_of_fold
from affinage.imaging.batches import Item
from affinage.inference.features import cache_facts, cached_features
from affinage.metrics.intervals import wilson
from affinage.models.build import build_backbone, stack
from affinage.records.manifest import SCHEMA, Manifest
from affinage.records.networks import ModelSettings
from affinage.records.recipe import Recipe
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.session import make_engine, place

SETS = ("flowers12", "mushrooms4", "malaria", "cifar10")
RATES = (0.05, 0.1, 0.2)
KINDS = ("uniform", "confused")
SHARES = (0.03, 0.1)

Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]


def wrong_labels(samples: Path) -> dict[str, Any]:
    """Return precision among the first k (k = injected), and promised against true hit rates."""
    figures: dict[str, Any] = {}
    gaps: list[float] = []
    for name in SETS:
        evidence = evidence_of(samples / name)
        for rate in RATES:
            for kind in KINDS:
                rows = [_row(evidence, rate, kind, seed) for seed in range(_seeds(name))]
                table = np.array(rows)
                figures[f"{name} {rate:.0%} {kind}"] = _line(table)
                print(name, rate, kind, figures[f"{name} {rate:.0%} {kind}"], flush=True)
                gaps.append(float(np.nanmean(table[:, 3] - table[:, 4])))
        judged = judge_labels(_features(evidence), evidence.labels, len(evidence.classes))
        figures[f"{name} as it is"] = f"{(judged.wrong > 0.5).sum()} of {len(evidence.labels)}"
    figures["promised - true over settings"] = (
        f"within 5 points in {sum(abs(gap) <= 0.05 for gap in gaps)} of {len(gaps)},"
        f" root mean square {np.sqrt(np.mean(np.square(gaps))):.3f}"
    )
    return figures


def label_promises(samples: Path) -> dict[str, Any]:
    """Return how far promised and true hit rates are apart in random cases, and what intervals hold.

    Each case takes some classes and some images of a set, and makes 2 to 25 % of the labels wrong.
    `AFFINAGE_CASES` sets how many there are (80 by default, about 1 s each).
    """
    pool = [(_features(one), one.labels) for one in map(evidence_of, (samples / n for n in SETS))]
    digits = load_digits()
    pool.append((digits.data.astype(np.float32), digits.target.astype(np.int64)))
    rows = []
    for case in range(int(os.environ.get("AFFINAGE_CASES", "80"))):
        random = np.random.default_rng(case)
        part = _some(*pool[case % len(pool)], random)
        rate = float(np.exp(random.uniform(np.log(0.02), np.log(0.25))))
        labels, wrong = inject(part, rate, KINDS[int(random.integers(2))], case)
        chances = judge_labels(_features(part), labels, len(part.classes)).wrong
        doubted = chances > 0.5
        if doubted.any():
            promise = hit_rate(chances[doubted])
            true = float(wrong[doubted].mean())
            held = (promise.low or 0) <= true <= (promise.high or 1)
            rows.append((promise.n, (promise.value or 0) - true, held))
    table = np.array(rows, dtype=float)
    figures: dict[str, Any] = {
        "cases with anything reported": len(table),
        "interval holds the truth": _in_words(table[:, 2] > 0),
    }
    for low, high in ((1, 20), (20, 60), (60, 10**6)):
        gaps = table[(table[:, 0] >= low) & (table[:, 0] < high), 1]
        figures[f"{low} to {high - 1} reported"] = (
            f"promised - true: mean {gaps.mean():+.3f}, root mean square"
            f" {np.sqrt((gaps**2).mean()):.3f}, n={len(gaps)}"
        )
    return figures


def _some(features: NDArray[np.float32], labels: Labels, random: np.random.Generator) -> Evidence:
    """Return 150 to 2,000 images of 2 or more classes."""
    every = int(labels.max()) + 1
    chosen = random.permutation(every)[: int(random.integers(2, every + 1))]
    most = int(np.exp(random.uniform(np.log(150), np.log(2000))))
    rows = np.sort(random.permutation(np.flatnonzero(np.isin(labels, chosen)))[:most])
    names, own = np.unique(labels[rows], return_inverse=True)
    return Evidence(
        manifest=Manifest(table=pl.DataFrame(schema=SCHEMA)),
        images=pl.DataFrame(),
        labels=own.astype(np.int64),
        classes=tuple(map(str, names.tolist())),
        features=features[rows],
    )


def _in_words(held: Flags) -> str:
    found = wilson(int(held.sum()), len(held))
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] of {found.n}"


def off_topic(samples: Path) -> dict[str, Any]:
    """Return recall and precision of what is reported, and the ranking's precision at recall 0.8."""
    sets = {name: evidence_of(samples / name) for name in SETS}
    figures: dict[str, Any] = {
        f"{name} as it is": best_cut(apartness(_features(found), found.labels)) or "nothing"
        for name, found in sets.items()
    }
    rows = []
    for name, other in itertools.permutations(SETS, 2):
        for share in SHARES:
            row = _planted(sets[name], sets[other], share, seed=0)
            figures[f"{name} with {share:.0%} of {other}"] = (
                f"ranking {row[0]:.2f}, reported: recall {row[1]:.2f}, precision {row[2]:.2f},"
                f" promised {row[3]:.2f}"
            )
            rows.append(row)
    table = np.array(rows)
    good = (table[:, 1] >= 0.8) & (table[:, 2] >= 0.9)
    figures["recall at least 0.8 and precision at least 0.9"] = f"{good.sum()} of {len(good)}"
    figures["promised - true, mean"] = f"{np.nanmean(table[:, 3] - table[:, 2]):+.3f}"
    return figures


def evidence_of(folder: Path) -> Evidence:
    """Return a sample set with features of the frozen default backbone."""
    found = scan([folder], classes_needed=1)
    evidence = gather(found.manifest, ignored=found.ignored)
    items = [
        Item(image=image, path=place(found.manifest, source, path))
        for image, source, path in evidence.images.select("image", "source", "path").iter_rows()
    ]
    backbone, engine = build_backbone(ModelSettings()), make_engine(Recipe())
    facts = cache_facts(backbone, engine, versions={"timm": backbone.timm_version})
    cache = FeatureCache(Path(os.environ.get("AFFINAGE_CACHE", "/tmp/affinage-bench")), facts)
    rows = cached_features(stack(backbone, classes=2), items, engine, cache).rows
    return Evidence(
        manifest=evidence.manifest,
        images=evidence.images,
        labels=evidence.labels,
        classes=evidence.classes,
        features=np.asarray(rows),
    )


def inject(evidence: Evidence, rate: float, kind: str, seed: int) -> tuple[Labels, Flags]:
    """Return labels of which a share is wrong, and which these are.

    `uniform` takes any image and any other class. `confused` takes half of the classes four times
    as often as the others (never the others, of two), and always the class with the nearest mean.
    """
    labels, classes = evidence.labels, len(evidence.classes)
    random = np.random.default_rng(seed)
    n, wanted = len(labels), round(rate * len(labels))
    changed, wrong = labels.copy(), np.zeros(len(labels), dtype=bool)
    if kind == "uniform":
        chosen = random.choice(n, wanted, replace=False)
        changed[chosen] = (labels[chosen] + random.integers(1, classes, wanted)) % classes
    else:
        means = np.stack([_features(evidence)[labels == c].mean(axis=0) for c in range(classes)])
        far = ((means[:, None] - means[None]) ** 2).sum(axis=2)
        np.fill_diagonal(far, np.inf)
        often = random.permutation(classes)[: (classes + 1) // 2]
        seldom = 0.0 if classes == 2 else 0.25
        weight = np.where(np.isin(np.arange(classes), often), 1.0, seldom)[labels]
        chosen = random.choice(n, wanted, replace=False, p=weight / weight.sum())
        changed[chosen] = far.argmin(axis=1)[labels[chosen]]
    wrong[chosen] = True
    return changed, wrong


def _row(evidence: Evidence, rate: float, kind: str, seed: int) -> tuple[float, ...]:
    labels, wrong = inject(evidence, rate, kind, seed)
    began = time.perf_counter()
    judged = judge_labels(_features(evidence), labels, len(evidence.classes))
    seconds = time.perf_counter() - began
    doubted = judged.wrong > 0.5
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # Its defaults stop after 100 steps.
        plain = cross_val_predict(
            LogisticRegression(), _features(evidence), labels, method="predict_proba"
        )
    peer = _cleanlab(labels, plain, wrong)
    peer_seconds = time.perf_counter() - began
    own = out_of_fold(
        _features(evidence), labels, len(evidence.classes), penalty=0.1, ids=evidence.ids
    )
    return (
        _precision(np.argsort(-judged.wrong, kind="stable"), wrong),
        peer,
        _cleanlab(labels, own, wrong),
        float(judged.wrong[doubted].mean()) if doubted.any() else np.nan,
        float(wrong[doubted].mean()) if doubted.any() else np.nan,
        float(doubted.sum()),
        seconds,
        peer_seconds,
    )


def _planted(evidence: Evidence, other: Evidence, share: float, seed: int) -> tuple[float, ...]:
    """Return precision at recall 0.8, recall, precision and promise with images of another set."""
    random = np.random.default_rng(seed)
    kept = random.permutation(len(evidence.labels))[:2000]
    planted = random.permutation(len(other.labels))[: round(share * len(kept))]
    features = np.concatenate([_features(evidence)[kept], _features(other)[planted]])
    guessed = random.integers(0, len(evidence.classes), len(planted))
    scores = apartness(features, np.concatenate([evidence.labels[kept], guessed]))
    alien = np.arange(len(scores)) >= len(kept)
    hits = np.cumsum(alien[np.argsort(-scores, kind="stable")])
    first = int(np.searchsorted(hits, np.ceil(0.8 * alien.sum()))) + 1
    cut = best_cut(scores)
    if cut is None:
        return hits[first - 1] / first, 0.0, np.nan, np.nan
    apart = scores > cut.threshold
    recall, precision = float(apart[alien].mean()), float(alien[apart].mean())
    return hits[first - 1] / first, recall, precision, 1 - cut.expected / cut.above


def _cleanlab(labels: Labels, probabilities: NDArray[np.floating], wrong: Flags) -> float:
    """Return the precision of its issues in its order, then of the rest by self-confidence."""
    quality = get_label_quality_scores(labels, probabilities)
    issues = find_label_issues(
        labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    quality[issues] -= 2
    return _precision(np.argsort(quality, kind="stable"), wrong)


def _precision(order: NDArray[np.intp], wrong: Flags) -> float:
    return float(wrong[order[: wrong.sum()]].mean())


def _line(table: NDArray[np.float64]) -> str:
    ours, peer, tuned, promised, true, doubted, seconds, peer_seconds = np.nanmean(table, axis=0)
    return (
        f"precision at k {ours:.3f}, cleanlab {peer:.3f},"
        f" difference {_difference(table[:, 0] - table[:, 1])};"
        f" cleanlab with our head {tuned:.3f}; promised {promised:.3f}, true {true:.3f}"
        f" of {doubted:.0f} reported; {seconds:.1f} s, cleanlab {peer_seconds:.1f} s; n={len(table)} seeds"
    )


def _difference(gaps: NDArray[np.float64]) -> str:
    half = float(t.ppf(0.975, len(gaps) - 1)) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return f"{gaps.mean():+.3f} [{gaps.mean() - half:+.3f}, {gaps.mean() + half:+.3f}]"


def _features(evidence: Evidence) -> NDArray[np.float32]:
    assert evidence.features is not None
    return evidence.features


def _seeds(name: str) -> int:
    asked = int(os.environ.get("AFFINAGE_SEEDS", "5"))
    return max(2, asked // 2) if name == "cifar10" else asked  # Ten times the images.
