"""Recipe: everything that determines a run but the data.

One frozen model is the YAML file, the `--set section.key=value` flags and the table in the docs.
"""

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import Field, ValidationError, model_validator

from affinage.errors import RecipeError
from affinage.records.networks import ModelSettings, with_defaults_from_scratch
from affinage.records.pairings import (
    BalanceName,
    Chosen,
    CountTarget,
    LabelForm,
    LossName,
    OutputName,
    TaskName,
    problems,
)
from affinage.records.section import Section as _Section

FORMAT = 1

Stage = Literal["features", "finetune"]


class SplitSettings(_Section):
    """How parts are cut where the source does not give them."""

    validation: float = Field(0.2, gt=0, lt=0.9, description="Share of the training images.")
    test: float = Field(0.2, ge=0, lt=0.9, description="Share of all images; 0 = no test part.")
    closed_set: bool = Field(
        default=False, description="Validation is the training images, on purpose (memory test)."
    )
    group: str | None = Field(None, description="Column whose values must not straddle parts.")
    given: bool = Field(
        default=True, description="Respect the parts that the source gives; false cuts all anew."
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="Another cut of the same data; not the seed of the training."
    )


class FeaturesSettings(_Section):
    """The frozen backbone with a linear head fitted on its features."""

    penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0),
        min_length=1,
        description="L2 penalties to choose from by cross-validation on the training part.",
    )
    folds: int = Field(5, ge=2, le=20, description="Folds of that cross-validation.")
    refit: bool = Field(
        default=True, description="Refit the chosen head on train + validation when it was cut."
    )


class FinetuneSettings(_Section):
    """Training the backbone itself, from the features stage's head on."""

    epochs: float | None = Field(
        None, gt=0, le=1000, description="Passes over the training part; null = about 4,000 images."
    )
    steps: int | None = Field(
        None, ge=1, description="Exact number of steps; set by a budget's plan."
    )
    images: int | None = Field(
        None, ge=1, description="Images shown at most, an image counted each time; null = no limit."
    )
    minutes: float | None = Field(
        None, gt=0, description="Minutes of training at most, over all sittings; null = no limit."
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="Look at validation after so many images; null = after every epoch."
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = Field(
        32,
        description="Images per step, over all pieces and processes; auto = the largest that pays.",
    )
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] | None = Field(
        None, description="How many of the last blocks are trained; null = about half, or `all`."
    )
    gradual: float | None = Field(
        None, gt=0, description="Head first, then one more block every so many epochs; null = off."
    )
    batchnorm: Literal["frozen", "adapt", "recompute"] = Field(
        "frozen",
        description="BatchNorm statistics: kept as pretrained, adapted to your batches, or adapted "
        "and at the end measured anew on training images.",
    )
    start_penalty: float = Field(
        0.1,
        gt=0,
        description="Least L2 penalty of the head that it starts from: a mild head is moved gently.",
    )
    layer_decay: float = Field(
        0.85, gt=0, le=1, description="Learning rate of a block relative to the one after it."
    )
    stop_on: str | None = Field(
        None,
        description="Validation score that keeps the best weights and stops; null = the loss at its "
        "best temperature.",
    )
    patience: int | None = Field(
        5, ge=1, description="Stop after so many looks without a better one; null = never."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights; 0 = none."
    )
    sizes: tuple[Annotated[int, Field(ge=16, le=2048)], ...] | None = Field(
        None,
        min_length=1,
        description="Input widths, px, one after the other, growing; null = the model's own.",
    )
    size_shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] | None = Field(
        None, description="Share of the steps for each of `sizes`; null = equal shares."
    )
    size_strength: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Strength of augmentation at the first of `sizes`; it grows evenly to 1.",
    )
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="Share of the target given to all classes; 0 = none."
    )
    always: bool = Field(
        default=False,
        description="Keep the fine-tuned model even where validation prefers the head.",
    )
    refit: bool = Field(
        default=True,
        description="Where it is kept and validation was cut: train again on train + validation.",
    )


OptimizerName = Literal[
    "sgd", "adam", "adamw", "adamax", "nadam", "nadamw", "radam", "rmsprop", "adagrad", "lion",
    "lamb", "lars", "adan", "adabelief", "adamp", "adopt", "laprop", "mars", "novograd", "sgdp", "sgdw",
]  # fmt: skip

