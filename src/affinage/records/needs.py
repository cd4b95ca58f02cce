"""What each setting needs beside it to change anything: one table for all of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from affinage.records.networks import MINI_XCEPTION, SIFT_WORDS, THREE_CONV
from affinage.records.pairings import resolve
from affinage.records.recipe import Recipe
from affinage.records.settings.optimizer import (
    WITH_AMSGRAD,
    WITH_MOMENTUM,
    WITH_NESTEROV,
    WITHOUT_BETAS,
    WITHOUT_EPS,
)
from affinage.records.settings.schedule import OF_PLATEAU

Why = Callable[[Recipe], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What settings need, to change anything.

    Attributes:
        settings: Their names; one that ends with a dot is a whole section.
        why: Why they would change nothing in a recipe, as it stands; empty where they act.
        right: What to set so that they do.
        true_anyway: Values that are no mistake, since what they ask for is so without them.
        told: True where they are left out with a word, never refused.
    """

    settings: tuple[str, ...]
    why: Why
    right: str
    true_anyway: tuple[Any, ...] = field(default=())
    told: bool = False

    def covers(self, name: str) -> bool:
        """Return whether a setting is one of them."""
        return any(
            name.startswith(one) if one.endswith(".") else name == one for one in self.settings
        )


def said(value: Any) -> str:
    """Return a value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(said, value))
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _without_stage(stage: str) -> Why:
    return lambda recipe: (
        ""
        if stage in recipe.stages
        else f"there is no stage '{stage}' (stages={said(recipe.stages)})"
    )


def _unless(holds: Callable[[Recipe], bool], why: str) -> Why:
    return lambda recipe: "" if holds(recipe) else why


def _optimizer(names: tuple[str, ...], what: str, *, having: bool = True) -> Why:
    """Return why an optimizer has no use for something: the named ones have it, or have it not."""
    return lambda recipe: (
        "" if (recipe.optimizer.name in names) == having else f"{recipe.optimizer.name} {what}"
    )


def _backbone(name: str) -> Need:
    return Need(
        settings=(f"model.{name}.",),
        why=lambda recipe: (
            "" if recipe.model.backbone == name else f"the backbone is {recipe.model.backbone}"
        ),
        right=f"Set model.backbone={name}, or leave it out",
    )


def _smoothed(recipe: Recipe) -> str:
    chosen = resolve(recipe.chosen_loss())
    if recipe.task != "classify":
        return f"task={recipe.task} has no one right class whose share could be given away"
    if chosen.loss not in ("cross_entropy", "focal", "mse"):
        return f"loss.name={chosen.loss} takes each class on its own"
    if chosen.loss == "mse" and chosen.labels == "index":
        return "loss.labels=index compares with a number, not with shares"
    return ""


def _loss_unused(recipe: Recipe) -> str:
    if recipe.task != "classify" or "finetune" in recipe.stages:
        return ""
    return "the stage 'features' fits classifiers by logistic regression, whatever the loss"


def _bounded(recipe: Recipe) -> bool:
    chosen = resolve(recipe.chosen_loss())
    return chosen.loss == "ordinal" or chosen.output == "sigmoid_max"


def _batch_normed(recipe: Recipe) -> str:
    model = recipe.model
    bare = {
        THREE_CONV: not model.three_conv.batch_norm,
        MINI_XCEPTION: not model.mini_xception.batch_norm,
    }
    return (
        f"model.{model.backbone}.batch_norm is false, so there is no BatchNorm"
        if bare.get(model.backbone)
        else ""
    )


NEEDS: tuple[Need, ...] = (
    Need(
        settings=("features.",), why=_without_stage("features"),
        right="Add that stage, or leave it out",
    ),
    Need(
        settings=("finetune.", "optimizer.", "schedule.", "augment.", "model.dropout", "model.drop_path",
                  "compute.precision", "compute.reduce", "compute.image_cache", "compute.frozen_cache"),
        why=_without_stage("finetune"), right="Add that stage, or leave it out",
        told=True,  # One command is tried with and without the stage.
    ),
    Need(
        settings=("count.recount",), why=_without_stage("finetune"),
        right="Add that stage, or leave it out",
    ),
    Need(
        settings=("loss.",), why=_loss_unused,
        right="Add the stage 'finetune', or leave it out", told=True,
    ),
    # The task.
    Need(
        settings=("sensitivity", "miss_cost", "positive"),
        why=lambda recipe: "" if recipe.task == "classify" else
        f"it is for one of two classes, and task={recipe.task}",
        right="Set task=classify, or leave it out",
    ),
    Need(
        settings=("count.columns",),
        why=lambda recipe: "" if recipe.task != "classify" else "task=classify reads no counts",
        right="Set task=count or task=multilabel, or leave it out",
    ),
    Need(
        settings=("count.recount", "count.min_box", "count.rounding", "count.max", "count.interval"),
        why=lambda recipe: "" if recipe.task == "count" else f"task={recipe.task} predicts no counts",
        right="Set task=count, or leave it out",
    ),
    Need(
        settings=("count.rounding", "count.interval"),
        why=_unless(lambda recipe: recipe.count.target == "count", "shares are not whole numbers"),
        right="Set count.target=count, or leave it out",
    ),
    Need(
        settings=("count.max",),
        why=_unless(_bounded, "neither the loss nor the output has a largest count"),
        right="Set loss.name=ordinal or loss.output=sigmoid_max, or leave it out",
    ),
    Need(
        settings=("count.min_box",),
        why=_unless(lambda recipe: recipe.count.recount, "boxes are not counted anew"),
        right="Set count.recount=true, or leave it out",
    ),
    # The model.
    _backbone(THREE_CONV),
    _backbone(MINI_XCEPTION),
    _backbone(SIFT_WORDS),
    Need(
        settings=("model.whitening.",),
        why=lambda recipe: "" if recipe.model.normalise in ("pca", "zca") else
        f"model.normalise={recipe.model.normalise} whitens nothing",
        right="Set model.normalise=zca, or pca, or leave it out",
    ),
    Need(
        settings=("model.whitening.patch",),
        why=_unless(lambda recipe: recipe.model.normalise == "zca", "pca is of colours only"),
        right="Set model.normalise=zca, or leave it out", true_anyway=(1,),
    ),
    Need(
        settings=("model.head.gem_power",),
        why=lambda recipe: "" if recipe.model.head.pooling == "gem" else
        f"model.head.pooling={recipe.model.head.pooling} takes no power",
        right="Set model.head.pooling=gem, or leave it out",
    ),
    Need(
        settings=("model.head.dropout", "model.head.activation"),
        why=_unless(lambda recipe: bool(recipe.model.head.hidden), "the head has no hidden layers"),
        right="Set model.head.hidden, or model.dropout for the one dropout before a linear head",
    ),
    # The cut.
    Need(
        settings=("split.validation",),
        why=_unless(lambda recipe: not recipe.split.closed_set, "validation is the training images"),
        right="Set split.closed_set=false, or leave it out",
    ),
    Need(
        settings=("split.test",),
        why=_unless(lambda recipe: not recipe.split.closed_set, "a memory test cuts no test part"),
        right="Set split.closed_set=false, or leave it out", true_anyway=(0.0,),
    ),
    # The stage features.
    Need(
        settings=("features.penalties",),
        why=lambda recipe: "" if recipe.features.head == "logistic" else
        f"features.head={recipe.features.head} has no such penalty",
        right="Set features.head=logistic, or leave it out; costs are for svm",
    ),
    Need(
        settings=("features.costs",),
        why=lambda recipe: "" if recipe.features.head == "svm" else
        f"features.head={recipe.features.head} is no support vector machine",
        right="Set features.head=svm, or leave it out",
    ),
    Need(
        settings=("features.folds",),
        why=_unless(lambda recipe: recipe.features.head != "nearest", "nothing is chosen for nearest"),
        right="Set features.head=logistic or svm, or leave it out",
    ),
    # The stage finetune.
    Need(
        settings=("finetune.start_penalty", "finetune.always"), why=_without_stage("features"),
        right="Add that stage, whose head fine-tuning then starts from and is compared with, or leave it out",
    ),
    Need(
        settings=("finetune.epochs", "finetune.images"),
        why=_unless(lambda recipe: recipe.finetune.steps is None, "finetune.steps is exact"),
        right="Set finetune.steps=null, or leave it out", told=True,
    ),
    Need(
        settings=("finetune.layer_decay", "finetune.gradual"),
        why=_unless(lambda recipe: recipe.finetune.unfreeze != 0,
                    "finetune.unfreeze=0 keeps all blocks frozen"),
        right="Set finetune.unfreeze to the blocks to train, or leave it out", told=True,
    ),
    Need(
        settings=("finetune.size_strength", "finetune.size_shares"),
        why=_unless(lambda recipe: bool(recipe.finetune.sizes), "images do not grow"),
        right="Set finetune.sizes, or leave it out",
    ),
    Need(
        settings=("finetune.batchnorm",), why=_batch_normed,
        right="Set that to true, or leave it out", true_anyway=("frozen",),
    ),
    Need(
        settings=("finetune.label_smoothing",), why=_smoothed,
        right="Leave it out; it is for classify under cross_entropy, focal or mse", true_anyway=(0.0,),
    ),
    # Steps.
    Need(
        settings=("optimizer.momentum",), why=_optimizer(WITH_MOMENTUM, "has no momentum"),
        right=f"Set optimizer.name to one of {', '.join(WITH_MOMENTUM)}, or leave it out; the memory of "
        "Adam and its like is optimizer.betas",
    ),
    Need(
        settings=("optimizer.nesterov",), why=_optimizer(WITH_NESTEROV, "has no Nesterov's momentum"),
        right=f"Set optimizer.name to one of {', '.join(WITH_NESTEROV)}, or to nadam, which is Adam "
        "with Nesterov's momentum, or leave it out",
    ),
    Need(
        settings=("optimizer.nesterov",),
        why=_unless(lambda recipe: recipe.optimizer.momentum > 0, "optimizer.momentum is 0"),
        right="Set optimizer.momentum above 0, such as 0.9, or leave it out", true_anyway=(False,),
    ),
    Need(
        settings=("optimizer.betas",), why=_optimizer(WITHOUT_BETAS, "has no betas", having=False),
        right=f"Set optimizer.momentum for {', '.join(n for n in WITHOUT_BETAS if n in WITH_MOMENTUM)}, "
        "or leave it out",
    ),
    Need(
        settings=("optimizer.eps",),
        why=_optimizer(WITHOUT_EPS, "divides by nothing, so it has no eps", having=False),
        right="Set optimizer.name=adamw, or leave it out",
    ),
    Need(
        settings=("optimizer.amsgrad",), why=_optimizer(WITH_AMSGRAD, "has no AMSGrad"),
        right=f"Set optimizer.name to one of {', '.join(WITH_AMSGRAD)}, or leave it out",
    ),
    Need(
        settings=("optimizer.decay_norms",),
        why=_unless(lambda recipe: recipe.optimizer.weight_decay > 0, "optimizer.weight_decay is 0"),
        right="Set optimizer.weight_decay above 0, or leave it out",
    ),
    Need(
        settings=("schedule.gamma",),
        why=lambda recipe: "" if recipe.schedule.name in ("exponential", "step") else
        f"schedule.name={recipe.schedule.name} knows no gamma",
        right="Set schedule.name=exponential or step (for plateau, set factor), or leave it out",
    ),
    Need(
        settings=("schedule.every",),
        why=lambda recipe: "" if recipe.schedule.name == "step" else
        f"schedule.name={recipe.schedule.name} has no drops",
        right="Set schedule.name=step, or leave it out",
    ),
    Need(
        settings=tuple(f"schedule.{name}" for name in OF_PLATEAU),
        why=lambda recipe: "" if recipe.schedule.name == "plateau" else
        f"schedule.name={recipe.schedule.name} does not wait for plateaus",
        right="Set schedule.name=plateau, or leave it out",
    ),
    # Changes to images.
    Need(
        settings=("augment.policy_changes", "augment.policy_magnitude"),
        why=lambda recipe: "" if recipe.augment.policy == "randaugment" else
        f"augment.policy={recipe.augment.policy} has neither",
        right="Set augment.policy=randaugment, or leave it out",
    ),
    Need(
        settings=("augment.exact",),
        why=lambda recipe: "without random crops the view is exact anyway" if recipe.augment.crop == 1 else
        f"augment.rotation={recipe.augment.rotation:g} turns views, which only the warp does"
        if recipe.augment.rotation else "",
        right="Set augment.rotation=0 and augment.crop below 1, or leave it out",
    ),
    # The loss.
    Need(
        settings=("loss.gamma",),
        why=_unless(lambda recipe: resolve(recipe.chosen_loss()).loss == "focal", "the loss is not focal"),
        right="Set loss.name=focal, or leave it out",
    ),
    Need(
        settings=("loss.distribution",),
        why=_unless(
            lambda recipe: resolve(recipe.chosen_loss()).loss in ("zero_inflated", "hurdle"),
            "it is for zero_inflated and hurdle",
        ),
        right="Set loss.name to one of these; to count by a negative binomial without them, set "
        "loss.name=negative_binomial",
    ),
    Need(
        settings=("loss.beta",),
        why=_unless(lambda recipe: recipe.loss.balance == "effective", "numbers are not effective ones"),
        right="Set loss.balance=effective, or leave it out",
    ),
    Need(
        settings=("loss.tau",),
        why=_unless(lambda recipe: recipe.loss.balance == "logit_adjustment", "logits are not adjusted"),
        right="Set loss.balance=logit_adjustment, or leave it out",
    ),
    Need(
        settings=("loss.balance",),
        why=_unless(
            lambda recipe: recipe.loss.balance != "sampler" or "finetune" in recipe.stages,
            "a head on features takes every image once",
        ),
        right="Set loss.balance=weight, or add the stage 'finetune'",
    ),
)  # fmt: skip
"""In the order in which they are asked: a stage that is missing explains the rest."""
