"""Changes to images, tried on a judge that is taught without and with them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from affinage.evaluation.label_changes import judge_change
from affinage.heads.folds import assign_folds
from affinage.heads.linear import fit_linear
from affinage.imaging.batches import Item, view_batches
from affinage.imaging.resize import prepare
from affinage.imaging.trials import TRIALS, Trial
from affinage.inference.forward import Engine, features_of_pixels
from affinage.models.classifier import Classifier
from affinage.records.augmentation import AugmentationTrial

PENALTY = 0.1
FOLDS = 5

Features = NDArray[np.float32]


def try_changes(
    items: Sequence[Item],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    model: Classifier,
    engine: Engine,
    *,
    trials: Sequence[Trial] = TRIALS,
) -> Iterator[AugmentationTrial]:
    """Yield what it costs to teach each change, by heads on a model's features.

    Each image is judged by a head that has learnt from it neither as it is nor changed.

    Args:
        items: Images.
        labels: Their class indices, shape (n,).
        classes: Class names.
        model: Its backbone gives the features.
        engine: How they are computed.
        trials: The changes.
    """
    views = np.concatenate(
        list(
            view_batches(
                items,
                lambda pixels, _: prepare(pixels, model.preprocessing),
                batch_size=engine.batch_size,
                threads=engine.threads,
            )
        )
    )
    part = assign_folds(labels, [item.image for item in items], folds=FOLDS, seed=0)
    features = features_of_pixels(model, views, engine)
    for trial in trials:
        with ThreadPoolExecutor(engine.threads) as pool:
            altered = np.stack(list(pool.map(trial.apply, views)))
        changed = features_of_pixels(model, altered, engine)
        plain, of_changed = _answers(features, [features], labels, part, [features, changed])
        (taught,) = _answers(features, [features, changed], labels, part, [features])
        yield judge_change(
            change=trial.name,
            setting=trial.setting,
            off=trial.off,
            truth=labels,
            plain=plain,
            changed=of_changed,
            taught=taught,
            classes=classes,
        )


def _answers(
    own: Features,
    taught_with: Sequence[Features],
    labels: NDArray[np.int64],
    part: NDArray[np.int64],
    asked: Sequence[Features],
) -> list[NDArray[np.int64]]:
    """Return the classes of images, each by a head that was taught with the other folds only."""
    said = [np.full(len(own), -1, dtype=np.int64) for _ in asked]
    for number in range(int(part.max()) + 1):
        learnt, held = part != number, part == number
        if not learnt.any():
            continue
        rows = np.concatenate([rows[learnt] for rows in taught_with])
        known = np.tile(labels[learnt], len(taught_with))
        head = fit_linear(rows, known, int(labels.max()) + 1, penalty=PENALTY)
        for answers, features in zip(said, asked, strict=True):
            answers[held] = head.logits(features[held]).argmax(axis=1)
    return said