WITH_MOMENTUM = ("sgd", "sgdp", "sgdw", "lars", "rmsprop")
WITHOUT_BETAS = ("sgd", "sgdp", "sgdw", "lars", "adagrad")
WITHOUT_EPS = ("sgd", "sgdw", "lion")
WITH_NESTEROV = ("sgd", "sgdp", "sgdw", "lars")
WITH_AMSGRAD = ("adam", "adamw")


class OptimizerSettings(_Section):
    """How steps are taken in fine-tuning."""

    name: OptimizerName = Field("adamw", description="Optimizer.")
    lr: Annotated[float, Field(gt=0, le=10)] | Literal["auto"] = Field(
        3e-4, description="Highest learning rate (that of the head); auto = by a range test."
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="Off for biases and norms.")
    decay_norms: bool = Field(
        default=False, description="Weight decay on biases and norms too, as many scripts have it."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description=f"For {', '.join(WITH_MOMENTUM)}.")
    nesterov: bool | None = Field(
        None, description="Nesterov's momentum; null = where the optimizer has it and momentum > 0."
    )
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], ...] | None = Field(
        None,
        min_length=2,
        max_length=3,
        description="Memory of the gradient and of its square (rmsprop uses the second; adan has "
        "three); null = the optimizer's own.",
    )
    eps: float | None = Field(
        None, gt=0, le=1, description="Added to the denominator; null = the optimizer's own."
    )
    amsgrad: bool = Field(default=False, description="AMSGrad; for adam and adamw.")
    clip: float | None = Field(1.0, gt=0, description="Largest gradient norm; null = no clipping.")
    accumulate: int = Field(
        1,
        ge=1,
        le=256,
        description="Pieces in which a step's images are worked on, to save memory.",
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        problem = next(_optimizer_problems(self), None)
        if problem:
            raise ValueError(problem)
        return self


def _optimizer_problems(settings: OptimizerSettings) -> Iterator[str]:
    name = settings.name
    if settings.nesterov and name not in WITH_NESTEROV:
        yield (
            f"nesterov=true means nothing to {name}: give it to {', '.join(WITH_NESTEROV)}, or "
            "choose nadam, which is Adam with Nesterov's momentum"
        )
    if settings.nesterov and settings.momentum == 0:
        yield "nesterov=true needs momentum above 0, such as 0.9"
    if settings.amsgrad and name not in WITH_AMSGRAD:
        yield f"amsgrad=true means nothing to {name}: it goes with {', '.join(WITH_AMSGRAD)}"
    if settings.betas is not None and name in WITHOUT_BETAS:
        yield f"{name} has no betas: leave them out" + (
            ", and set momentum" if name in WITH_MOMENTUM else ""
        )
    elif settings.betas is not None and len(settings.betas) != (3 if name == "adan" else 2):
        yield f"{name} has {3 if name == 'adan' else 2} betas"
    if settings.eps is not None and name in WITHOUT_EPS:
        yield f"{name} divides by nothing, so it has no eps: leave it out"


class ScheduleSettings(_Section):
    """How the learning rate moves over the planned steps."""

    name: Literal["one_cycle", "cosine", "constant", "exponential", "step", "plateau"] = Field(
        "one_cycle", description="Shape."
    )
    warmup: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the steps that rise to `lr`; null = 0.25 for one_cycle, else 0.05.",
    )
    gamma: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Factor per epoch (exponential; null = 0.95) or per drop (step; null = 0.1).",
    )
    every: float = Field(10, gt=0, description="Epochs from drop to drop; for step.")
    factor: float = Field(0.3, gt=0, lt=1, description="Of each cut; for plateau.")
    patience: int = Field(
        2, ge=1, description="Looks at validation without a better one before a cut; for plateau."
    )
    threshold: float = Field(
        1e-4, ge=0, lt=1, description="Relative gain that counts as better; for plateau."
    )
    cooldown: int = Field(0, ge=0, description="Looks after a cut that do not count; for plateau.")
    minimum: float = Field(
        0.0, ge=0, lt=1, description="Share of `lr` below which no cut goes; for plateau."
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.gamma is not None and self.name not in ("exponential", "step"):
            msg = f"gamma means nothing to the schedule {self.name}: choose exponential or step" + (
                ", or set factor" if self.name == "plateau" else ""
            )
            raise ValueError(msg)
        return self


class AugmentSettings(_Section):
    """Changes to training images that keep their label."""

    horizontal_flip: bool = Field(default=True, description="Off where left and right matter.")
    vertical_flip: bool = Field(default=False, description="On for images without an up.")
    crop: float = Field(
        0.5, gt=0, le=1, description="Smallest share of the area a crop keeps; 1 = off."
    )
    rotation: float = Field(0.0, ge=0, le=180, description="Largest rotation, degrees.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Largest relative change.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Largest relative change.")
    saturation: float = Field(
        0.0, ge=0, le=1, description="Largest relative change of the distance from grey."
    )
    hue: float = Field(
        0.0, ge=0, le=0.5, description="Largest turn of the colours, share of the colour circle."
    )
    grey: float = Field(0.0, ge=0, le=1, description="Share of views without colour.")
    blur: float = Field(
        0.0, ge=0, le=20, description="Largest Gaussian blur: standard deviation, px of the input."
    )
    noise: float = Field(
        0.0, ge=0, le=0.5, description="Strongest Gaussian noise: deviation, share of the range."
    )
    erase: float = Field(
        0.0, ge=0, le=1, description="Share of views with a rectangle of their mean colour on them."
    )
    policy: Literal["none", "randaugment", "trivialaugment"] = Field(
        "none", description="Changes drawn from a list of fourteen, after the crop."
    )
    policy_changes: int = Field(2, ge=1, le=5, description="For randaugment: changes a view.")
    policy_magnitude: int = Field(9, ge=0, le=30, description="For randaugment: their strength.")
    mixup: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Alpha of mixup: two images are blended, and their labels; 0 = off.",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Alpha of cutmix: a box of one image lies on another; 0 = off.",
    )


