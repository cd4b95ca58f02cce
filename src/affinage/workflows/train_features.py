"""The stage `features`: the frozen backbone's features, computed once, and a head at its optimum."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.evaluation.classify import evaluate_classification
from affinage.heads.linear import LinearHead, choose_penalty, fit_linear
from affinage.heads.nearest import nearest_neighbour
from affinage.inference.features import CachedFeatures, cache_facts, cached_features
from affinage.inference.forward import compute_features
from affinage.metrics.calibration import fit_temperature
from affinage.metrics.classification import softmax
from affinage.models.build import Backbone, stack
from affinage.models.classifier import Classifier
from affinage.records.evaluation import Evaluation
from affinage.records.run import StageResult
from affinage.records.signals import Point
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.session import Part, Session, TrainingData


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenFeatures:
    """Features of train and validation, and a way to those of other images."""

    model: Classifier
    cache: FeatureCache
    train: NDArray[np.float32]
    validation: NDArray[np.float32]
    computed: int = 0
    """How many of them were not in the cache."""

    def cached(self, session: Session, part: Part, name: str) -> CachedFeatures:
        """Return the features of a part's images, and how many were not in the cache."""
        return cached_features(
            self.model,
            part.items,
            session.engine,
            self.cache,
            progress=lambda done, total: session.reporter.phase(name, done, total),
        )

    def of(self, session: Session, part: Part, name: str) -> NDArray[np.float32]:
        """Return the features of a part's images."""
        return self.cached(session, part, name).rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesOutcome:
    """A head on frozen features, and what it scores on validation."""

    head: LinearHead
    start: LinearHead
    """What fine-tuning starts from: the same head, or one with a stronger penalty."""
    logits: NDArray[np.float64]
    evaluation: Evaluation


def open_cache(session: Session, data: TrainingData, backbone: Backbone) -> FrozenFeatures:
    """Return the frozen backbone with its cache, and no features yet."""
    model = stack(backbone, classes=len(data.classes), dropout=session.recipe.model.dropout).to(
        session.engine.device
    )
    versions = {"timm": backbone.timm_version}
    facts = cache_facts(backbone, session.engine, versions=versions)
    return FrozenFeatures(
        model=model,
        cache=FeatureCache(session.dataset.features_cache, facts),
        train=np.zeros((0, backbone.features), np.float32),
        validation=np.zeros((0, backbone.features), np.float32),
    )


def open_features(session: Session, data: TrainingData, backbone: Backbone) -> FrozenFeatures:
    """Compute, or take from the cache, the features of train and validation."""
    frozen = open_cache(session, data, backbone)
    both = data.both
    found = frozen.cached(session, both, "features of the frozen backbone")
    position = {image: index for index, image in enumerate(both.images)}
    return FrozenFeatures(
        model=frozen.model,
        cache=frozen.cache,
        train=found.rows[[position[image] for image in data.train.images]],
        validation=found.rows[[position[image] for image in data.validation.images]],
        computed=found.computed,
    )


SHARE_FOR_FEATURES = 0.75
SECONDS_FOR_THE_REST = 5.0


def images_affordable(session: Session, data: TrainingData, backbone: Backbone) -> float:
    """Return how many images the budget can pay features of, measured on a few of them."""
    trial = open_cache(session, data, backbone)
    every = [*data.both.items, *data.test.items]
    cached = len(trial.cache.load(item.image for item in every))
    if cached == len(every):
        return float(len(every))
    sample = every[: 2 * session.engine.batch_size]
    compute_features(trial.model, sample[: session.engine.batch_size], session.engine)  # Warms up.
    start = time.monotonic()
    compute_features(trial.model, sample, session.engine)
    per_image = (time.monotonic() - start) / len(sample)
    left = (session.clock.left - SECONDS_FOR_THE_REST) * SHARE_FOR_FEATURES
    return cached + max(0.0, left) / per_image


