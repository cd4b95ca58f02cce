"""One battery over every optimizer that a recipe can name."""

from typing import get_args

import pytest
import torch

from affinage.errors import RecipeError
from affinage.models.build import build_backbone, stack
from affinage.models.freeze import layer_groups
from affinage.models.optimizers import TORCH, make_optimizer
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.optimizer import (
    WITH_AMSGRAD,
    WITH_MOMENTUM,
    WITHOUT_BETAS,
    WITHOUT_EPS,
    OptimizerName,
    OptimizerSettings,
)
from affinage.training.checkpoint import load_training, save_training
from affinage.training.optimizer import build_optimizer

NAMES = get_args(OptimizerName)


def bowl(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1))


def loss_of(model):
    inputs = torch.linspace(-1, 1, 48).reshape(8, 6)
    return (model(inputs) - 2 + inputs.sum(1, keepdim=True)).square().mean()


def optimizer_of(model, name, lr=1e-3, **settings):
    chosen = OptimizerSettings(name=name, lr=lr, weight_decay=0.0, **settings)
    return make_optimizer(
        chosen, [{"params": list(model.parameters()), "lr": lr, "scale": 1.0}], lr=lr
    )


def take(model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss_of(model).backward()
        optimizer.step()


@pytest.mark.parametrize("name", NAMES)
def test_steps_lower_a_convex_loss(name):
    weight = torch.nn.Parameter(torch.full((4, 3), 5.0))
    optimizer = make_optimizer(
        OptimizerSettings(name=name, weight_decay=0.0), [{"params": [weight]}], lr=1e-2
    )
    before = weight.square().sum().item()
    for _ in range(3):  # Some warm up and do not move in their first step.
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.square().sum().item() < before


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_save_and_load_bit_for_bit(name, tmp_path):
    whole, half = bowl(), bowl()
    take(whole, optimizer_of(whole, name), 7)
    first = optimizer_of(half, name)
    take(half, first, 3)
    save_training(tmp_path / "x.safetensors", half, first)
    again = bowl(seed=1)
    second = optimizer_of(again, name)
    load_training(tmp_path / "x.safetensors", again, second)
    take(again, second, 4)
    for own, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_gradient_does_not_move(name):
    model = bowl()
    frozen = model[0].weight.requires_grad_(requires_grad=False)
    before = frozen.clone()
    optimizer = make_optimizer(
        OptimizerSettings(name=name, weight_decay=0.5),
        [{"params": list(model.parameters()), "weight_decay": 0.5}],
        lr=1e-2,
    )
    take(model, optimizer, 3)
    assert torch.equal(frozen, before)


@pytest.mark.parametrize("decay_norms", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_norms_and_biases_decay_only_when_asked(name, decay_norms):
    recipe = parse_recipe(None, ["model.backbone=test_vit", "model.pretrained=false"])
    model = stack(build_backbone(recipe.model), classes=2)
    settings = OptimizerSettings(name=name, lr=1.0, weight_decay=0.1, decay_norms=decay_norms)
    optimizer = build_optimizer(model, layer_groups(model), settings, layer_decay=0.5)
    members = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(members) == len({id(p) for p in members}) == len(list(model.parameters()))
    for group in optimizer.param_groups:
        decays = group["weight_decay"] > 0
        assert all(decays == (p.ndim > 1 or decay_norms) for p in group["params"])


@pytest.mark.parametrize("name", NAMES)
def test_every_option_reaches_the_optimizer(name):
    given = {}
    if name not in WITHOUT_BETAS:
        given["betas"] = (0.8, 0.7, 0.6) if name == "adan" else (0.8, 0.7)
    if name not in WITHOUT_EPS:
        given["eps"] = 1e-3
    if name in WITH_MOMENTUM:
        given["momentum"] = 0.5
    if name in WITH_AMSGRAD:
        given["amsgrad"] = True
    group = optimizer_of(bowl(), name, **given).param_groups[0]
    if name == "rmsprop":
        assert group["alpha"] == given.pop("betas")[1]
    for key, value in given.items():
        assert group[key] == value


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("optimizer.nesterov=true",), "nadam"),
        (("optimizer.name=sgd", "optimizer.momentum=0", "optimizer.nesterov=true"), "above 0"),
        (("optimizer.name=lion", "optimizer.amsgrad=true"), "adam, adamw"),
        (("optimizer.name=sgd", "optimizer.betas=0.9,0.99"), "momentum"),
        (("optimizer.betas=0.9,0.99,0.999",), "2 betas"),
        (("optimizer.name=adan", "optimizer.betas=0.9,0.99"), "3 betas"),
        (("optimizer.name=sgd", "optimizer.eps=1e-8"), "eps"),
        (("optimizer.name=adamwx",), "adamw"),
        (("optimizer.accumulate=33",), "batch_size"),
    ],
)
def test_what_an_optimizer_does_not_have_is_refused_with_the_right_pairing(settings, reason):
    with pytest.raises(RecipeError, match=reason):
        parse_recipe(None, settings)


def test_plain_descent_is_plain():
    model, reference = bowl(), bowl()
    settings = OptimizerSettings(name="sgd", momentum=0.0, weight_decay=0.0)
    take(model, make_optimizer(settings, [{"params": list(model.parameters())}], lr=0.1), 3)
    for _ in range(3):
        reference.zero_grad()
        loss_of(reference).backward()
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.sub_(0.1 * parameter.grad)
    for own, other in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-7)


@pytest.mark.parametrize("name", TORCH)
def test_defaults_are_those_of_its_authors(name):
    model = bowl()
    own = TORCH[name](model.parameters(), lr=1e-3).defaults
    ours = optimizer_of(model, name).param_groups[0]
    for key in ("betas", "eps", "alpha"):
        assert ours.get(key) == own.get(key)