class LossSettings(_Section):
    """What training makes small, and what stands before it; see the page on losses."""

    name: LossName | None = Field(
        None, description="Loss; null = cross_entropy, bce or poisson, as the task is."
    )
    output: OutputName | None = Field(
        None, description="What makes predictions of the last layer; null = what suits the loss."
    )
    labels: LabelForm | None = Field(
        None, description="Form of a class label in the loss; null = what the loss takes."
    )
    gamma: float = Field(
        2.0, ge=0, le=10, description="For focal: how much less sure and right answers count."
    )
    distribution: Literal["poisson", "negative_binomial"] = Field(
        "poisson", description="For zero_inflated and hurdle: what counts follow beside the zeros."
    )
    balance: BalanceName = Field(
        "none", description="How rare classes, or rare counts, are made up for."
    )
    beta: float = Field(
        0.999, ge=0, lt=1, description="For effective: nearer 1 is nearer to inverse frequency."
    )
    tau: float = Field(
        1.0, ge=0, le=5, description="For logit_adjustment: strength; 1 aims at equal classes."
    )


class CountSettings(_Section):
    """How counts are learnt and judged (task `count`)."""

    columns: tuple[str, ...] = Field(
        (), description="Columns of counts; without any, all that are called count:NAME."
    )
    target: CountTarget = Field(
        "count", description="Learn the counts, or each class's share of the objects in its image."
    )
    rounding: Literal["nearest", "floor"] = Field(
        "nearest",
        description="How a whole number is made of a prediction before it is compared; halves go up.",
    )
    max: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Largest count of ordinal and sigmoid_max; null = largest of the training part.",
    )
    interval: float = Field(
        0.9, ge=0.5, le=0.999, description="Share of new counts that their intervals shall hold."
    )


class ComputeSettings(_Section):
    """Where and how it is computed."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps...")
    threads: int | None = Field(None, ge=1, description="null = processors this process may use.")
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="Of the training steps; auto = the fastest here, measured."
    )
    batch_size: int = Field(
        32, ge=1, le=4096, description="Images per forward pass without training."
    )


class Recipe(_Section):
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
        if not self.model.pretrained and "finetune" not in self.stages:
            msg = "features of random weights mean nothing: add the stage 'finetune'"
            raise ValueError(msg)
        if self.sensitivity is not None and self.miss_cost is not None:
            msg = "sensitivity and miss_cost both choose the threshold: give one"
            raise ValueError(msg)
        unfit = problems(self.chosen_loss())
        if unfit and not self.force:
            raise ValueError(" ".join(unfit) + " --force trains all the same.")
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
    """Return a recipe's document with the defaults that counts need: the whole frame is always seen."""
    if document.get("task") != "count":
        return dict(document)
    augment = document.get("augment")
    given = augment if isinstance(augment, Mapping) else {}
    return {**document, "augment": {"crop": 1.0, **given}}


