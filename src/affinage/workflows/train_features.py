"""The stage `features`: the frozen backbone's features, computed once, and a head at its optimum."""

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from affinage.heads.linear import LinearHead
from affinage.heads.nearest import NearestHead, nearest_neighbour
from affinage.inference.features import CachedFeatures, cache_facts, cached_features
from affinage.inference.forward import compute_features
from affinage.models.build import Backbone, stack
from affinage.models.classifier import Classifier
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.engine import EngineChoice
from affinage.records.networks import SIFT_WORDS
from affinage.records.recipe import Recipe
from affinage.records.run import Calibration, StageResult
from affinage.store.feature_cache import FeatureCache
from affinage.workflows.engine import asked_engine, choose_engine
from affinage.workflows.session import Part, Session, TrainingData
from affinage.workflows.work import FeatureHead, Learnt, Measured, TaskWork


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

    head: FeatureHead
    start: LinearHead | None
    """What fine-tuning starts from: the same head, or one with a stronger penalty; None = no start."""
    logits: NDArray[np.float64]
    evaluation: AnyEvaluation


def open_cache(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork
) -> FrozenFeatures:
    """Return the frozen backbone with its cache, and no features yet; settle what computes them."""
    model = stack(
        backbone, classes=work.lesson.objective.outputs, dropout=session.recipe.model.dropout
    ).to(session.engine.device)
    settle_engine(session, data, backbone, model, work)
    versions = {"timm": backbone.timm_version}
    facts = cache_facts(backbone, session.engine, versions=versions)
    most = session.recipe.compute.feature_cache
    limit = None if most is None else round(most * 1e9)
    return FrozenFeatures(
        model=model,
        cache=FeatureCache(session.dataset.features_cache, facts, limit=limit),
        train=np.zeros((0, backbone.features), np.float32),
        validation=np.zeros((0, backbone.features), np.float32),
    )


def settle_engine(
    session: Session, data: TrainingData, backbone: Backbone, model: Classifier, work: TaskWork
) -> None:
    """Choose what computes the features, freeze it into the recipe, and say it.

    Raises:
        ModelError: If the recipe asks for an engine that is not here.
    """
    asked, every = session.recipe.compute.engine, [*data.both.items, *data.test.items]
    if asked == "auto":
        targets = np.concatenate([data.both.targets, data.test.targets])
        choice = choose_engine(
            backbone, model, every, session.engine, session.dataset,
            labels=targets if work.task.target == "label" else None, told=session.reporter.say,
        )  # fmt: skip
    else:
        choice = asked_engine(asked, backbone, model, every, session.engine, session.dataset)
    session.features_by = choice
    session.engine = replace(session.engine, name=choice.engine)
    if asked == "auto":
        session.resolve("compute", engine=choice.engine)
    session.reporter.say(f"features: {choice.sentence}")


def open_features(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork
) -> FrozenFeatures:
    """Compute, or take from the cache, the features of train and validation.

    Where weights are random and no head is fitted on them, there are none.
    """
    frozen = open_cache(session, data, backbone, work)
    if "features" not in session.recipe.stages and backbone.weights.origin == "random":
        return frozen  # Features of random weights mean nothing.
    both = data.both
    found = frozen.cached(session, both, "features of the frozen backbone")
    if kept := len(both) - found.computed:
        session.reporter.say(f"features: {kept:,} of {len(both):,} were computed before, and kept")
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


def images_affordable(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork
) -> float:
    """Return how many images the budget can pay features of, measured on a few of them."""
    trial = open_cache(session, data, backbone, work)
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


def fit_head(
    session: Session, data: TrainingData, frozen: FrozenFeatures, work: TaskWork
) -> FeaturesOutcome:
    """Choose the penalty on the training part, fit the head, and score it on validation."""
    fitted = work.fit(learnt(data.train, frozen.train, data))
    for point in fitted.points:
        session.observe(point)
    outputs = fitted.head.logits(frozen.validation)
    measured = measured_part(data, data.validation, frozen, frozen.validation)
    return FeaturesOutcome(
        head=fitted.head,
        start=fitted.start,
        logits=outputs,
        evaluation=work.score(measured, outputs, Calibration()),
    )


def refit_head(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: FeatureHead,
    work: TaskWork,
) -> FeatureHead:
    """Fit the chosen head again, on train and validation together."""
    both = data.both
    rows = frozen.of(session, both, "features of the frozen backbone")
    return work.refit(learnt(both, rows, data), head)


def learnt(part: Part, features: NDArray[np.float32], data: TrainingData) -> Learnt:
    """Return a part's images as a head learns from them."""
    return Learnt(
        features=features,
        targets=part.targets,
        images=part.images,
        groups=part.groups,
        classes=data.classes,
    )


def measured_part(
    data: TrainingData,
    part: Part,
    frozen: FrozenFeatures,
    features: NDArray[np.float32],
) -> Measured:
    """Return a part's images as a model is scored on them, with the nearest neighbour's answers."""
    return Measured(
        name=part.name,
        images=part.images,
        paths=[data.shown[image] for image in part.images],
        targets=part.targets,
        classes=data.classes,
        train_targets=data.train.targets,
        nearest=(
            nearest_neighbour(frozen.train, data.train.targets, features)
            if len(frozen.train)
            else None
        ),
        memory_test=part.name == "validation" and data.split.closed_set,
    )


def features_result(
    outcome: FeaturesOutcome,
    work: TaskWork,
    recipe: Recipe,
    *,
    by: EngineChoice,
    seconds: float,
    kept: bool,
) -> StageResult:
    """Return what the stage did, for people."""
    how, facts = _fitted(outcome.head, recipe)
    words = recipe.model.backbone == SIFT_WORDS
    return StageResult(
        name="features",
        seconds=seconds,
        kept=kept,
        summary=(
            "Visual words were learnt from SIFT descriptors of the training images, and counted; "
            if words
            else _computed_by(by)
        )
        + how,
        facts={
            **facts,
            "features_by": by.engine,
            f"validation_{work.task.metrics[0]}": getattr(
                outcome.evaluation, work.task.metrics[0]
            ).value,
        },
        validation=outcome.evaluation,
    )


def _computed_by(by: EngineChoice) -> str:
    if by.engine == "torch":
        return "The backbone was frozen; "
    return f"The backbone was frozen, its features computed by {by.sentence}; "


def _fitted(head: FeatureHead, recipe: Recipe) -> tuple[str, dict[str, float]]:
    """Return how the head came about, in words and in numbers."""
    if isinstance(head, NearestHead):
        return (
            f"an image is called what the most similar of {len(head.labels):,} training images shows.",
            {"known_images": len(head.labels)},
        )
    if recipe.features.head == "svm":
        cost = 1.0 / head.penalty
        return (
            "a linear support vector machine for each class was fitted on its features, with C = "
            f"{cost:g} chosen by cross-validation on train.",
            {"cost": cost},
        )
    return (
        "a linear head was fitted on its features to the optimum, "
        f"with the L2 penalty {head.penalty:g} chosen by cross-validation on train.",
        {"penalty": head.penalty},
    )
