import dataclasses
import math

import numpy as np
import pytest
import torch

from affinage.errors import RecipeError
from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.optimizer import OptimizerSettings
from affinage.training import batch_search
from affinage.training.batch_search import find_batch_size, scaled_rate
from affinage.training.initial import check_first_loss, guessed_losses
from affinage.training.losses import make_objective
from affinage.training.memory import OVERHEAD, bytes_per_image, free_bytes
from affinage.training.range_test import choose_rate, find_learning_rate, ramp
from affinage.training.settle import is_settled, settle
from affinage.training.timing import gradient_of
from affinage.training.trial import Trial

CPU = torch.device("cpu")


def state_of(model):
    state = {name: tensor.clone() for name, tensor in model.named_buffers()}
    state |= {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    flags = {name: tensor.requires_grad for name, tensor in model.named_parameters()}
    modes = {name: module.training for name, module in model.named_modules()}
    return state, flags, modes, torch.get_rng_state()


def same(one, other):
    tensors = all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())
    return tensors and one[1:3] == other[1:3] and torch.equal(one[3], other[3])


def trial_of(small, recipe, *, model=None, times=1):
    return Trial(
        model=model or small.model(recipe), items=small.items * times,
        targets=np.tile(small.labels, times),
        objective=make_objective(recipe, classes=3, targets=small.labels),
        recipe=recipe, device=CPU, threads=1,
    )  # fmt: skip


def seconds_of(found):
    def measured(trial, **_):
        return np.full(5, found[trial.recipe.compute.precision])

    return measured


def test_a_faster_precision_is_taken_where_its_gradient_agrees(small, monkeypatch):
    monkeypatch.setattr(
        "affinage.training.settle.step_seconds", seconds_of({"fp32": 1.0, "bf16": 0.5})
    )
    recipe = small.recipe("compute.precision=auto")
    settled = settle(trial_of(small, recipe))
    assert settled.recipe.compute.precision == "bf16"
    assert "cosine of its gradient with fp32's: bf16 " in settled.reasons[0]
    monkeypatch.setattr("affinage.training.settle.AGREES", 1.0)
    assert settle(trial_of(small, recipe)).recipe.compute.precision == "fp32"


def test_a_precision_that_is_hardly_faster_is_not_taken(small, monkeypatch):
    monkeypatch.setattr(
        "affinage.training.settle.step_seconds", seconds_of({"fp32": 1.0, "bf16": 0.95})
    )
    settled = settle(trial_of(small, small.recipe("compute.precision=auto")))
    assert settled.recipe.compute.precision == "fp32"
    assert "cosine" not in settled.reasons[0]


def test_the_gradient_that_is_compared_is_that_of_the_loss(small):
    recipe = small.recipe("compute.precision=fp32", "finetune.unfreeze=all")
    trial = trial_of(small, recipe)
    found = gradient_of(trial, images=8)
    assert np.array_equal(found, gradient_of(trial, images=8))
    half = gradient_of(
        trial.under(small.recipe("compute.precision=bf16", "finetune.unfreeze=all")), images=8
    )
    cosine = found @ half / np.linalg.norm(found) / np.linalg.norm(half)
    assert 0.9 < cosine < 1


def test_auto_is_settled_and_the_model_stays_bit_for_bit(small):
    recipe = small.recipe(
        "optimizer.lr=auto", "finetune.batch_size=auto", "compute.precision=auto",
        "finetune.batchnorm=adapt",
    )  # fmt: skip
    model = small.model(recipe)
    before = state_of(model)
    settled = settle(trial_of(small, recipe, model=model))
    assert same(before, state_of(model))
    assert not is_settled(recipe)
    assert is_settled(settled.recipe)
    assert len(settled.reasons) == 3
    assert settled.recipe.finetune.batch_size in batch_search.SIZES


def test_what_is_settled_already_is_left_alone(small):
    recipe = small.recipe()
    settled = settle(trial_of(small, recipe))
    assert settled.recipe == recipe
    assert settled.reasons == ()