def nearest_labels(
    frozen: FrozenFeatures, data: TrainingData, features: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the baseline's answers: the label of the nearest training image."""
    return nearest_neighbour(frozen.train, data.train.labels, features)


def fit_head(session: Session, data: TrainingData, frozen: FrozenFeatures) -> FeaturesOutcome:
    """Choose the penalty on the training part, fit the head, and score it on validation."""
    settings = session.recipe.features
    classes = len(data.classes)
    choice = choose_penalty(
        frozen.train,
        data.train.labels,
        classes,
        penalties=settings.penalties,
        folds=settings.folds,
        seed=session.recipe.seed,
        groups=data.train.groups,
        ids=data.train.images,
    )
    for rank, (_, loss, accuracy) in enumerate(choice.losses):
        for series, value in (("loss", loss), ("accuracy", accuracy)):
            session.observe(
                Point(stage="features", series=series, on="cross-validation on train",
                      epoch=float(rank), value=value)
            )  # fmt: skip
    head = fit_linear(frozen.train, data.train.labels, classes, penalty=choice.penalty)
    logits = head.logits(frozen.validation)
    evaluation = evaluate_on(
        "validation",
        data.validation,
        data,
        logits,
        nearest=nearest_labels(frozen, data, frozen.validation),
    )
    return FeaturesOutcome(
        head=head,
        start=_start_head(session, data, frozen, head),
        logits=logits,
        evaluation=evaluation,
    )


def _start_head(
    session: Session, data: TrainingData, frozen: FrozenFeatures, head: LinearHead
) -> LinearHead:
    """Return the head that fine-tuning starts from.

    A head with a weak penalty has separated the training images by long weights: its loss there is
    almost nothing, and whatever moves the features is multiplied by them. Measured: from such a head
    the validation loss of flowers12 tripled in three epochs; from one with a penalty of 0.1 it fell
    to a quarter (docs/log.md).
    """
    penalty = session.recipe.finetune.start_penalty
    if "finetune" not in session.recipe.stages or head.penalty >= penalty:
        return head
    classes = len(data.classes)
    return fit_linear(frozen.train, data.train.labels, classes, penalty=penalty, start=head)


def refit_head(
    session: Session, data: TrainingData, frozen: FrozenFeatures, head: LinearHead
) -> LinearHead:
    """Fit the chosen head again, on train and validation together."""
    both = data.both
    rows = frozen.of(session, both, "features of the frozen backbone")
    return fit_linear(rows, both.labels, len(data.classes), penalty=head.penalty)


def evaluate_on(
    name: str,
    part: Part,
    data: TrainingData,
    logits: NDArray[np.floating],
    *,
    nearest: NDArray[np.int64] | None,
    temperature: float = 1.0,
    threshold: tuple[str, float, str] | None = None,
) -> Evaluation:
    """Return the scores of logits on a part."""
    return evaluate_classification(
        part=name,
        probabilities=softmax(np.asarray(logits, dtype=np.float64) / temperature),
        labels=part.labels,
        images=part.images,
        paths=[data.shown[image] for image in part.images],
        classes=data.classes,
        train_labels=data.train.labels,
        nearest=nearest,
        memory_test=name == "validation" and data.split.closed_set,
        threshold=threshold,
    )


def calibrate(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the temperature that makes the probabilities honest, fitted on validation."""
    return fit_temperature(np.asarray(logits, dtype=np.float64), labels)


def features_result(outcome: FeaturesOutcome, *, seconds: float, kept: bool) -> StageResult:
    """Return what the stage did, for people."""
    accuracy = outcome.evaluation.accuracy
    return StageResult(
        name="features",
        seconds=seconds,
        kept=kept,
        summary=(
            "The backbone was frozen; a linear head was fitted on its features to the optimum, "
            f"with the L2 penalty {outcome.head.penalty:g} chosen by cross-validation on train."
        ),
        facts={
            "penalty": outcome.head.penalty,
            "validation_accuracy": accuracy.value,
        },
        validation=outcome.evaluation,
    )
