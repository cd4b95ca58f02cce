"""Recipe: everything that determines a run but the data.

One frozen model is the YAML file, the `--set section.key=value` flags and the table in the docs.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affinage.errors import RecipeError
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

FORMAT = 1

Stage = Literal["features", "finetune"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ModelSettings(_Section):
    """Which backbone, and where its weights come from."""

    backbone: str = Field("tf_efficientnet_lite0", description="timm name of the backbone.")
    pretrained: bool = Field(
        default=True, description="Start from pretrained weights; false starts from random ones."
    )
    width: int | None = Field(
        None, ge=16, le=2048, description="Input width, px; null = backbone's."
    )
    height: int | None = Field(
        None, ge=16, le=2048, description="Input height, px; null = backbone's."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the head in fine-tuning.")
    drop_path: float = Field(0.0, ge=0, lt=1, description="Stochastic depth in fine-tuning.")


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
    batch_size: int = Field(32, ge=1, le=4096, description="Images per step.")
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] | None = Field(
        None, description="How many of the last blocks are trained; null = about half, or `all`."
    )
    batchnorm: Literal["frozen", "adapt"] = Field(
        "frozen",
        description="BatchNorm statistics: kept as pretrained, or adapted to your batches.",
    )
    start_penalty: float = Field(
        0.1,
        gt=0,
        description="Least L2 penalty of the head that it starts from: a mild head is moved gently.",
    )
    layer_decay: float = Field(
        0.85, gt=0, le=1, description="Learning rate of a block relative to the one after it."
    )
    patience: int = Field(
        5, ge=1, description="Stop after so many epochs without a better validation loss."
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


class OptimizerSettings(_Section):
    """How steps are taken in fine-tuning."""

    name: Literal["adamw", "sgd"] = Field("adamw", description="Optimizer.")
    lr: float = Field(3e-4, gt=0, le=10, description="Highest learning rate (that of the head).")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Off for biases and norms.")
    momentum: float = Field(0.9, ge=0, lt=1, description="For sgd.")
    clip: float | None = Field(1.0, gt=0, description="Largest gradient norm; null = no clipping.")


class ScheduleSettings(_Section):
    """How the learning rate moves over the planned steps."""

    name: Literal["one_cycle", "cosine", "constant"] = Field("one_cycle", description="Shape.")
    warmup: float = Field(0.25, ge=0, lt=1, description="Share of the steps that rise to `lr`.")


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
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Of the training steps.")
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
        contradictions = problems(self.chosen_loss())
        if contradictions and not self.force:
            raise ValueError(" ".join(contradictions) + " --force trains all the same.")
        return self

    def chosen_loss(self) -> Chosen:
        """Return what this recipe asks of its loss."""
        mixed = (getattr(self.augment, name, 0.0) > 0 for name in ("mixup", "cutmix"))
        return Chosen(
            task=self.task,
            target=self.count.target,
            loss=self.loss.name,
            output=self.loss.output,
            labels=self.loss.labels,
            balance=self.loss.balance,
            soft=any(mixed),
        )


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
        problems.extend(_describe(detail) for detail in error.errors())
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


def settings_table() -> list[tuple[str, str, str, str]]:
    """Return (name, default, type and range, description) of every setting, in order."""
    rows: list[tuple[str, str, str, str]] = []
    schema = Recipe.model_json_schema()
    for name, field in Recipe.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, _Section):
            section = schema["$defs"][annotation.__name__]["properties"]
            default = annotation()
            rows.extend(
                (f"{name}.{key}", _plain(getattr(default, key)), _kind(entry), entry["description"])
                for key, entry in section.items()
            )
        else:
            entry = schema["properties"][name]
            rows.append((name, _plain(field.default), _kind(entry), entry["description"]))
    return rows


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
    if name in ("stages", "features.penalties"):
        value = [_number(part) for part in value.split(",")] if isinstance(value, str) else value
        return value if isinstance(value, list) else [value]
    return value


def _text_settings() -> set[str]:
    """Return the settings that are text, so that a label `yes` or a column `2019` stays one."""
    names: set[str] = set()
    for name, field in Recipe.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, _Section):
            inner = annotation.model_fields.items()
            names |= {f"{name}.{key}" for key, entry in inner if _is_text(entry.annotation)}
        elif _is_text(annotation):
            names.add(name)
    return names


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


def _describe(detail: Any) -> str:
    location = [str(part) for part in detail["loc"] if not isinstance(part, int)]
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
    if not name:
        return str(message)
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