@pytest.mark.parametrize("setting", ["optimizer.lr", "compute.precision", "finetune.batch_size"])
def test_auto_that_was_not_settled_is_told_in_words(setting, small, tmp_path):
    with pytest.raises(RecipeError, match=f"{setting}=auto has not been settled"):
        small.train(small.recipe(f"{setting}=auto"), tmp_path)


def curve(lowest_at, *, start=2.3, lowest=1.0, steps=48):
    """A loss that falls to its lowest at one place of the ramp and then blows up."""
    places = np.arange(steps)
    falling = start - (start - lowest) * np.clip(places / lowest_at, 0, 1)
    return (falling + np.maximum(0, places - lowest_at - 2) ** 2).tolist()


@pytest.mark.parametrize("lowest_at", [12, 24, 40])
def test_the_rate_follows_the_place_where_the_loss_turns(lowest_at):
    rates = ramp(1.0)
    found = choose_rate(rates, curve(lowest_at), guess=2.3)
    assert rates[lowest_at] <= found.edge <= rates[lowest_at + 6]
    assert found.chosen == pytest.approx(found.edge / 10, rel=0.05)


def test_a_fitted_head_that_only_gets_worse_has_a_rate_all_the_same():
    rates = ramp(1.0)
    losses = [0.05 + 0.02 * max(0, place - 12) for place in range(36)] + [
        3.0 * 2**n for n in range(8)
    ]
    found = choose_rate(rates[:44], losses, guess=2.48)
    assert 1e-4 < found.chosen < 1e-2


def test_a_loss_that_never_rises_takes_the_highest_rate_that_was_tried():
    rates = ramp(1.0)
    assert choose_rate(rates, [2.0] * 48, guess=2.3).edge == rates[-1]


def test_a_loss_that_is_no_number_is_an_edge():
    rates = ramp(1.0)
    found = choose_rate(rates[:30], [2.0] * 29 + [math.nan], guess=2.3)
    assert found.edge == rates[28]


def test_the_rate_that_is_found_trains(small, tmp_path):
    recipe = small.recipe("optimizer.lr=auto", "model.dropout=0")
    test = find_learning_rate(trial_of(small, recipe))
    assert 1e-5 < test.chosen < 0.1
    points = []
    chosen = small.recipe(
        f"optimizer.lr={test.chosen}",
        "finetune.epochs=8",
        "model.dropout=0",
        "finetune.batchnorm=adapt",
    )
    small.train(chosen, tmp_path, points=points)
    losses = [p.value for p in points if (p.series, p.on) == ("loss", "train (running)")]
    assert losses[-1] < 0.6 * losses[0]


def test_the_batch_grows_while_it_pays(small, monkeypatch):
    speeds = {8: 10.0, 16: 18.0, 32: 21.0, 64: 22.0, 128: 40.0}
    monkeypatch.setattr(
        batch_search, "step_seconds",
        lambda *_, images, **__: np.array([9.0, min(images, 4000) / speeds[images]]),
    )  # fmt: skip
    recipe = small.recipe("finetune.batch_size=auto")
    found = find_batch_size(trial_of(small, recipe, times=64))
    assert found.chosen == 32
    assert [size for size, _ in found.speeds] == [8, 16, 32, 64]


def test_no_batch_is_tried_that_might_not_fit(small, monkeypatch):
    recipe = small.recipe("finetune.batch_size=auto")
    model = small.model(recipe)
    set_trainable(model, layer_groups(model))
    weight = bytes_per_image(model, recipe, CPU)
    tried = []

    def seconds(*_, images, **__):
        tried.append(images)
        return np.array([9.0, 1.0])

    monkeypatch.setattr(batch_search, "step_seconds", seconds)
    monkeypatch.setattr(batch_search, "free_bytes", lambda device: int(2 * 40 * weight))
    found = find_batch_size(trial_of(small, recipe, model=model, times=64))
    assert tried == [8, 16, 32]
    assert found.chosen == 32
    assert "GiB" in found.rule


