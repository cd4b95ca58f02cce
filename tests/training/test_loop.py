import numpy as np
import pytest
import torch

from affinage.errors import RunError
from affinage.imaging.batches import Item
from affinage.imaging.hashing import content_id
from affinage.models.build import build_backbone, stack
from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.optimizer import OptimizerSettings
from affinage.records.settings.schedule import ScheduleSettings
from affinage.training.checkpoint import load_training, save_training
from affinage.training.finetune import Observed, finetune
from affinage.training.loop import training_steps
from affinage.training.losses import make_objective
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan, make_plan
from affinage.training.schedule import schedule_factor
from affinage.training.stopping import Scores
from real_digits import SMALL

CPU = torch.device("cpu")


@pytest.fixture
def items(digits):
    paths = sorted(digits.glob("*/*.png"))
    return [Item(content_id(path.read_bytes()), path) for path in paths], np.array(
        [int(path.parent.name) for path in paths], dtype=np.int64
    )


def recipe_of(*settings):
    return parse_recipe(None, [*SMALL, "model.dropout=0.3", "model.drop_path=0.2", *settings])


def fresh(recipe):
    return stack(build_backbone(recipe.model), classes=3, dropout=recipe.model.dropout)


def objective_of(recipe, items):
    return make_objective(recipe, classes=3, targets=items[1])


def silent(evaluate=None, out_of_time=lambda: False):
    return Observed(
        evaluate=evaluate,
        evaluate_train=None,
        observe=lambda point: None,
        progress=lambda done, total: None,
        out_of_time=out_of_time,
    )


def train(recipe, items, folder, *, model=None, **observed):
    model = model or fresh(recipe)
    ended = finetune(
        model, *items, objective=objective_of(recipe, items), recipe=recipe,
        plan=make_plan(recipe.finetune, len(items[0])),
        observed=silent(**observed), folder=folder, device=CPU, threads=2,
    )  # fmt: skip
    return model, ended


def test_a_training_cut_short_anywhere_ends_with_the_same_weights(items, tmp_path):
    recipe = recipe_of()
    whole, _ = train(recipe, items, tmp_path / "whole")

    class Killed(BaseException):
        pass

    for stop_at in (1, 4, 6):
        seen = 0

        def kill(stop=stop_at):
            nonlocal seen
            seen += 1
            if seen > stop:
                raise Killed
            return False

        folder = tmp_path / f"cut{stop_at}"
        with pytest.raises(Killed):
            train(recipe, items, folder, out_of_time=kill)
        again, _ = train(recipe, items, folder)
        for name, tensor in whole.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name]), name


def test_the_weights_of_the_best_epoch_are_kept(items, tmp_path):
    losses = iter([3.0, 1.0, 2.0])
    states = []

    def evaluate(model):
        states.append({key: value.clone() for key, value in model.state_dict().items()})
        loss = next(losses)
        return Scores(judged=loss)

    model, ended = train(recipe_of(), items, tmp_path, evaluate=evaluate)
    assert ended.best_step == make_plan(recipe_of().finetune, 60).steps_per_epoch
    assert all(torch.equal(value, states[1][key]) for key, value in model.state_dict().items())


def test_patience_ends_a_training_that_gets_no_better(items, tmp_path):
    recipe = recipe_of("finetune.epochs=9", "finetune.patience=2")
    _, ended = train(recipe, items, tmp_path, evaluate=lambda model: Scores(judged=1.0))
    assert "2 epochs" in ended.stopped
    assert ended.best_step == 0


def test_a_loss_that_is_no_number_stops_with_advice(items, tmp_path):
    recipe = recipe_of("optimizer.lr=3e-4")
    model = fresh(recipe)
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="loss became nan at the first step"):
        train(recipe, items, tmp_path, model=model)


def wild(*settings):
    """Settings under which a plain network of convolutions loses its numbers within a few steps."""
    return parse_recipe(
        None,
        [*SMALL, "model.backbone=three_conv", "optimizer.name=sgd", "optimizer.lr=10",
         "optimizer.clip=null", "schedule.name=constant", "schedule.warmup=0", *settings],
    )  # fmt: skip


def test_a_training_that_loses_its_numbers_ends_with_the_best_weights_before(items, tmp_path):
    recipe = wild("finetune.epochs=9")
    model = fresh(recipe)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    _, ended = train(recipe, items, tmp_path, model=model, evaluate=lambda _: Scores(judged=1.0))
    assert ended.lost_at == ended.steps < 9 * make_plan(recipe.finetune, 60).steps_per_epoch
    assert "the loss became" in ended.stopped
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = train(recipe, items, tmp_path, model=fresh(recipe), evaluate=lambda _: None)[1]
    assert (again.lost_at, again.stopped) == (ended.lost_at, ended.stopped)


