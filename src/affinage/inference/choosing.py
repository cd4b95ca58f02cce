"""Engines tried on real images: how fast each is, and how many predictions it changes."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from affinage.errors import AffinageError
from affinage.heads.linear import fit_linear
from affinage.imaging.batches import Item, prepared_batches
from affinage.inference.engines import MAKERS, Maker, engine_pass, let_go
from affinage.inference.forward import Engine, filled
from affinage.inference.pass_through import Pass
from affinage.models.classifier import Classifier
from affinage.records.engine import EngineTrial

SAMPLE = 256
"""Images that predictions are compared on: 2 changed ones are allowed, 3 are not."""

PENALTY = 1e-2
WORTH = 3.0
"""An engine is tried where PyTorch would take at least so many times as long as it takes to start."""

FAST_ENOUGH = 2.5
"""Times as fast as PyTorch from which compiling, which takes longest to start, is not tried any more."""

Told = Callable[[str], None]


def try_engines(
    model: Classifier,
    items: Sequence[Item],
    engine: Engine,
    *,
    labels: NDArray[np.integer] | None,
    missing: int,
    told: Told,
) -> tuple[EngineTrial, ...]:
    """Return what was measured of the engines that could pay here, PyTorch in fp32 first.

    Each computes the features of the same images. A linear head is fitted on one half of the
    fp32 features and predicts the other half from both, and the other way round; what is compared is
    the class it predicts.

    Args:
        model: With the frozen backbone.
        items: Real images, at least 2; the first 256 in the order of their ids are used.
        engine: Device, threads and batch size.
        labels: Class of each item; where None, of 8 kinds found in the features themselves.
        missing: Images whose features are to be computed.
        told: Told of each engine that is tried.
    """
    order = sorted(range(len(items)), key=lambda index: items[index].image)[:SAMPLE]
    batches = list(
        prepared_batches(
            [items[index] for index in order],
            model.preprocessing,
            batch_size=engine.batch_size,
            threads=engine.threads,
        )
    )
    plain, reference = _timed(MAKERS[0], model, batches, engine)
    kinds = labels[order] if labels is not None else _kinds(reference)
    trials, began = [plain], time.perf_counter()
    for maker in MAKERS[1:]:
        if time.perf_counter() - began > missing * plain.image_seconds:
            break  # On a busy machine engines start slowly: PyTorch would have been through by now.
        if not _could_pay(maker, trials, missing):
            continue
        told(f"trying {maker.name} for the features of {missing:,} images")
        trials.append(_compared(maker, model, batches, engine, reference, kinds))
        let_go(engine.frozen(model), but=_fastest(trials).engine)  # Two of them fit, not six.
    return tuple(trials)


def _fastest(trials: Sequence[EngineTrial]) -> EngineTrial:
    return min(
        (trial for trial in trials if trial.good_enough), key=lambda trial: trial.image_seconds
    )


def _could_pay(maker: Maker, trials: Sequence[EngineTrial], missing: int) -> bool:
    plain = trials[0]
    if maker.missing() or missing * plain.image_seconds < WORTH * maker.start_seconds:
        return False
    best = _fastest(trials).image_seconds
    return not maker.name.startswith("compiled") or plain.image_seconds < FAST_ENOUGH * best


def _compared(
    maker: Maker,
    model: Classifier,
    batches: Sequence[NDArray[np.uint8]],
    engine: Engine,
    reference: NDArray[np.float32],
    kinds: NDArray[np.integer],
) -> EngineTrial:
    try:
        trial, features = _timed(maker, model, batches, engine)
    except AffinageError as error:
        return EngineTrial(engine=maker.name, failed=error.problem)
    if not np.isfinite(features).all():
        return EngineTrial(engine=maker.name, failed="Some features are not finite numbers.")
    changed = changed_predictions(reference, features, kinds)
    return EngineTrial(
        engine=maker.name,
        start_seconds=trial.start_seconds,
        image_seconds=trial.image_seconds,
        changed=changed,
        images=len(reference),
    )


def _timed(
    maker: Maker, model: Classifier, batches: Sequence[NDArray[np.uint8]], engine: Engine
) -> tuple[EngineTrial, NDArray[np.float32]]:
    start = time.perf_counter()
    run: Pass = engine_pass(maker.name, engine.frozen(model))
    run(filled(batches[0], engine.batch_size))
    seconds, times, rows = time.perf_counter() - start, [], []
    for batch in batches:
        start = time.perf_counter()
        rows.append(run(filled(batch, engine.batch_size))[: len(batch)])
        times.append(time.perf_counter() - start)
    per_image = float(np.median(times)) / engine.batch_size
    trial = EngineTrial(
        engine=maker.name,
        start_seconds=max(0.0, seconds - per_image * engine.batch_size),
        image_seconds=per_image,
    )
    return trial, np.concatenate(rows)


def changed_predictions(
    reference: NDArray[np.float32], features: NDArray[np.float32], kinds: NDArray[np.integer]
) -> int:
    """Return how many images a head on fp32 features calls something else from other features.

    Args:
        reference: Features in fp32, shape (n, d), n at least 2.
        features: The same images' features from the engine on trial, shape (n, d).
        kinds: A class of each image, shape (n,).
    """
    names, labels = np.unique(kinds, return_inverse=True)
    half = np.arange(len(reference)) % 2 == 0
    changed = 0
    for learnt in (half, ~half):
        head = fit_linear(reference[learnt], labels[learnt], len(names), penalty=PENALTY)
        expected = head.logits(reference[~learnt]).argmax(axis=1)
        changed += int((head.logits(features[~learnt]).argmax(axis=1) != expected).sum())
    return changed


def _kinds(features: NDArray[np.float32]) -> NDArray[np.integer]:
    centred = features - features.mean(axis=0)
    count = max(2, min(8, len(features) // 16))
    _, kinds = kmeans2(centred.astype(np.float64), count, minit="++", rng=np.random.default_rng(0))
    found: NDArray[np.integer] = kinds
    return found
