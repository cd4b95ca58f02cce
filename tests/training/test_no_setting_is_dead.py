"""Every setting of a training, changed once: the training changes, or the setting is refused by name."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_training import TINY

from affinage.errors import AffinageError, RecipeError
from affinage.imaging.batches import Item, prepared_batches
from affinage.imaging.hashing import content_id
from affinage.models.build import build_backbone, stack
from affinage.models.normalise import fit_preprocessing
from affinage.models.optimizers import make_optimizer
from affinage.records.idle import idle_settings
from affinage.records.pairings import LOSS_NAMES
from affinage.records.recipe_text import parse_recipe, read_recipe
from affinage.records.settings.optimizer import OptimizerSettings
from affinage.records.settings_table import setting_names
from affinage.training.losses import make_objective
from affinage.training.stopping import Scores

SECTIONS = ("finetune", "optimizer", "schedule", "augment", "loss", "model")

LARGER = ("model.width=64", "model.height=64")
"""At 32 px the last map is a single pixel, and all poolings are one."""

CHANGED = {
    "model.backbone": ("test_vit",),
    "model.pretrained": ("true",),
    "model.width": ("48",),
    "model.height": ("48",),
    "model.dropout": ("0.6",),
    "model.drop_path": ("0.5",),
    "model.normalise": ("train",),
    "model.whitening.patch": ("3", "model.normalise=zca"),
    "model.whitening.epsilon": ("0.5", "model.normalise=zca"),
    "model.head.pooling": ("max", *LARGER),
    "model.head.layers": ("1,2", "model.head.pooling=avg"),
    "model.head.gem_power": ("6", "model.head.pooling=gem", *LARGER),
    "model.head.hidden": ("4",),
    "model.head.activation": ("tanh", "model.head.hidden=4"),
    "model.head.dropout": ("0.5", "model.head.hidden=4"),
    "model.head.bias": ("false",),
    "finetune.epochs": ("1",),
    "finetune.steps": ("2",),
    "finetune.images": ("20",),
    "finetune.minutes": ("0.00001",),
    "finetune.evaluate_every": ("16",),
    "finetune.batch_size": ("8",),
    "finetune.unfreeze": ("1",),
    "finetune.gradual": ("0.25",),
    "finetune.batchnorm": ("adapt",),
    "finetune.layer_decay": ("0.5",),
    "finetune.stop_on": ("accuracy",),
    "finetune.patience": ("1", "finetune.epochs=4"),
    "finetune.ema": ("0.5",),
    "finetune.sizes": ("32,48",),
    "finetune.size_shares": ("0.9,0.1", "finetune.sizes=32,48"),
    "finetune.size_strength": ("0.1", "finetune.sizes=32,48", "augment.brightness=0.5"),
    "finetune.label_smoothing": ("0.4",),
    "optimizer.name": ("sgd",),
    "optimizer.lr": ("1e-2",),
    "optimizer.weight_decay": ("0.5",),
    "optimizer.decay_norms": ("true",),
    "optimizer.momentum": ("0.5", "optimizer.name=sgd"),
    "optimizer.nesterov": ("false", "optimizer.name=sgd"),
    "optimizer.betas": ("0.5,0.9",),
    "optimizer.eps": ("0.1",),
    "optimizer.amsgrad": ("true",),
    "optimizer.clip": ("0.01", "optimizer.name=sgd"),
    "optimizer.accumulate": ("2",),
    "schedule.name": ("constant",),
    "schedule.warmup": ("0.6",),
    "schedule.gamma": ("0.2", "schedule.name=exponential"),
    "schedule.every": ("1", "schedule.name=step"),
    "schedule.factor": ("0.7", "schedule.name=plateau", "finetune.evaluate_every=16"),
    "schedule.patience": ("1", "schedule.name=plateau", "finetune.evaluate_every=16"),
    "schedule.threshold": ("0.9", "schedule.name=plateau", "finetune.evaluate_every=16"),
    "schedule.cooldown": ("3", "schedule.name=plateau", "finetune.evaluate_every=16",
                          "schedule.patience=1"),
    "schedule.minimum": ("0.5", "schedule.name=plateau", "finetune.evaluate_every=16"),
    "augment.horizontal_flip": ("true",),
    "augment.vertical_flip": ("true",),
    "augment.crop": ("0.9",),
    "augment.exact": ("true", "augment.crop=0.5"),
    "augment.rotation": ("30",),
    "augment.brightness": ("0.5",),
    "augment.contrast": ("0.5",),
    "augment.saturation": ("0.9",),
    "augment.hue": ("0.4",),
    "augment.grey": ("0.7",),
    "augment.blur": ("3",),
    "augment.noise": ("0.3",),
    "augment.erase": ("1",),
    "augment.policy": ("trivialaugment",),
    "augment.policy_changes": ("5", "augment.policy=randaugment"),
    "augment.policy_magnitude": ("30", "augment.policy=randaugment"),
    "augment.mixup": ("1",),
    "augment.cutmix": ("1",),
    "augment.views": ("1", "finetune.epochs=3"),
    "loss.name": ("focal",),
    "loss.output": ("sigmoid", "force=true"),
    "loss.gamma": ("5", "loss.name=focal"),
    "loss.balance": ("weight",),
    "loss.beta": ("0.5", "loss.balance=effective"),
    "loss.tau": ("3", "loss.balance=logit_adjustment"),
    "loss.distribution": ("negative_binomial", "task=count", "loss.name=hurdle"),
}  # fmt: skip
"""Another value of each, and what it needs beside it."""

ALIKE = {
    "loss.labels": "an index and a row of 0s and a 1 stand for the same loss",
    "finetune.start_penalty": "of the head on features: shown where heads are fitted",
    "finetune.always": "of the choice between two models: shown in whole runs",
    "finetune.refit": "of what follows the choice: shown in whole runs",
}
"""What changes no training by itself, and why that is right."""

OF_OTHER_NETWORKS = ("model.mini_xception.", "model.three_conv.", "model.sift_words.")

NAMES = [name for name in setting_names() if name.split(".")[0] in SECTIONS]
TRAINED = [name for name in NAMES if name not in ALIKE and not name.startswith(OF_OTHER_NETWORKS)]


def test_every_setting_of_a_training_is_changed_here():
    assert set(TRAINED) == set(CHANGED)


@pytest.fixture(scope="module")
def tinted(small, tmp_path_factory):
    """The digits in colours, fewer of the last class: what acts on colours and on rare classes shows."""
    folder, items = tmp_path_factory.mktemp("tinted"), []
    for number, item in enumerate(small.items[:47]):
        grey = np.asarray(Image.open(item.path).convert("L"), dtype=np.float64)
        tint = np.array([1.0, 0.3 + 0.5 * (number % 2), 0.2 + 0.2 * (number % 4)])
        path = folder / f"{number}.png"
        Image.fromarray((grey[..., None] * tint).astype(np.uint8)).save(path)
        items.append(Item(content_id(path.read_bytes()), path))
    return dataclasses.replace(small, items=items, labels=small.labels[:47])


@pytest.fixture(scope="module")
def seen(tinted, tmp_path_factory):
    """Return what a training gives, as one text; each is made once."""
    known = {}

    def outcome(settings):
        if settings not in known:
            known[settings] = _trained(tinted, settings, tmp_path_factory.mktemp("training"))
        return known[settings]

    return outcome


def _trained(digits, settings, folder):
    recipe = parse_recipe(None, [*TINY, "optimizer.lr=1e-3", *settings])
    losses, rights = iter([1.0, 0.9, *[0.95] * 99]), iter(range(99))

    def evaluate(_):
        values = {"loss": next(losses), "accuracy": next(rights) / 99}
        return Scores(judged=values["loss"], values=values, rising=frozenset({"accuracy"}))

    labels = digits.labels if recipe.task == "classify" else np.eye(3)[digits.labels]
    objective = make_objective(recipe, classes=3, targets=labels)
    backbone = build_backbone(recipe.model)
    if recipe.model.normalise != "backbone":
        batches = prepared_batches(digits.items, backbone.preprocessing, batch_size=16, threads=1)
        fitted = fit_preprocessing(backbone.preprocessing, batches, recipe.model)
        backbone = dataclasses.replace(backbone, preprocessing=fitted)
    model = stack(backbone, classes=objective.outputs, dropout=recipe.model.dropout)
    points = []
    model, ended = digits.train(
        recipe, folder, model=model, targets=labels, evaluate=evaluate, points=points, threads=1
    )
    weights = b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())
    curves = [(point.series, point.on, point.epoch, point.value) for point in points]
    said = (ended.steps, ended.best_step, ended.stopped[:5], curves)
    return hashlib.sha256(weights).hexdigest()[:8] + repr(said)


def refused(*settings):
    """Why settings are refused; empty where they are not."""
    try:
        parse_recipe(None, settings)
    except RecipeError as error:
        return error.problem
    return ""


@pytest.mark.parametrize("name", TRAINED)
def test_a_setting_changes_the_training(name, seen):
    value, *beside = CHANGED[name]
    if name == "model.pretrained":  # Weights are not asked for in a test of settings.
        assert parse_recipe(None, ["model.pretrained=false"]) != parse_recipe(None, [])
        return
    assert seen((*beside, f"{name}={value}")) != seen(tuple(beside)), name


@pytest.mark.parametrize("name", [name for name in TRAINED if len(CHANGED[name]) > 1])
def test_without_what_it_needs_it_changes_the_training_or_is_refused_by_name(name, seen):
    setting = f"{name}={CHANGED[name][0]}"
    problem = refused(*TINY, setting)
    if problem:
        assert name.rpartition(".")[2] in problem
        return
    given = seen((setting,))
    beside = [one for one in CHANGED[name][1:] if one in LARGER]
    assert beside or given != seen(()), name


@pytest.mark.parametrize("name", [one for one in NAMES if one.startswith(OF_OTHER_NETWORKS)])
def test_settings_of_a_network_are_refused_for_another(name):
    (idle,) = idle_settings(parse_recipe(None, ()), [name])
    assert f"Set model.backbone={name.split('.')[1]}" in idle.sentence


OPTIONS = {
    "momentum": "0.5",
    "nesterov": "true",
    "betas": "0.5,0.6",
    "eps": "0.1",
    "amsgrad": "true",
}
OPTIMIZERS = OptimizerSettings.model_json_schema()["properties"]["name"]["enum"]


def _stepped(recipe):
    """Three steps on a small sum of squares."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3))
    inputs = torch.randn(8, 3)
    optimizer = make_optimizer(
        recipe.optimizer, [{"params": [weight], "lr": 0.05, "weight_decay": 0.01}], lr=0.05
    )
    for _ in range(6):
        optimizer.zero_grad()
        (inputs @ weight.T).square().mean().backward()
        optimizer.step()
        inputs = inputs * 0.5  # Gradients that fall: what amsgrad remembers.
    return weight.detach().clone()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_option_acts_in_every_optimizer_or_is_refused(name, option):
    value = OPTIONS[option] + (",0.7" if option == "betas" and name == "adan" else "")
    plain = _stepped(parse_recipe(None, [f"optimizer.name={name}"]))
    settings = [f"optimizer.name={name}", f"optimizer.{option}={value}"]
    problem = refused(*settings)
    if problem:
        assert option in problem
        return
    given = parse_recipe(None, settings)
    if option == "nesterov":  # It is on by itself where there is any.
        plain = _stepped(parse_recipe(None, [f"optimizer.name={name}", "optimizer.nesterov=false"]))
    assert not torch.equal(_stepped(given), plain)