def _training_problems(recipe: Recipe) -> Iterator[str]:
    """Yield what the sections of a training cannot be told together."""
    settings, augment = recipe.finetune, recipe.augment
    if recipe.task == "count" and (augment.mixup or augment.cutmix):
        yield (
            "augment.mixup and augment.cutmix blend two images, and half an object is not half a "
            "count: leave them at 0 for task=count"
        )
    if recipe.task == "count" and augment.crop < 1:
        yield (
            f"augment.crop={augment.crop:g} cuts objects out of the image, and the counts would be those of "
            "the whole one: leave it at 1 for task=count"
        )
    if recipe.task == "count" and (augment.erase or augment.policy != "none"):
        what = "augment.erase covers" if augment.erase else f"augment.policy={augment.policy} moves"
        yield f"{what} objects, and the counts would be those of the whole image: not for task=count"
    if recipe.task == "count" and augment.rotation:
        yield (
            f"augment.rotation={augment.rotation:g} turns objects out of the frame, and the counts would be "
            "those of the whole one: leave it at 0 for task=count"
        )
    pieces = recipe.optimizer.accumulate
    if settings.batch_size != "auto" and pieces > settings.batch_size:
        yield (
            f"optimizer.accumulate={pieces} pieces cannot be made of finetune.batch_size="
            f"{settings.batch_size} images: batch_size is the whole step's, so raise it"
        )
    if settings.gradual is not None and settings.unfreeze == 0:
        yield "finetune.gradual unfreezes blocks, but finetune.unfreeze=0 keeps all frozen"
    sizes, shares = settings.sizes or (), settings.size_shares or ()
    if list(sizes) != sorted(set(sizes)):
        yield "finetune.sizes must grow: small images first, such as 128,160,224"
    if shares and len(shares) != len(sizes):
        yield (
            f"finetune.size_shares has {len(shares)} numbers for {len(sizes)} sizes: give one each"
        )
    if shares and abs(sum(shares) - 1) > 1e-6:
        yield f"finetune.size_shares add up to {sum(shares):g}: they must give 1"


