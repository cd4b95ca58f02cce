"""The head at its optimum against scikit-learn's logistic regression, on the same real features."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS, IMAGES, PENALTY, FAR = 3, 2000, 1e-2, 1e-4


def heads(samples: Path) -> dict[str, Any]:
    """Time one fit each, in turn; the peer's tolerance is the loosest that comes as near the optimum."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    from affinage.heads.linear import fit_linear

    rows, labels = _features(samples)
    rows = rows - rows.mean(axis=0)
    rows /= np.sqrt((rows**2).mean())
    classes = int(labels.max()) + 1

    def loss(weight: Any, bias: Any) -> float:
        scores = rows @ np.asarray(weight).T + bias
        scores -= scores.max(axis=1, keepdims=True)
        right = scores[np.arange(len(rows)), labels]
        data = np.mean(np.log(np.exp(scores).sum(axis=1)) - right)
        return float(data + PENALTY / 2 * np.sum(np.square(weight)))

    def peer(tolerance: float) -> Any:
        model = LogisticRegression(
            C=1 / (PENALTY * len(rows)), tol=tolerance, max_iter=5000, solver="lbfgs"
        )
        return model.fit(rows, labels)

    with threadpool_limits(limits=1, user_api="blas"):
        exact = peer(1e-8)
        best = loss(exact.coef_, exact.intercept_)
        tolerance, gap = 1e-1, np.inf
        while gap > FAR * best and tolerance > 1e-8:
            tolerance /= 10
            near = peer(tolerance)
            gap = loss(near.coef_, near.intercept_) - best
    ours = fit_linear(rows, labels, classes, penalty=PENALTY)
    pairs = [
        (_seconds(lambda: peer(tolerance)),
         _seconds(lambda: fit_linear(rows, labels, classes, penalty=PENALTY)))
        for _ in range(ROUNDS)
    ]  # fmt: skip
    return {
        "images, features, classes": [*rows.shape, classes],
        "share of the optimum left to gain": round(loss(ours.weight, ours.bias) / best - 1, 7),
        "the same, scikit-learn": round(float(gap / best), 7),
        "scikit-learn's tolerance": tolerance,
        "seconds": round(statistics.median(mine[0] for _, mine in pairs), 2),
        "seconds, scikit-learn": round(statistics.median(other[0] for other, _ in pairs), 2),
        "ratio (goal: at least 5)": round(
            statistics.median(other[0] / mine[0] for other, mine in pairs), 2
        ),
        "ratio of processor time": round(
            statistics.median(other[1] / mine[1] for other, mine in pairs), 2
        ),
    }


def _features(samples: Path) -> tuple[Any, Any]:
    import torch

    from affinage.imaging.batches import Item
    from affinage.imaging.hashing import content_id
    from affinage.inference.forward import Engine, compute_features
    from affinage.models.build import build_backbone, stack
    from affinage.models.process import usable_cores
    from affinage.records.networks import ModelSettings

    paths = sorted((samples / "cifar10").rglob("*.jpg"))
    paths = paths[:: len(paths) // IMAGES][:IMAGES]
    names = sorted({path.parent.name for path in paths})
    items = [Item(content_id(path.read_bytes()), path) for path in paths]
    engine = Engine(device=torch.device("cpu"), threads=usable_cores())
    model = stack(build_backbone(ModelSettings(width=96, height=96)), classes=2)
    labels = np.array([names.index(path.parent.name) for path in paths])
    return compute_features(model, items, engine).astype(np.float64), labels


def _seconds(work: Callable[[], Any]) -> tuple[float, float]:
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]