def test_a_look_that_sees_no_numbers_ends_the_training(items, tmp_path):
    judged = iter([1.0, float("nan")])
    recipe = recipe_of("finetune.epochs=9")
    _, ended = train(recipe, items, tmp_path, evaluate=lambda _: Scores(judged=next(judged)))
    assert ended.lost_at == ended.steps == make_plan(recipe.finetune, 60).steps_per_epoch
    assert ended.best_step == 0
    with pytest.raises(RunError, match="Before the first step"):
        train(recipe, items, tmp_path / "new", evaluate=lambda _: Scores(judged=float("nan")))


def test_every_image_is_seen_once_an_epoch_with_its_own_label(items):
    recipe = recipe_of()
    seen = []

    plan = Plan(steps=8, steps_per_epoch=4)
    model = fresh(recipe)
    groups = layer_groups(model, unfreeze=0)
    set_trainable(model, groups)
    optimizer = build_optimizer(model, groups, recipe.optimizer, layer_decay=1.0)
    model.features = lambda images: torch.zeros(len(images), model.head.in_features)
    for step in training_steps(
        model,
        optimizer,
        *items,
        objective=objective_of(recipe, items),
        recipe=recipe,
        plan=plan,
        device=CPU,
        threads=1,
    ):
        seen.append(step.images)
    assert sum(seen) == 2 * len(items[0])
    assert max(seen) - min(seen) <= plan.steps_per_epoch


def test_threads_change_no_number(items, tmp_path):
    recipe = recipe_of("finetune.epochs=1")
    states = []
    for threads in (1, 2, 4):
        model = fresh(recipe)
        finetune(
            model, *items, objective=objective_of(recipe, items), recipe=recipe,
            plan=make_plan(recipe.finetune, 60), observed=silent(), folder=tmp_path / str(threads),
            device=CPU, threads=threads,
        )  # fmt: skip
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        assert all(torch.equal(tensor, state[name]) for state in states[1:]), name


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_checkpoint_restores_the_optimizer(tmp_path, name):
    recipe = recipe_of(f"optimizer.name={name}")
    model = fresh(recipe)
    groups = layer_groups(model, unfreeze=1)
    set_trainable(model, groups)

    def optimizer_of():
        return build_optimizer(model, groups, recipe.optimizer, layer_decay=0.5)

    first = optimizer_of()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    model.eval()(images).sum().backward()
    first.step()
    save_training(tmp_path / "x.safetensors", model, first, step=1)
    second = optimizer_of()
    assert load_training(tmp_path / "x.safetensors", model, second)["step"] == 1
    for index, state in first.state_dict()["state"].items():
        for key, value in state.items():
            assert torch.equal(
                torch.as_tensor(value), torch.as_tensor(second.state_dict()["state"][index][key])
            )


@pytest.mark.parametrize(
    "damage", [b"", b"\x80\x04nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "]
)
def test_a_foreign_checkpoint_is_refused_in_words(tmp_path, damage):
    path = tmp_path / "x.safetensors"
    path.write_bytes(damage)
    recipe = recipe_of()
    model = fresh(recipe)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(RunError, match="damaged"):
        load_training(path, model, optimizer)


@pytest.mark.parametrize("name", ["one_cycle", "cosine", "constant"])
def test_a_schedule_stays_in_its_range_and_peaks_at_one(name):
    settings = ScheduleSettings(name=name)
    factors = [
        schedule_factor(settings, step, Plan(steps=400, steps_per_epoch=40)) for step in range(400)
    ]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, abs=0.02)
    assert factors[0] < 0.2
    assert (factors[-1] < 0.01) == (name != "constant")


def test_rates_grow_toward_the_head_and_norms_do_not_decay():
    recipe = recipe_of()
    model = fresh(recipe)
    groups = layer_groups(model)
    settings = OptimizerSettings(lr=1.0, weight_decay=0.1)
    optimizer = build_optimizer(model, groups, settings, layer_decay=0.5)
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0
    assert rates[-3] == 0.5
    for group in optimizer.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


@pytest.mark.parametrize(("images", "epochs"), [(100, 20), (720, 6), (5_000, 2), (100_000, 2)])
def test_the_plan_follows_the_number_of_images(images, epochs):
    plan = make_plan(parse_recipe().finetune, images)
    assert plan.epochs == epochs
