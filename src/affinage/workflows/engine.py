"""Which engine computes the features of the frozen backbone: asked for, or chosen by measurement."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affinage.errors import ModelError
from affinage.imaging.batches import Item
from affinage.inference.choosing import try_engines
from affinage.inference.engines import MAKERS, engine_pass, is_ready, let_go, maker_of
from affinage.inference.features import cache_facts
from affinage.inference.forward import Engine, compute_features
from affinage.models.build import Backbone
from affinage.models.classifier import Classifier
from affinage.records.engine import TITLES, EngineChoice, EngineName, cheapest
from affinage.records.networks import SIFT_WORDS
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.engine_trials import EngineTrials
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.env import env

FEWEST = 128
"""Images without features below which nothing is measured, not even PyTorch."""

LEAST_SECONDS = 15.0
"""Seconds of PyTorch from which a measurement, which takes about 5, can pay."""

LEAST_COSINE = 0.99
"""Median over a batch, with fp32: bf16 had a mean of 0.9995 on 104 photographs, a part left out 0."""

Told = Callable[[str], None]


def choose_engine(
    backbone: Backbone,
    model: Classifier,
    items: Sequence[Item],
    engine: Engine,
    dataset: DatasetFolder,
    *,
    labels: NDArray[np.integer] | None,
    told: Told,
) -> EngineChoice:
    """Return the engine that is through first with these images, among those that are good enough.

    Features that are there already count: the engine that they were computed by has nothing to do. But
    features of an engine that was once asked for, and never compared with PyTorch, are not taken unasked.

    Args:
        backbone: The frozen one.
        model: With it.
        items: Images whose features will be needed.
        engine: Device, threads and batch size.
        dataset: Keeps features and measurements.
        labels: Class of each item; None where there are none.
        told: Told what is tried.
    """
    if not _convertible(backbone):
        why = "no other is sure to see all that this network does"
        return EngineChoice(engine="torch", reason=why)
    if engine.device.type != "cpu" or not items:
        return EngineChoice(engine="torch")
    kept = trials_of(backbone, engine, dataset)
    trials = kept.load()
    missing = _missing(backbone, items, engine, dataset)
    good = {"torch", *(trial.engine for trial in trials if trial.good_enough)}
    done = next((name for name, count in missing.items() if not count and name in good), None)
    if done is not None:
        return EngineChoice(engine=done, trials=trials, reason="all are kept from before")
    if not trials:
        if not _pays(model, items, engine, missing["torch"]):
            return EngineChoice(engine="torch", reason="another would not be through sooner")
        trials = try_engines(
            model, items, engine, labels=labels, missing=missing["torch"], told=told
        )
        kept.save(trials)
    warm = frozenset(name for name in missing if is_ready(name, engine.frozen(model)))
    usable = tuple(trial for trial in trials if not maker_of(trial.engine).missing())
    chosen = cheapest(usable, missing, warm=warm)
    let_go(engine.frozen(model), but=chosen)
    reason = f"none of {len(trials) - 1} others that were tried is sooner through and as good"
    return EngineChoice(engine=chosen, trials=trials, reason=reason)


def _convertible(backbone: Backbone) -> bool:
    """Return whether a converter is sure to see all that the backbone does.

    What the code of a user's own network decides anew for each batch, a converter may decide once.
    """
    return backbone.name != SIFT_WORDS and backbone.weights.origin != "own"


def asked_engine(
    name: EngineName,
    backbone: Backbone,
    model: Classifier,
    items: Sequence[Item],
    engine: Engine,
    dataset: DatasetFolder,
) -> EngineChoice:
    """Return the engine that was asked for, started, with what was measured of it before.

    Where nothing was, one batch of the images tells whether its features are the backbone's at all.

    Raises:
        ModelError: If it is not installed, or cannot compute this backbone.
    """
    engine_pass(name, engine.frozen(model))
    choice = EngineChoice(engine=name, trials=trials_of(backbone, engine, dataset).load())
    if name != "torch" and choice.trial(name) is None and items:
        _check_same(name, model, items[: engine.batch_size], engine)
    return choice


def _check_same(
    name: EngineName, model: Classifier, sample: Sequence[Item], engine: Engine
) -> None:
    expected = compute_features(model, sample, engine.exact)
    found = compute_features(model, sample, replace(engine, name=name))
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines = (expected * found).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)
    middle = float(np.median(cosines))
    if not middle >= LEAST_COSINE:  # Not a number is not the same either.
        raise ModelError(
            f"{TITLES[name]} computes something else than this backbone: the median cosine with "
            f"PyTorch's features is {middle:.2f} on {len(sample)} images.",
            remedy="Leave compute.engine at auto, or set it to torch.",
        )


def trials_of(backbone: Backbone, engine: Engine, dataset: DatasetFolder) -> EngineTrials:
    """Return the place of what was measured of this backbone on this machine."""
    here = env(engine.device.type)
    versions = {
        f"version of {maker.name}": "" if maker.missing() else maker.version() for maker in MAKERS
    }
    facts = cache_facts(backbone, engine.exact, versions={"timm": backbone.timm_version})
    machine = {"processor": here.processor, "threads": str(engine.threads)}
    return EngineTrials(dataset.features_cache, {**facts, **machine, **versions})


def _missing(
    backbone: Backbone, items: Sequence[Item], engine: Engine, dataset: DatasetFolder
) -> dict[EngineName, int]:
    """Return how many images have no features yet, by engine that can be used."""
    found: dict[EngineName, int] = {}
    for maker in MAKERS:
        if maker.missing():
            continue
        facts = cache_facts(
            backbone, replace(engine, name=maker.name), versions={"timm": backbone.timm_version}
        )
        cache = FeatureCache(dataset.features_cache, facts)
        known = len(cache.load(item.image for item in items)) if cache.folder.exists() else 0
        found[maker.name] = len(items) - known
    return found


def _pays(model: Classifier, items: Sequence[Item], engine: Engine, missing: int) -> bool:
    """Return whether PyTorch would take long enough for a measurement, by a look at two batches."""
    if missing < FEWEST:
        return False
    sample = items[: engine.batch_size]
    compute_features(model, sample, engine.exact)  # Warms up.
    start = time.perf_counter()
    compute_features(model, sample, engine.exact)
    return (time.perf_counter() - start) / len(sample) * missing >= LEAST_SECONDS
