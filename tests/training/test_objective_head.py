"""Heads of any objective at their optimum."""

import numpy as np
import pytest
import torch

from affinage.records.recipe_text import parse_recipe
from affinage.training.losses import make_objective
from affinage.training.objective_head import (
    choose_objective_penalty,
    fit_objective,
    hits,
    plain_losses,
    predicted,
)

LOSSES = ("poisson", "negative_binomial", "zero_inflated", "hurdle", "ordinal", "mse", "mae")


def counted(seed=0, n=120):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, 6)).astype(np.float32)
    means = np.exp(0.8 + rows[:, :2] * [0.7, -0.4])
    return rows, random.poisson(means).astype(np.float32)


def objective_of(name, targets, task="count"):
    recipe = parse_recipe({"task": task, "loss": {"name": name}})
    return make_objective(recipe, classes=targets.shape[1], targets=targets)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "mae"])
def test_no_small_step_from_the_head_lowers_its_loss(name):
    rows, targets = counted()
    objective = objective_of(name, targets)
    head = fit_objective(rows, targets, objective, penalty=0.1)
    scale = np.sqrt(((rows - rows.mean(axis=0)) ** 2).mean())

    def value(weight, bias):
        outputs = rows.astype(np.float64) @ weight.T + bias
        with torch.no_grad():
            loss = objective.loss(torch.from_numpy(outputs), torch.from_numpy(targets)).mean()
        return float(loss) + 0.05 * ((weight * scale) ** 2).sum()

    least = value(head.weight, head.bias)
    random = np.random.default_rng(1)
    for _ in range(20):
        weight = head.weight + 1e-3 * random.normal(size=head.weight.shape)
        bias = head.bias + 1e-3 * random.normal(size=head.bias.shape)
        assert value(weight, bias) > least - 1e-7


def test_a_poisson_head_is_that_of_newton_by_hand():
    rows, targets = counted()
    first = targets[:, :1]
    head = fit_objective(rows, first, objective_of("poisson", first), penalty=1e-6)
    design = np.concatenate([rows, np.ones((len(rows), 1))], axis=1).astype(np.float64)
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        mean = np.exp(design @ beta)
        beta += np.linalg.solve(
            design.T @ (design * mean[:, None]), design.T @ (first[:, 0] - mean)
        )
    assert np.allclose([*head.weight[0], head.bias[0]], beta, atol=2e-3)


def test_switches_are_fitted_too():
    rows, counts = counted()
    targets = (counts > 2).astype(np.float32)
    objective = objective_of("bce", targets, task="multilabel")
    head = fit_objective(rows, targets, objective, penalty=0.01)
    assert hits(objective, head.logits(rows), targets) > 0.75
    assert predicted(objective, head.logits(rows)).shape == targets.shape


@pytest.mark.parametrize("name", LOSSES)
def test_cross_validation_prefers_what_predicts_held_out_images_best(name):
    rows, targets = counted()
    objective = objective_of(name, targets)
    ids = [f"{number}" for number in range(len(rows))]
    choice = choose_objective_penalty(
        rows, targets, objective, penalties=(0.01, 0.1, 1.0), folds=4, seed=0, ids=ids
    )
    assert choice.penalty == min(choice.losses, key=lambda row: row[1])[0]
    assert choice.held_out == len(rows)
    again = choose_objective_penalty(
        rows[::-1],
        targets[::-1],
        objective,
        penalties=(0.01, 0.1, 1.0),
        folds=4,
        seed=0,
        ids=ids[::-1],
    )
    assert again.penalty == choice.penalty


def test_the_same_images_give_the_same_head():
    rows, targets = counted()
    objective = objective_of("hurdle", targets)
    one, two = (fit_objective(rows, targets, objective, penalty=0.3) for _ in range(2))
    assert np.array_equal(one.weight, two.weight)


def test_a_head_learns_what_can_be_learnt():
    rows, targets = counted()
    objective = objective_of("poisson", targets)
    head = fit_objective(rows, targets, objective, penalty=0.01)
    blank = np.log(np.maximum(targets.mean(axis=0), 1e-6)) + np.zeros_like(targets)
    assert (
        plain_losses(objective, head.logits(rows), targets).mean()
        < plain_losses(objective, blank, targets).mean() - 0.1
    )
