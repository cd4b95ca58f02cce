"""Recipe: everything that determines a run but the data.

One frozen model is the YAML file, the `--set section.key=value` flags and the table in the docs.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from affinage.records.networks import (
    SIFT_WORDS,
    SMALL_NETWORKS,
    ModelSettings,
    with_defaults_from_scratch,
)
from affinage.records.pairings import Chosen, TaskName, impossible, problems
from affinage.records.section import Section
from affinage.records.settings.augment import AugmentSettings
from affinage.records.settings.compute import ComputeSettings
from affinage.records.settings.count import CountSettings
from affinage.records.settings.features import FeaturesSettings
from affinage.records.settings.finetune import FinetuneSettings
from affinage.records.settings.loss import LossSettings
from affinage.records.settings.optimizer import OptimizerSettings
from affinage.records.settings.schedule import ScheduleSettings
from affinage.records.settings.split import SplitSettings

FORMAT = 1

Stage = Literal["features", "finetune"]


class Recipe(Section):
    """Everything that determines a run but the data."""

    format: Literal[1] = Field(1, description="Version of this file's format.")
    task: TaskName = Field("classify", description="What is predicted.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of every random number.")
    stages: tuple[Stage, ...] = Field(
        ("features", "finetune"), min_length=1, description="In order."
    )
    force: bool = Field(
        default=False, description="Train with settings that contradict each other; marks the run."
    )
    budget: float | None = Field(None, gt=0, description="Seconds that the whole run may take.")
    goal: str | None = Field(None, description='Declared beforehand, such as "accuracy >= 0.95".')
    sensitivity: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Two classes: share of `positive` to find; sets the threshold.",
    )
    miss_cost: float | None = Field(
        None, gt=0, description="Two classes: a missed `positive` costs so many false alarms."
    )
    positive: str | None = Field(
        None, description="Two classes: the one to find; null = the second."
    )
    model: ModelSettings = ModelSettings()
    split: SplitSettings = SplitSettings()
    features: FeaturesSettings = FeaturesSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    count: CountSettings = CountSettings()
    compute: ComputeSettings = ComputeSettings()

    @model_validator(mode="after")
    def _train_together(self) -> Self:
        problem = next(_training_problems(self), None)
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="before")
    @classmethod
    def _defaults_follow_the_weights(cls, document: Any) -> Any:
        if not isinstance(document, Mapping):
            return document
        return with_defaults_for_counts(with_defaults_from_scratch(document))

    @model_validator(mode="after")
    def _be_possible(self) -> Self:
        asked = self.model.head.beyond_linear
        if asked and "features" in self.stages:
            msg = (
                f"the stage 'features' fits a linear head with biases, model.head asks for {asked}: "
                "set stages=finetune (and finetune.unfreeze=0 to train the head alone)"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if list(self.stages) not in (["features"], ["finetune"], ["features", "finetune"]):
            msg = "stages must be 'features', 'finetune' or 'features,finetune', in this order"
            raise ValueError(msg)
        problem = next(_features_problems(self), None)
        if problem:
            raise ValueError(problem)
        words = self.model.backbone == SIFT_WORDS
        if not self.model.pretrained and not words and "finetune" not in self.stages:
            msg = "features of random weights mean nothing: add the stage 'finetune'"
            raise ValueError(msg)
        if self.sensitivity is not None and self.miss_cost is not None:
            msg = "sensitivity and miss_cost both choose the threshold: give one"
            raise ValueError(msg)
        unfit, never = problems(self.chosen_loss()), impossible(self.chosen_loss())
        if unfit and (never or not self.force):
            last = "Not even --force can." if never else "--force trains all the same."
            raise ValueError(f"{' '.join(unfit)} {last}")
        return self

    def chosen_loss(self) -> Chosen:
        """Return what this recipe asks of its loss."""
        return Chosen(
            task=self.task,
            target=self.count.target,
            loss=self.loss.name,
            output=self.loss.output,
            labels=self.loss.labels,
            balance=self.loss.balance,
            soft=self.augment.mixup > 0 or self.augment.cutmix > 0,
        )


def with_defaults_for_counts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's document with the defaults that counts need, where none was given.

    The whole frame is always seen, and the head stands on maps of several depths: see `COUNT_HEAD`.
    """
    if document.get("task") != "count":
        return dict(document)
    augment = document.get("augment")
    given = augment if isinstance(augment, Mapping) else {}
    filled = {**document, "augment": {"crop": 1.0, **given}}
    model = document.get("model", {})
    head = model.get("head", {}) if isinstance(model, Mapping) else None
    if not isinstance(head, Mapping) or "pooling" in head:
        return filled
    trained_before = model.get("pretrained", True) not in (False, "false")
    if model.get("backbone") in (*SMALL_NETWORKS, SIFT_WORDS) or not trained_before:
        return filled
    return {**filled, "model": {**model, "head": {**COUNT_HEAD, **head}}}


