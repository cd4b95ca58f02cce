"""What a real training may not move does not move, whatever is switched on."""

import numpy as np
import pytest
import torch

from affinage.imaging.batches import prepared_batches
from affinage.models.classifier import batchnorms
from affinage.models.freeze import frozen_state, layer_groups, set_trainable
from affinage.records.recipe_text import parse_recipe
from affinage.training.feeding import Feed
from affinage.training.loop import training_steps
from affinage.training.losses import make_objective, sampling_weights
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan
from affinage.training.statistics import recompute_statistics

CPU = torch.device("cpu")
FAMILIES = (
    "test_resnet",
    "test_efficientnet",
    "test_convnext",
    "test_vit",
    "mobilenetv3_small_050",
)
EVERYTHING = (
    "optimizer.name=adamw", "optimizer.weight_decay=0.5", "optimizer.lr=0.01", "finetune.ema=0.9",
    "augment.mixup=0.4", "optimizer.accumulate=2", "model.dropout=0.5",
)  # fmt: skip


@pytest.mark.parametrize("batchnorm", ["frozen", "adapt", "recompute"])
@pytest.mark.parametrize("unfreeze", [0, 1])
@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_frozen_moves_in_a_whole_training(name, unfreeze, batchnorm, small, tmp_path):
    size = ("model.width=null", "model.height=null") if "vit" in name else ()
    recipe = small.recipe(
        f"model.backbone={name}", *size, f"finetune.unfreeze={unfreeze}", "finetune.epochs=1",
        f"finetune.batchnorm={batchnorm}", "finetune.batch_size=30", *EVERYTHING,
    )  # fmt: skip
    model = small.model(recipe)
    set_trainable(model, layer_groups(model, unfreeze=unfreeze))
    fixed = frozen_state(model, batchnorm=batchnorm)
    head = model.head.weight.detach().clone()
    assert fixed
    small.train(recipe, tmp_path, model=model)
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in fixed.items())
    assert not torch.equal(model.head.weight, head)


def test_blocks_stay_as_they_are_until_their_turn(small):
    recipe = small.recipe("finetune.gradual=1", "finetune.batchnorm=adapt", "finetune.unfreeze=2")
    model = small.model(recipe)
    groups = layer_groups(model, unfreeze=2)
    set_trainable(model, groups)
    optimizer = build_optimizer(model, groups, recipe.optimizer, layer_decay=1.0)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moved = []
    for _ in training_steps(
        model, optimizer, small.items, small.labels, recipe=recipe, device=CPU, threads=1,
        objective=make_objective(recipe, classes=3, targets=small.labels),
        plan=Plan(steps=12, steps_per_epoch=4),
    ):  # fmt: skip
        state = model.state_dict()
        moved.append(
            [
                any(not torch.equal(state[name], start[name]) for name in group.names)
                for group in groups[-4:]
            ]
        )
    assert moved[3] == [False, False, False, True]
    assert moved[7] == [False, False, True, True]
    assert moved[11] == [False, True, True, True]


def as_evaluated(model, small):
    (images,) = prepared_batches(small.items, model.preprocessing, batch_size=60, threads=1)
    return torch.from_numpy(images)


def test_statistics_are_those_of_the_training_images(small):
    recipe = small.recipe("finetune.batchnorm=recompute", "finetune.batch_size=60")
    model = small.model(recipe)
    set_trainable(model, layer_groups(model))
    with torch.no_grad():
        for layer in batchnorms(model):
            layer.running_mean.fill_(7)
    measured = recompute_statistics(
        model, small.items, seed=0, batch_size=60, device=CPU, threads=1
    )
    assert measured == len(list(batchnorms(model))) > 5
    first = next(batchnorms(model))
    seen = []
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad():
        model.eval()(as_evaluated(model, small))
    assert torch.allclose(first.running_mean, seen[0].mean((0, 2, 3)), atol=1e-3)
    assert torch.allclose(first.running_var, seen[0].var((0, 2, 3)), rtol=1e-3)


def test_recomputing_helps_where_statistics_lag_behind(small, tmp_path):
    """At a high rate and few steps, running means are far from what the weights now give."""
    settings = ("optimizer.lr=0.03", "model.dropout=0", "finetune.epochs=3", "finetune.ema=0")
    losses = {}
    for mode in ("adapt", "recompute"):
        recipe = small.recipe(f"finetune.batchnorm={mode}", *settings)
        model, ended = small.train(recipe, tmp_path / mode)
        assert (ended.measured_layers > 0) == (mode == "recompute")
        objective = make_objective(recipe, classes=3, targets=small.labels)
        with torch.no_grad():
            outputs = model.eval()(as_evaluated(model, small))
        losses[mode] = float(objective.plain(outputs, torch.from_numpy(small.labels)).mean())
    assert losses["recompute"] < losses["adapt"]


def test_a_sampler_shows_rare_classes_as_often_and_each_showing_anew(small):
    keep = np.r_[0:20, 20:24, 40:42]
    items, labels = [small.items[index] for index in keep], small.labels[keep]
    recipe = parse_recipe(None, ["loss.balance=sampler", "augment.crop=0.3"])
    feed = Feed(
        items=items, targets=labels, weights=sampling_weights(recipe, labels), recipe=recipe,
        preprocessing=small.model(small.recipe()).preprocessing,
        plan=Plan(steps=60, steps_per_epoch=1), threads=2,
    )  # fmt: skip
    batches = list(feed.batches())
    shown = np.bincount(np.concatenate([batch.targets for batch in batches])) / (60 * 26)
    assert shown == pytest.approx([1 / 3] * 3, abs=0.05)
    rare = [view for batch in batches[:4] for view in batch.images[batch.targets == 2]]
    assert len({view.tobytes() for view in rare}) > 0.8 * len(rare)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA accelerator")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_an_accelerator_trains_in_every_precision(precision, small):
    device = torch.device("cuda")
    recipe = small.recipe(f"compute.precision={precision}", "finetune.batchnorm=adapt")
    model = small.model(recipe).to(device)
    groups = layer_groups(model)
    set_trainable(model, groups)
    optimizer = build_optimizer(model, groups, recipe.optimizer, layer_decay=1.0)
    losses = [
        float(step.loss)
        for step in training_steps(
            model, optimizer, small.items, small.labels, recipe=recipe, device=device, threads=2,
            objective=make_objective(recipe, classes=3, targets=small.labels),
            plan=Plan(steps=40, steps_per_epoch=4),
        )
    ]  # fmt: skip
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
