"""Every setting of training at its ends, one at a time: it trains, or is refused with a reason."""

import json

import pytest
import torch
import yaml
from tiny_training import TINY

from affinage.errors import AffinageError, RecipeError
from affinage.records.networks import MiniXceptionSettings
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import load_recipe, parse_recipe
from affinage.training.losses import make_objective
from affinage.training.settle import is_settled, settle
from affinage.training.stopping import Scores
from affinage.training.trial import Trial

SECTIONS = ("finetune", "optimizer", "schedule", "augment", "loss", "model")
NOT_HERE = {"model.sift_words.words", "model.backbone", "model.pretrained", "finetune.steps"}
"""Other networks have their own tests; the length is what keeps this one short."""

SHOWN = {
    "finetune.sizes": ["32", "32,48", "48,32", "2049"],
    "finetune.size_shares": ["1", "0.5,0.5", "0"],
    "finetune.stop_on": ["loss", "accuracy", "beauty"],
    "finetune.minutes": ["0.001", "5"],
    "model.width": ["32", "48", "8"],
    "model.height": ["32", "48", "4000"],
    "model.head.hidden": ["4", "8,4", "0"],
    "optimizer.betas": ["0,0", "0.9,0.99", "0.9", "0.9,1"],
    "model.mini_xception.filters": ["8,16,16", "0"],
    "model.three_conv.filters": ["4,8", "0"],
    "model.mini_xception.modules": ["1", "3"],
    "model.three_conv.dense": ["16"],
}
"""Values of settings whose ends say little, or would take long."""

BESIDE = {
    "schedule.gamma": ("schedule.name=exponential",),
    "schedule.every": ("schedule.name=step",),
    "schedule.factor": ("schedule.name=plateau",),
    "schedule.patience": ("schedule.name=plateau",),
    "schedule.threshold": ("schedule.name=plateau",),
    "schedule.cooldown": ("schedule.name=plateau",),
    "schedule.minimum": ("schedule.name=plateau",),
    "optimizer.nesterov": ("optimizer.name=sgd",),
    "optimizer.momentum": ("optimizer.name=sgd",),
    "augment.policy_changes": ("augment.policy=randaugment",),
    "augment.policy_magnitude": ("augment.policy=randaugment",),
    "loss.gamma": ("loss.name=focal",),
    "loss.beta": ("loss.balance=effective",),
    **dict.fromkeys(
        (f"model.mini_xception.{name}" for name in MiniXceptionSettings.model_fields),
        ("model.mini_xception.filters=8,16,16", "model.mini_xception.modules=1"),
    ),
    "loss.tau": ("loss.balance=logit_adjustment",),
    "finetune.size_shares": ("finetune.sizes=32,48",),
    "finetune.size_strength": ("finetune.sizes=32,48",),
    "model.head.gem_power": ("model.head.pooling=gem",),
    "model.head.dropout": ("model.head.hidden=4",),
    "model.head.activation": ("model.head.hidden=4",),
    "model.whitening.patch": ("model.normalise=zca",),
    "model.whitening.epsilon": ("model.normalise=zca",),
}


ALLOWED_TO_STOP = {"finetune.stop_on", "finetune.sizes", "optimizer.lr", "finetune.unfreeze"}
"""What only the images, the network or the loss can tell to be wrong; said in words all the same."""


def ends(entry):
    """Texts of the values at the ends of a setting's range, and just beyond."""
    if "anyOf" in entry:
        return [value for option in entry["anyOf"] for value in ends(option)]
    if "enum" in entry or "const" in entry:
        return [str(value) for value in entry.get("enum", [entry.get("const")])]
    step = 1 if entry.get("type") == "integer" else 1e-3
    match entry.get("type"):
        case "boolean":
            return ["true", "false"]
        case "null":
            return ["null"]
        case "integer" | "number":
            found = [entry[key] for key in ("minimum", "maximum") if key in entry]
            found += [entry["minimum"] - step] if "minimum" in entry else []
            found += [entry["maximum"] + step] if "maximum" in entry else []
            for key, sign in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
                found += [entry[key], entry[key] + sign * step] if key in entry else []
            return [f"{value:g}" for value in found]
    return []


def every():
    return [*_every()]


def _every():
    schema = Recipe.model_json_schema()

    def walk(properties, prefix):
        for key, entry in properties.items():
            inner = entry.get("$ref") or entry.get("allOf", [{}])[0].get("$ref")
            if inner:
                yield from walk(
                    schema["$defs"][inner.rpartition("/")[2]]["properties"], f"{prefix}{key}."
                )
            else:
                yield prefix + key, entry

    for name, entry in walk(schema["properties"], ""):
        if name.split(".")[0] in SECTIONS and name not in NOT_HERE:
            for value in dict.fromkeys(SHOWN.get(name) or ends(entry)):
                yield pytest.param(name, value, id=f"{name}={value}")


def told(name):
    """The settings that go with one."""
    network = [part for part in ("mini_xception", "three_conv") if part in name]
    return (*TINY, "finetune.steps=2", "finetune.batch_size=4", *BESIDE.get(name, ()),
            *(f"model.backbone={one}" for one in network))  # fmt: skip


def outcome(make):
    try:
        return make()
    except AffinageError as error:
        return error


def nested(settings):
    """The settings as a document: what a YAML file of them holds."""
    document = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        *sections, key = name.split(".")
        inner = document
        for section in sections:
            inner = inner.setdefault(section, {})
        value = yaml.safe_load(text)
        if isinstance(value, str) and "," in value:
            value = [yaml.safe_load(part) for part in value.split(",")]
        inner[key] = value
    return document


@pytest.mark.parametrize(("name", "value"), every())
def test_a_setting_trains_or_is_refused_with_its_name_or_the_right_pairing(
    name, value, small, tmp_path
):
    settings = [*told(name), f"{name}={value}"]
    recipe = outcome(lambda: parse_recipe(None, settings))
    if isinstance(recipe, RecipeError):
        assert name.rpartition(".")[2] in recipe.problem or len(recipe.problem.split()) > 8
        assert recipe.remedy
        return
    objective = make_objective(recipe, classes=3, targets=small.labels)
    model = small.model(recipe)
    if not is_settled(recipe):
        trial = Trial(
            model=model, items=small.items, targets=small.labels, objective=objective, recipe=recipe,
            device=torch.device("cpu"), threads=1,
        )  # fmt: skip
        recipe = settle(trial).recipe
    values = {"loss": 1.0, "accuracy": 0.5}
    scores = Scores(judged=1.0, values=values, rising=frozenset({"accuracy"}))
    said = outcome(lambda: small.train(recipe, tmp_path, model=model, evaluate=lambda _: scores))
    if isinstance(said, AffinageError):
        assert name in ALLOWED_TO_STOP, said
        assert said.remedy
        return
    assert said[1].steps >= 1
    assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


@pytest.mark.parametrize(("name", "value"), every())
def test_flag_file_and_mapping_say_the_same(name, value):
    settings = [*told(name), f"{name}={value}"]
    flag = outcome(lambda: parse_recipe(None, settings))
    file = outcome(lambda: load_recipe(yaml.safe_dump(nested(settings))))
    mapping = outcome(lambda: parse_recipe(json.loads(json.dumps(nested(settings)))))
    if isinstance(flag, RecipeError):
        assert isinstance(file, RecipeError)
        assert isinstance(mapping, RecipeError)
    else:
        assert flag == file == mapping