COUNT_HEAD: Mapping[str, Any] = {"pooling": "mean_deviation", "layers": (2, 3, 4)}
"""What the head of counts stands on. By cross-validation on 292 pictures of blood cells, a constant is 3.14
red cells off, a head on the last features 2.94, one on three depths before it 2.56 to 2.68 (docs/log.md)."""


def _features_problems(recipe: Recipe) -> Iterator[str]:
    """Yield why a classical head or backbone cannot be had as asked."""
    settings = recipe.features
    if recipe.model.backbone == SIFT_WORDS and "finetune" in recipe.stages:
        yield "sift_words has no weights that could be fine-tuned: set stages=features"
    if settings.costs != type(settings)().costs and settings.head != "svm":
        yield "features.costs is for support vector machines: set features.head=svm"
    if settings.head == "logistic":
        return
    if recipe.task != "classify":
        yield (
            f"features.head={settings.head} tells classes apart, and task={recipe.task} asks for more: "
            "set features.head=logistic"
        )
    if "features" not in recipe.stages:
        yield f"features.head={settings.head} is a head on frozen features: add the stage 'features'"
    if "finetune" in recipe.stages:
        yield (
            f"features.head={settings.head} is no start for fine-tuning: set stages=features, or "
            "features.head=logistic"
        )


def _training_problems(recipe: Recipe) -> Iterator[str]:
    """Yield what the sections of a training cannot be told together."""
    settings, augment = recipe.finetune, recipe.augment
    if recipe.task == "count" and (augment.mixup or augment.cutmix):
        yield (
            "augment.mixup and augment.cutmix blend two images, and half an object is not half a "
            "count: leave them at 0 for task=count"
        )
    yield from _moved_counts(recipe)
    pieces = recipe.optimizer.accumulate
    if settings.batch_size != "auto" and pieces > settings.batch_size:
        yield (
            f"optimizer.accumulate={pieces} pieces cannot be made of finetune.batch_size="
            f"{settings.batch_size} images: batch_size is the whole step's, so raise it"
        )
    if settings.batch_size != "auto" and settings.batch_size // pieces < 2 and _adapts(recipe):
        yield (
            f"finetune.batchnorm={settings.batchnorm} normalises by one image at a time: set it to frozen, "
            "raise finetune.batch_size, or lower optimizer.accumulate"
        )
    if settings.gradual is not None and settings.unfreeze == 0:
        yield "finetune.gradual unfreezes blocks, but finetune.unfreeze=0 keeps all frozen"
    sizes, shares = settings.sizes or (), settings.size_shares or ()
    if list(sizes) != sorted(set(sizes)):
        yield "finetune.sizes must grow: small images first, such as 128,160,224"
    if "size_strength" in settings.altered and not sizes:
        yield "finetune.size_strength is for growing images: set finetune.sizes"
    if "gem_power" in recipe.model.head.altered and recipe.model.head.pooling != "gem":
        yield "model.head.gem_power is for model.head.pooling=gem: set that too"
    if shares and len(shares) != len(sizes):
        yield (
            f"finetune.size_shares has {len(shares)} numbers for {len(sizes)} sizes: give one each"
        )
    if shares and abs(sum(shares) - 1) > 1e-6:
        yield f"finetune.size_shares add up to {sum(shares):g}: they must give 1"


def _adapts(recipe: Recipe) -> bool:
    """Return whether BatchNorm learns from batches; `three_conv` may be without."""
    bare = recipe.model.backbone == "three_conv" and not recipe.model.three_conv.batch_norm
    return recipe.finetune.batchnorm != "frozen" and not bare


def _moved_counts(recipe: Recipe) -> Iterator[str]:
    """Yield what would give a view other objects than those that it is told to show."""
    augment, count = recipe.augment, recipe.count
    if count.recount and (recipe.task != "count" or "finetune" not in recipe.stages):
        yield "count.recount counts in the views of fine-tuning, for task=count: leave it out"
    if count.min_box and not count.recount:
        yield "count.min_box is for count.recount: set count.recount=true"
    if recipe.task != "count":
        return
    if augment.policy != "none":
        yield (
            f"augment.policy={augment.policy} moves objects, and the counts would be those of the "
            "whole image: leave it at none for task=count"
        )
    if count.recount:
        return
    right = "or set count.recount=true where the table has a column of boxes"
    if augment.crop < 1:
        yield (
            f"augment.crop={augment.crop:g} cuts objects out of the image, and the counts would be those of "
            f"the whole one: leave it at 1 for task=count, {right}"
        )
    if augment.erase:
        yield (
            "augment.erase covers objects, and the counts would be those of the whole image: leave it at 0 "
            f"for task=count, {right}"
        )
    if augment.rotation:
        yield (
            f"augment.rotation={augment.rotation:g} turns objects out of the frame, and the counts would be "
            f"those of the whole one: leave it at 0 for task=count, {right}"
        )


def forced_pairings(recipe: Recipe) -> tuple[str, ...]:
    """Return what `force` let through, each with the reason and the right pairing; none if all fits."""
    return problems(recipe.chosen_loss())