@pytest.mark.parametrize("task", ["classify", "multilabel", "count"])
@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_smoothing_acts_or_is_refused_under_every_loss(task, loss, small):
    settings = [f"task={task}", f"loss.name={loss}", "force=true"]
    try:
        plain = parse_recipe(None, settings)
        smooth = parse_recipe(None, [*settings, "finetune.label_smoothing=0.4"])
    except AffinageError:
        return
    targets = small.labels[:8]
    if task != "classify":
        targets = torch.nn.functional.one_hot(torch.from_numpy(targets), 3).float().numpy()
    wanted, outputs = torch.from_numpy(targets), torch.linspace(-1, 1, 24).reshape(8, 3)
    one, other = (
        make_objective(recipe, classes=3, targets=targets).loss(outputs, wanted)
        for recipe in (plain, smooth)
    )
    assert not torch.equal(one, other)


def test_what_a_setting_over_a_recipe_makes_idle_is_left_out_and_told():
    document = {"optimizer": {"name": "sgd", "momentum": 0.5, "betas": None}}
    read = read_recipe(document, ["optimizer.name=adamw"])
    assert read.recipe.optimizer == OptimizerSettings()
    assert len(read.left_out) == 1
    assert "optimizer.momentum=0.5 was left out: adamw has no momentum" in read.left_out[0]
    with pytest.raises(RecipeError, match="adamw has no momentum"):
        read_recipe({"optimizer": {"momentum": 0.5}})
    with pytest.raises(RecipeError, match="adamw has no momentum"):
        read_recipe(document, ["optimizer.name=adamw", "optimizer.momentum=0.4"])