def test_a_step_keeps_what_its_layers_keep():
    """Two layers whose activations can be counted by hand."""

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Conv2d(3, 4, 1)
            self.head = torch.nn.Linear(4 * 64, 2)
            self.drop = torch.nn.Identity()
            self.preprocessing = dataclasses.make_dataclass("Size", ["width", "height"])(8, 8)

        def forward(self, images):
            return self.head(self.backbone(images.permute(0, 3, 1, 2).float()).flatten(1))

    kept = (3 * 64 + 4 * 64) * 4  # The inputs of both layers, in fp32.
    assert bytes_per_image(Two(), parse_recipe(), CPU) == pytest.approx(OVERHEAD * kept)


def test_frozen_layers_keep_nothing(small):
    recipe = small.recipe()
    model = small.model(recipe)
    set_trainable(model, layer_groups(model))
    whole = bytes_per_image(model, recipe, CPU)
    set_trainable(model, layer_groups(model, unfreeze=0))
    assert bytes_per_image(model, recipe, CPU) < whole / 10


def test_there_is_some_memory_and_less_than_a_petabyte():
    assert 1 << 20 < free_bytes(CPU) < 1 << 50


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [("adamw", 32, 3e-4), ("adamw", 128, 6e-4), ("sgd", 128, 1.2e-3), ("lion", 8, 1.5e-4)],
)
def test_the_rate_grows_with_the_batch_as_its_rule_says(name, size, expected):
    assert scaled_rate(OptimizerSettings(name=name), size) == pytest.approx(expected)


def test_auto_stays_auto_for_the_range_test():
    assert scaled_rate(OptimizerSettings(lr="auto"), 64) == "auto"


def test_a_guess_on_classes_loses_their_entropy():
    recipe = parse_recipe()
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    objective = make_objective(recipe, classes=3, targets=labels)
    zeros, constant = guessed_losses(labels, objective)
    shares = np.array([0.6, 0.3, 0.1])
    assert zeros == pytest.approx(math.log(3), abs=1e-6)
    assert constant == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-5)


def test_a_guess_on_labels_loses_theirs():
    recipe = parse_recipe(None, ["task=multilabel"])
    table = np.zeros((100, 2), dtype=np.float32)
    table[:20, 0], table[:50, 1] = 1, 1
    objective = make_objective(recipe, classes=2, targets=table)
    entropies = [-(p * math.log(p) + (1 - p) * math.log(1 - p)) for p in (0.2, 0.5)]
    assert guessed_losses(table, objective)[1] == pytest.approx(np.mean(entropies), abs=1e-5)


@pytest.mark.parametrize("loss", ["poisson", "mse", "negative_binomial"])
def test_the_best_constant_count_is_not_worse_than_the_mean(loss):
    recipe = parse_recipe(None, ["task=count", f"loss.name={loss}"])
    counts = np.random.default_rng(0).poisson(4.0, (200, 1)).astype(np.float32)
    objective = make_objective(recipe, classes=1, targets=counts)
    zeros, constant = guessed_losses(counts, objective)
    assert constant < zeros
    if loss == "mse":
        assert constant <= counts.var() * 1.001


@pytest.mark.parametrize(
    ("scale", "verdict"), [(0.0, "as guessed"), (20.0, "worse"), (-20.0, "better")]
)
def test_the_first_loss_is_judged_against_the_guess(scale, verdict):
    labels = np.arange(90) % 3
    outputs = np.zeros((90, 3), dtype=np.float32)
    outputs[np.arange(90), labels] = -scale
    objective = make_objective(parse_recipe(), classes=3, targets=labels)
    first = check_first_loss(outputs, labels, objective)
    assert first.verdict == verdict
    assert len(first.findings()) == (verdict == "worse")
    assert not first.findings() or "1.1" in first.findings()[0].subject


def test_a_network_from_scratch_starts_at_the_guess(small):
    recipe = small.recipe()
    model = small.model(recipe).eval()
    images = torch.randint(0, 256, (30, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        outputs = model(images).numpy()
    objective = make_objective(recipe, classes=3, targets=small.labels)
    assert check_first_loss(outputs, small.labels[:30], objective).verdict == "as guessed"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA accelerator")
def test_free_memory_of_an_accelerator_is_its_own():
    device = torch.device("cuda")
    assert 0 < free_bytes(device) <= torch.cuda.get_device_properties(device).total_memory
