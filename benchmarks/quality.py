"""Quality: the features stage and the full default against scikit-learn's probe, over re-cuts.

For every re-cut, train and test images of a set are pooled and cut anew, stratified, in the owner's
sizes. The peers see the same images: features of the same frozen backbone, the same validation cut.
"""

import csv
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import affinage
from affinage.imaging.batches import Item
from affinage.inference.features import cache_facts, cached_features
from affinage.models.build import build_backbone, stack
from affinage.records.networks import ModelSettings
from affinage.records.recipe import Recipe
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.reporter import Silent
from affinage.workflows.session import make_engine

SETS = {"flowers12": 240, "malaria": 200, "mushrooms4": 200}
FULL = ("flowers12", "malaria")


def quality(samples: Path) -> dict[str, Any]:
    """Return the paired differences, in points of accuracy, with their 95 % intervals."""
    cuts = int(os.environ.get("AFFINAGE_CUTS", "10"))
    figures: dict[str, Any] = {}
    for name, test_size in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            images = Path(folder) / "images"
            shutil.copytree(samples / name, images, ignore=shutil.ignore_patterns("*.csv"))
            rows = [_cut(images, Path(folder), name, test_size, seed) for seed in range(cuts)]
        figures |= _summary(name, rows)
    return figures


def _cut(images: Path, work: Path, name: str, test_size: int, seed: int) -> dict[str, float]:
    table = _write_table(images, test_size, seed)
    data = work / f"data{seed}"
    data.mkdir()
    shared = work / "cache"
    shared.mkdir(exist_ok=True)
    (data / "cache").symlink_to(shared)
    run = affinage.train(
        table, data=data, output=work / f"features{seed}", stages="features", reporter=Silent()
    )
    row = {"features": _accuracy(run), **_probes(run, images, data)}
    if name in FULL and not os.environ.get("AFFINAGE_FEATURES_ONLY"):
        full = affinage.train(table, data=data, output=work / f"full{seed}", reporter=Silent())
        row["full"] = _accuracy(full)
        for stage in full.record.stages:
            row[f"{stage.name}_seconds"] = stage.seconds
            row[f"kept_{stage.name}"] = float(stage.kept)
    print(name, seed, {key: round(value, 4) for key, value in row.items()}, flush=True)
    return row


def _write_table(images: Path, test_size: int, seed: int) -> Path:
    paths = sorted(path for path in images.rglob("*") if path.is_file() and path.suffix != ".csv")
    labels = np.array([path.parent.name for path in paths])
    random = np.random.default_rng(seed)
    test: set[int] = set()
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        test.update(members[: round(test_size * len(members) / len(paths))].tolist())
    table = images / f"cut{seed}.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for index, path in enumerate(paths):
            part = "test" if index in test else "train"
            writer.writerow([path.relative_to(images).as_posix(), labels[index], part])
    return table


def _accuracy(run: affinage.Run) -> float:
    value = run.evaluation["test"].accuracy.value
    assert value is not None
    return value


def _probes(run: affinage.Run, images: Path, data: Path) -> dict[str, float]:
    """Return the test accuracy of scikit-learn's logistic regression on the very same features."""
    manifest = pl.read_parquet(run.path / "manifest.parquet").filter(pl.col("status") == "kept")
    rows = manifest.unique("image", keep="first").sort("image")
    parts = dict(pl.read_parquet(run.path / "split.parquet").iter_rows())
    backbone = build_backbone(ModelSettings())
    engine = make_engine(Recipe())
    facts = cache_facts(backbone, engine, versions={"timm": backbone.timm_version})
    items = [
        Item(image=image, path=images / path)
        for image, path in rows.select("image", "path").iter_rows()
    ]
    cache = FeatureCache(data / "cache" / "features", facts)
    found = cached_features(stack(backbone, classes=2), items, engine, cache)
    assert found.computed == 0, "the probe must see the features of the run"
    part = np.array([parts[item.image] for item in items])
    label = rows["label"].to_numpy()
    return {
        "plain_probe": _plain(found.rows, label, part),
        "tuned_probe": _tuned(found.rows, label, part),
    }


def _plain(rows: NDArray[np.float32], label: NDArray[Any], part: NDArray[Any]) -> float:
    model = LogisticRegression(max_iter=5000).fit(rows[part == "train"], label[part == "train"])
    return float(model.score(rows[part == "test"], label[part == "test"]))


def _tuned(rows: NDArray[np.float32], label: NDArray[Any], part: NDArray[Any]) -> float:
    """Return the score with scaling, C chosen on validation, and a refit on train + validation."""
    best, chosen = -1.0, 1.0
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        model.fit(rows[part == "train"], label[part == "train"])
        score = float(model.score(rows[part == "validation"], label[part == "validation"]))
        if score > best:
            best, chosen = score, strength
    model = make_pipeline(StandardScaler(), LogisticRegression(C=chosen, max_iter=5000))
    model.fit(rows[part != "test"], label[part != "test"])
    return float(model.score(rows[part == "test"], label[part == "test"]))


def _summary(name: str, rows: list[dict[str, float]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for key in rows[0]:
        values = np.array([row[key] for row in rows])
        figures[f"{name} {key}"] = (
            f"mean {values.mean():.4f}, sd {values.std(ddof=1):.4f}, n={len(rows)} cuts"
        )
    for peer in ("plain_probe", "tuned_probe"):
        for ours in ("features", "full"):
            if ours in rows[0]:
                gaps = 100 * np.array([row[ours] - row[peer] for row in rows])
                half = _student(len(gaps)) * gaps.std(ddof=1) / np.sqrt(len(gaps))
                figures[f"{name} {ours} - {peer}, points"] = (
                    f"{gaps.mean():+.2f} [{gaps.mean() - half:+.2f}, {gaps.mean() + half:+.2f}]"
                )
    return figures


def _student(n: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))
