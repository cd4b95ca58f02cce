import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import RecipeError
from affinage.records.recipe_text import parse_recipe
from affinage.records.settings.schedule import ScheduleSettings
from affinage.training.plan import Plan, make_plan
from affinage.training.schedule import Plateau, factor_of, schedule_factor

PLAN = Plan(steps=400, steps_per_epoch=10)
NAMES = ("one_cycle", "cosine", "constant", "exponential", "step", "plateau")


def factors(**settings):
    chosen = ScheduleSettings(**settings)
    return [schedule_factor(chosen, step, PLAN) for step in range(PLAN.steps)]


def torch_factors(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for step in range(PLAN.steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % PLAN.steps_per_epoch == 0:
            scheduler.step()
    return rates


@pytest.mark.parametrize("warmup", [None, 0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_stays_in_its_range_and_rises_only_while_it_warms_up(name, warmup):
    found = factors(name=name, warmup=warmup)
    assert all(0 < factor <= 1 for factor in found)
    assert max(found) > 0.8
    share = (0.25 if name == "one_cycle" else 0.05) if warmup is None else warmup
    top = round(share * PLAN.steps)
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(found[top:]))
    assert share == 0 or found[0] < 0.05


def test_exponential_is_torchs():
    ours = factors(name="exponential", gamma=0.9, warmup=0)
    assert ours == pytest.approx(
        torch_factors(lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9))
    )


def test_step_is_torchs():
    ours = factors(name="step", gamma=0.2, every=7, warmup=0)
    assert ours == pytest.approx(
        torch_factors(lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.2))
    )


def test_cosine_is_torchs_at_the_middle_of_each_step():
    ours = factors(name="cosine", warmup=0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    halves = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2 * PLAN.steps)
    rates = []
    for _ in range(2 * PLAN.steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        halves.step()
    assert ours == pytest.approx([max(rate, 1e-3) for rate in rates[1::2]], abs=1e-9)


@given(
    values=st.lists(st.integers(-20, 20).map(lambda n: n / 10), min_size=1, max_size=60),
    patience=st.integers(1, 4),
    cooldown=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 0.01, 0.2]),
)
def test_plateau_is_torchs_one_look_earlier(values, patience, cooldown, threshold):
    settings = ScheduleSettings(
        name="plateau", factor=0.5, patience=patience, cooldown=cooldown, threshold=threshold
    )
    shifted = [value + 3 for value in values]  # torch's relative threshold wants positive numbers.
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience - 1, cooldown=cooldown, threshold=threshold, eps=0
    )
    plateau = Plateau()
    for value in shifted:
        plateau.look(settings, value, epoch=0)
        reference.step(value)
        assert plateau.factor == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_counts_gains_of_negative_scores_too():
    settings = ScheduleSettings(name="plateau", patience=2, threshold=0.1)
    plateau = Plateau()
    for accuracy in (0.80, 0.81, 0.82):  # Not a tenth more.
        plateau.look(settings, -accuracy, epoch=0)
    assert plateau.factor == pytest.approx(0.3)
    plateau.look(settings, -0.95, epoch=0)
    assert plateau.flat == 0


def test_plateau_stops_at_its_minimum():
    settings = ScheduleSettings(name="plateau", factor=0.1, patience=1, minimum=0.05)
    plateau = Plateau()
    for _ in range(9):
        plateau.look(settings, 1.0, epoch=0)
    assert plateau.factor == 0.05


def test_a_gamma_that_nothing_uses_is_refused():
    with pytest.raises(RecipeError, match="exponential or step"):
        parse_recipe(None, ["schedule.gamma=0.9"])
    with pytest.raises(RecipeError, match="set factor"):
        parse_recipe(None, ["schedule.name=plateau", "schedule.gamma=0.9"])


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ((), 138),
        (("finetune.epochs=2",), 46),
        (("finetune.images=320",), 10),
        (("finetune.epochs=2", "finetune.images=32000"), 46),
        (("finetune.epochs=2", "finetune.steps=7"), 7),
    ],
)
def test_the_plan_ends_at_the_first_limit(settings, steps):
    assert make_plan(parse_recipe(None, settings).finetune, 720).steps == steps


def test_a_batch_size_that_was_not_settled_is_told():
    with pytest.raises(RecipeError, match="auto has not been settled"):
        make_plan(parse_recipe(None, ["finetune.batch_size=auto"]).finetune, 720)


def test_the_cuts_of_one_training_serve_another():
    settings = ScheduleSettings(name="plateau", factor=0.5, patience=1)
    plateau = Plateau()
    for epoch, value in enumerate([3.0, 2.0, 2.0, 1.0, 1.0]):
        plateau.look(settings, value, epoch=float(epoch))
    assert plateau.cuts == [(2.0, 0.5), (4.0, 0.25)]
    assert [factor_of(plateau.cuts, epoch) for epoch in (0, 1.9, 2, 3.5, 4, 9)] == [
        1, 1, 0.5, 0.5, 0.25, 0.25,
    ]  # fmt: skip