def parse_recipe(document: Mapping[str, Any] | None = None, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a YAML document with `key=value` settings laid over it.

    Args:
        document: Nested settings as a YAML file gives them; None or empty for the defaults.
        settings: Such as `optimizer.lr=3e-4`; values are read as YAML. Later ones win.

    Raises:
        RecipeError: If anything is unknown or ill-typed; all of it at once, each with the nearest name.
    """
    merged = _copy(document or {})
    problems: list[str] = []
    for setting in settings:
        problem = _lay_over(merged, setting)
        if problem:
            problems.append(problem)
    try:
        recipe = Recipe.model_validate(merged)
    except ValidationError as error:
        problems.extend(_describe_all(error.errors()))
        recipe = None
    if problems or recipe is None:
        raise RecipeError(
            "\n  ".join([f"{len(problems)} settings cannot be used:", *problems])
            if len(problems) > 1
            else f"A setting cannot be used: {problems[0]}",
            remedy="See every setting with its range: affinage train --settings",
        )
    return recipe


def load_recipe(text: str, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe in a YAML text, with settings laid over it.

    Raises:
        RecipeError: If it is not YAML, not a mapping, or holds what a recipe cannot.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(
            f"The recipe is not YAML: {' '.join(str(error).split())}",
            remedy="Mend that line; `key: value`, indented by two spaces within a section.",
        ) from None
    if document is not None and not isinstance(document, dict):
        raise RecipeError(
            f"The recipe is a {type(document).__name__}, not `key: value` lines.",
            remedy="Write settings such as `seed: 1` or `optimizer:` with `  lr: 3e-4` under it.",
        )
    return parse_recipe(document, settings)


def dump_recipe(recipe: Recipe) -> str:
    """Return the recipe as YAML that `load_recipe` reads back to an equal one."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def forced_pairings(recipe: Recipe) -> tuple[str, ...]:
    """Return what `force` let through, each with the reason and the right pairing; none if all fits."""
    return problems(recipe.chosen_loss())


def settings_table() -> list[tuple[str, str, str, str]]:
    """Return (name, default, type and range, description) of every setting, in order."""
    schema = Recipe.model_json_schema()
    return [
        (name, _plain(default), _kind(entry), entry["description"])
        for name, _, default, entry in _every_setting(Recipe, schema["properties"], schema["$defs"])
    ]


def _every_setting(
    section: type[_Section],
    entries: Mapping[str, Any],
    sections: Mapping[str, Any],
    prefix: str = "",
) -> Iterator[tuple[str, Any, Any, Mapping[str, Any]]]:
    """Yield (name, annotation, default, entry of the schema) of every setting, nested ones too."""
    for key, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, _Section):
            own = sections[inner.__name__]["properties"]
            yield from _every_setting(inner, own, sections, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner, field.default, entries[key]


def _names() -> list[str]:
    return [row[0] for row in settings_table()]


def _copy(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(key): _copy(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
    }


def _lay_over(document: dict[str, Any], setting: str) -> str | None:
    """Write one `a.b=value` into the nested document; return what is wrong with it, if anything."""
    name, equals, text = setting.partition("=")
    if not equals or not name.strip():
        return f"'{setting}' is not key=value"
    try:
        value = _value_of(name.strip(), text)
    except yaml.YAMLError:
        return f"{name}: '{text}' is not a value"
    *sections, key = name.strip().split(".")
    inner = document
    for section in sections:
        inner = inner.setdefault(section, {})
        if not isinstance(inner, dict):
            return f"{name}: '{section}' is a value, not a section"
    inner[key] = value
    return None


def _value_of(name: str, text: str) -> Any:
    """Return the value that a text stands for: as it is for settings that are text, else as YAML."""
    if name in _text_settings():
        return None if text.strip() in ("", "null") else text.strip()
    value = _number(yaml.safe_load(text))
    if name in _list_settings() and not text.strip():
        return []
    if name in _list_settings() and value is not None:
        value = [_number(part) for part in value.split(",")] if isinstance(value, str) else value
        return value if isinstance(value, list) else [value]
    return value


def _text_settings() -> set[str]:
    """Return the settings that are text, so that a label `yes` or a column `2019` stays one."""
    return {name for name, annotation in _annotations() if _is_text(annotation)}


def _list_settings() -> set[str]:
    """Return the settings that are lists, so that one value, or several with commas, make one."""
    return {name for name, annotation in _annotations() if _is_list(annotation)}


@functools.cache
def _annotations() -> tuple[tuple[str, Any], ...]:
    schema = Recipe.model_json_schema()
    every = _every_setting(Recipe, schema["properties"], schema["$defs"])
    return tuple((name, annotation) for name, annotation, *_ in every)


def _is_list(annotation: Any) -> bool:
    return tuple in {get_origin(annotation), *map(get_origin, get_args(annotation))}


def _is_text(annotation: Any) -> bool:
    return annotation is str or set(get_args(annotation)) == {str, type(None)}


def _number(value: Any) -> Any:
    """Read `3e-4`, which YAML 1.1 takes for a string, as the number that everyone means."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value.strip()
    return value


def _describe_all(details: Iterable[Any]) -> list[str]:
    """Return a sentence for each setting; one that takes two kinds of values says both."""
    said: dict[str, list[str]] = {}
    for detail in details:
        location = [str(part) for part in detail["loc"] if not isinstance(part, int)]
        text = _describe(detail, location)
        known = [name for name in _names() if ".".join(location).startswith(f"{name}.")]
        said.setdefault(known[0] if known else text, []).append(text)
    return [
        texts[0]
        if len(texts) == 1
        else f"{name}: " + " or ".join([*map(_without_value, texts[:-1]), _meaning(texts[-1])])
        for name, texts in said.items()
    ]


def _meaning(text: str) -> str:
    return text.partition(": ")[2]


def _without_value(text: str) -> str:
    return _meaning(text).rpartition(", not ")[0]


def _describe(detail: Any, location: list[str]) -> str:
    name = ".".join(location)
    if detail["type"] == "extra_forbidden":
        names = _names()
        if isinstance(detail["input"], Mapping) and detail["input"]:
            name += f".{next(iter(detail['input']))}"  # A whole section of an unknown name.
            location = name.split(".")
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5) or [
            full for full in names if full.rsplit(".", 1)[-1] == location[-1]
        ]
        return f"{name}: no such setting" + (f"; do you mean {near[0]}?" if near else "")
    message = detail["msg"].removeprefix("Value error, ")
    if not name or isinstance(detail["input"], Mapping):
        return ": ".join(part for part in (name, str(message)) if part)
    return f"{name}: {message[0].lower()}{message[1:]}, not {detail['input']!r}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_plain(item) for item in value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _kind(entry: Mapping[str, Any]) -> str:
    if "enum" in entry:
        return " | ".join(str(item) for item in entry["enum"])
    if "const" in entry:
        return str(entry["const"])
    if "anyOf" in entry:
        return " or ".join(_kind(option) for option in entry["anyOf"])
    if entry.get("type") == "array":
        return f"list of {_kind(entry['items'])}"
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    bounds = [f"{sign} {entry[key]:.10g}" for key, sign in signs.items() if key in entry]
    return " ".join([str(entry.get("type", "")), ", ".join(bounds)]).strip()
