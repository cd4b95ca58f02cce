"""How a model was trained, stage by stage, in sentences for a methods section."""

from affinage.records.pairings import resolve
from affinage.records.recipe import Recipe
from affinage.records.run import RunRecord, StageResult
from affinage.records.settings.augment import AugmentSettings
from affinage.records.task import task_named
from affinage.reporting.words import (
    label,
    listed,
    number,
    sentence,
)


def training_sentences(run: RunRecord, recipe: Recipe | None) -> list[str]:
    """Return what was done in each stage, in the words of a methods section."""
    sentences: list[str] = []
    for stage in run.stages:
        if stage.name == "features":
            sentences.append(_features(stage, recipe))
        elif stage.name == "finetune":
            sentences += _finetune(stage, recipe, after_features=len(sentences) > 0)
        else:
            sentences.append(stage.summary)
    return sentences


def _features(stage: StageResult, recipe: Recipe | None) -> str:
    kind = "softmax " if recipe is None or recipe.task == "classify" else ""
    text = f"With the backbone frozen, a linear {kind}head was fitted on its features by L-BFGS"
    penalty = stage.facts.get("penalty")
    if isinstance(penalty, int | float):
        text += f" with an L2 penalty of {number(penalty)}"
        if recipe is not None and len(recipe.features.penalties) > 1:
            text += (
                f", chosen among {len(recipe.features.penalties)} values by cross-validation with "
                f"up to {recipe.features.folds} folds on the training images"
            )
    return text


def _finetune(stage: StageResult, recipe: Recipe | None, *, after_features: bool) -> list[str]:
    start = "Starting from that head" if after_features else "Starting from a new head"
    if recipe is None:
        return [f"{start}, the network was fine-tuned", stage.summary]
    settings, optimizer = recipe.finetune, recipe.optimizer
    epochs = stage.facts.get("epochs")
    length = f" for {_epochs(epochs)}" if isinstance(epochs, int | float) else ""
    clip = f", gradients clipped at norm {optimizer.clip:g}" if optimizer.clip else ""
    norms = {
        "frozen": "kept as pretrained",
        "adapt": "adapted to the training images",
        "recompute": "adapted, and measured anew on training images at the end",
    }
    loss = _loss(recipe)
    if settings.label_smoothing and recipe.task == "classify":
        loss += f" with label smoothing {settings.label_smoothing:g}"
    first = (
        f"{start}, {_blocks(stage)} and the head were trained on {loss} with "
        f"{_optimizer(recipe)}{length} in batches of {settings.batch_size} (highest learning rate "
        f"{_rate(recipe)}, lowered by the factor {settings.layer_decay:g} from each block to "
        f"the one before it; weight decay {optimizer.weight_decay:g}{clip}; "
        f"{_schedule(recipe)}); BatchNorm statistics were {norms[settings.batchnorm]}"
    )
    return [first, _augmentation(recipe.augment), _stopping(stage, recipe)]


def _blocks(stage: StageResult) -> str:
    """Return which blocks were trained, as far as the stage counted them."""
    trained, blocks = stage.facts.get("trained_blocks"), stage.facts.get("blocks")
    if not isinstance(trained, int) or not isinstance(blocks, int):
        return "the backbone's unfrozen blocks"
    if trained == blocks:
        return f"all {blocks} blocks of the backbone"
    few = {0: "none", 1: "the last one"}.get(trained, f"the last {trained}")
    return f"{few} of the backbone's {blocks} blocks"


def _epochs(epochs: float) -> str:
    return f"{epochs:.3g} {'epoch' if epochs == 1 else 'epochs'}"


def _loss(recipe: Recipe) -> str:
    resolved = resolve(recipe.chosen_loss())
    name = {
        "cross_entropy": "cross-entropy",
        "bce": "binary cross-entropy",
        "mse": "squared error",
        "mae": "absolute error",
        "poisson": "the Poisson log likelihood",
        "focal": f"the focal loss (γ = {recipe.loss.gamma:g})",
    }.get(resolved.loss, f"the {resolved.loss.replace('_', ' ')} log likelihood")
    balance = "" if recipe.loss.balance == "none" else f", balanced by {recipe.loss.balance}"
    return f"{name} ({resolved.output} outputs{balance})"


def _optimizer(recipe: Recipe) -> str:
    settings = recipe.optimizer
    names = {"adamw": "AdamW", "adam": "Adam", "nadam": "NAdam", "adamax": "Adamax", "lion": "Lion"}
    if settings.name != "sgd":
        return names.get(settings.name, settings.name) + (" (AMSGrad)" if settings.amsgrad else "")
    nesterov = "Nesterov " if settings.nesterov is not False else ""
    return f"SGD with {nesterov}momentum {settings.momentum:g}" if settings.momentum else "SGD"


def _rate(recipe: Recipe) -> str:
    return "found by a range test" if recipe.optimizer.lr == "auto" else number(recipe.optimizer.lr)


def _schedule(recipe: Recipe) -> str:
    settings = recipe.schedule
    name = settings.name.replace("_", "-")
    usual = 0.25 if settings.name == "one_cycle" else 0.05
    warmup = usual if settings.warmup is None else settings.warmup
    rise = f", rising over the first {100 * warmup:.3g} % of the planned steps" if warmup else ""
    return f"{name} schedule{rise}"


def _augmentation(settings: AugmentSettings) -> str:
    changes: list[str] = []
    if settings.crop < 1:
        changes.append(f"random crops of at least {100 * settings.crop:.3g} % of the area")
    if settings.horizontal_flip:
        changes.append("horizontal flips")
    if settings.vertical_flip:
        changes.append("vertical flips")
    if settings.rotation:
        changes.append(f"rotations by up to {settings.rotation:g}°")
    if settings.brightness:
        changes.append(f"changes of brightness by up to {100 * settings.brightness:.3g} %")
    if settings.contrast:
        changes.append(f"changes of contrast by up to {100 * settings.contrast:.3g} %")
    colours = {
        "saturation": settings.saturation,
        "hue": settings.hue,
        "greyness": settings.grey,
        "blur": settings.blur,
        "noise": settings.noise,
        "erased rectangles": settings.erase,
        "mixup": settings.mixup,
        "cutmix": settings.cutmix,
    }
    changes += [f"{name} ({value:g})" for name, value in colours.items() if value]
    if settings.policy != "none":
        changes.append(settings.policy)
    if not changes:
        return "Training images were not augmented"
    return f"Training images were augmented by {listed(changes)}"


def _stopping(stage: StageResult, recipe: Recipe) -> str:
    best, stopped = stage.facts.get("best_epoch"), stage.facts.get("stopped")
    parts = []
    if isinstance(stopped, str) and stopped:
        parts.append(f"training ended before its plan ({label(stopped)})")
    if isinstance(best, int | float):
        moment = "before the first step" if best == 0 else f"after {_epochs(best)}"
        kept_by = task_named(recipe.task).kept_by(recipe.finetune.stop_on)
        parts.append(f"the weights {moment}, with {kept_by}, were taken")
    return sentence(" and ".join(parts))
