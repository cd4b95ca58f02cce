"""What the doctor found is put to the test on copies of real small trainings."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from affinage.diagnosis.diagnose import diagnose
from affinage.metrics.paired_runs import paired_mean
from affinage.records.finding import Finding
from affinage.records.verdict import Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import Opened, copied
from affinage.watching.pools import pool_of
from affinage.watching.showing import SHOWS
from affinage.watching.showing_steps import GATES
from affinage.watching.trials import hits
from affinage.watching.watch import watch
from affinage.workflows.experiments import _MADE, changes_for
from affinage.workflows.measuring import MEASURES
from affinage.workflows.prove import STEPS, _compared, prove
from small_trainings import Net, run

AMPLE = 3600.0
"""Seconds: what experiments may take is no question of these tests, and machines can be busy."""


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:400, None]
    labels = torch.tensor(data.target)[:400]
    order = labels.argsort()
    return TensorDataset(images, labels), TensorDataset(images[order], labels[order])


def watched(data, *, shuffle=True, rate=0.05, zero=True, network=None, epochs=4):
    torch.manual_seed(0)
    network = network or Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(data, 32, shuffle=shuffle, generator=generator if shuffle else None)
    with watch(network, optimizer=optimizer, train_loader=loader) as seen:
        run(network, optimizer, loader, [], zero=zero, epochs=epochs)
    return seen


def outcomes(seen, **settings):
    settings = {"seconds": AMPLE, "remedies": False, **settings}
    verdicts = prove(diagnose(seen.signals), seen.live, seen.signals, **settings)
    return {v.code: v.outcome for v in verdicts if v.outcome}


def test_sorted_images_are_proved_to_be_a_cause(digits):
    told = outcomes(watched(digits[1], shuffle=False), pairs=3)["unshuffled-training"]
    assert told.mark == "proved", told.said
    assert told.effect.n == 3
    assert told.effect.low > told.worthwhile


def test_a_rate_that_is_too_low_is_proved_to_be_a_cause(digits):
    told = outcomes(watched(digits[0], rate=1e-6), pairs=3)["learning-rate-too-low"]
    assert told.mark == "proved", told.said


def test_an_experiment_leaves_the_training_as_it_was(digits):
    seen = watched(digits[1], shuffle=False, epochs=2)
    before = copy.deepcopy(seen.live.main.state_dict())
    modes = [m.training for m in seen.live.main.modules()]
    outcomes(seen, pairs=2)
    after = seen.live.main.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert modes == [m.training for m in seen.live.main.modules()]


def test_experiments_repeat_to_the_last_digit(digits):
    seen = watched(digits[1], shuffle=False, epochs=2)
    first, second = (outcomes(seen, pairs=2)["unshuffled-training"].effect for _ in range(2))
    assert first == second


def test_without_a_training_at_hand_all_is_unconfirmed(digits):
    seen = watched(digits[1], shuffle=False, epochs=2)
    verdicts = prove(diagnose(seen.signals), None, seen.signals)
    marks = {v.outcome.mark for v in verdicts if v.finding}
    assert marks == {"unconfirmed"}


def test_what_time_does_not_allow_is_unconfirmed(digits):
    seen = watched(digits[1], shuffle=False, epochs=2)
    assert {o.mark for o in outcomes(seen, seconds=0.0).values()} == {"unconfirmed"}


def test_hits_of_a_copy_are_those_of_the_network(digits):
    seen = watched(digits[0], epochs=2)
    pool = pool_of(seen.live)
    right = hits(seen.live, pool, training=False, change=Change())
    with torch.no_grad():
        network = seen.live.main.eval()
        expected = (network(pool.images).argmax(1) == pool.targets).tolist()
    assert right == expected


def test_dropout_is_at_rest_where_the_change_says_so(digits):
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.9), nn.Linear(32, 10)
    )
    seen = watched(digits[0], network=network, epochs=2)
    pool = pool_of(seen.live)
    rested = hits(seen.live, pool, training=True, change=Change(dropout=False))
    assert rested == hits(seen.live, pool, training=False, change=Change())
    assert rested != hits(seen.live, pool, training=True, change=Change())


def test_the_interval_of_pairs_is_students():
    estimate = paired_mean([1.0, 2.0, 3.0])
    assert estimate.value == 2.0
    assert estimate.high - estimate.value == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert paired_mean([1.0]).low is None
    assert paired_mean([]).value is None


class Counter(nn.Module):
    """Counts through a softmax that is a function, no layer."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(64, 3)

    def forward(self, images):
        return torch.softmax(self.dense(images.flatten(1)), 1)


@pytest.fixture
def counted(digits):
    images, labels = digits[0].tensors
    return TensorDataset(images, torch.stack((labels, labels + 1, 2 * labels), 1).float())


def test_a_softmax_that_is_a_function_is_proved_to_be_a_cause(counted):
    torch.manual_seed(0)
    network = Counter()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    loader = DataLoader(counted, 32, shuffle=True, generator=torch.Generator().manual_seed(0))
    criterion = nn.MSELoss()
    with watch(network, optimizer=optimizer, train_loader=loader) as seen:
        for images, targets in loader:
            optimizer.zero_grad()
            criterion(network(images), targets).backward()
            optimizer.step()
    told = outcomes(seen, pairs=3)["loss-activation-mismatch"]
    assert told.mark == "proved", told.said


@pytest.mark.parametrize("end", [nn.Identity(), nn.Softmax(1), nn.Sigmoid(), nn.ReLU()])
def test_an_opened_network_gives_what_its_last_activation_was_given(end):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    images = torch.randn(5, 1, 8, 8)
    opened = Opened(nn.Sequential(plain, end))
    assert torch.equal(opened(images), plain(images))
    assert opened.found == (not isinstance(end, nn.Identity))


def test_a_short_training_that_learnt_nothing_refutes_nothing():
    assert _compared([(0.1, 0.101), (0.1, 0.1)], STEPS[0]).mark == "undecided"
    assert _compared([(0.1, 0.101), (0.1, 0.1)], STEPS[1]).mark == "refuted"
    assert _compared([(0.99, 0.99), (0.98, 0.98)], STEPS[0]).mark == "refuted"
    assert _compared([(0.1, 0.9), (0.2, 0.95)], STEPS[0]).mark in {"proved", "undecided"}


def deep_sigmoids():
    layers = [nn.Flatten(), nn.Linear(64, 32)]
    for _ in range(5):
        layers += [nn.Sigmoid(), nn.Linear(32, 32)]
    return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(32, 10))


def said_of(code, seen, where=(), **settings):
    """Put one finding to the test, whether or not the doctor found it."""
    finding = Finding(code=code, severity="warning", subject="", remedy="")
    verdict = Verdict(code=code, answer="finding", said="", finding=finding, where=where)
    (proved,) = prove(
        (verdict,), seen.live, seen.signals, **{"pairs": 3, "seconds": AMPLE, **settings}
    )
    return proved.outcome


def test_experiments_begin_where_the_training_began(digits):
    torch.manual_seed(3)
    network = Net()
    start = copy.deepcopy(network.state_dict())
    seen = watched(digits[0], network=network, epochs=1)
    begun, _ = copied(seen.live, pool_of(seen.live), Change(), seed=0)
    assert all(torch.equal(start[name], value) for name, value in begun.state_dict().items())


def test_a_rate_of_zero_is_proved_to_be_a_cause(digits):
    seen = watched(digits[0], rate=0.0, epochs=1)
    told = said_of("nothing-trainable", seen, ("all layers",))
    assert (told.mark, told.by_showing) == ("proved", False), told.said


def test_sigmoids_in_a_row_are_proved_to_be_a_cause(digits):
    torch.manual_seed(0)
    network = deep_sigmoids()
    told = said_of("vanishing-gradient", watched(digits[0], network=network, rate=0.1, epochs=6))
    assert told.mark == "proved", told.said


def test_weights_left_out_of_the_optimizer_are_shown_to_stay(digits):
    torch.manual_seed(0)
    network = Net()
    optimizer = torch.optim.SGD(network.fc.parameters(), lr=0.05)
    loader = DataLoader(digits[0], 32, shuffle=True, generator=torch.Generator().manual_seed(0))
    with watch(network, optimizer=optimizer, train_loader=loader) as seen:
        run(network, optimizer, loader, [], epochs=3)
    left = said_of("parameters-not-in-optimizer", seen, ("conv",))
    assert left.mark == "proved", left.said
    held = said_of("parameters-without-gradient", seen, ("fc.weight",))
    assert (held.mark, held.by_showing) == ("refuted", True), held.said


@pytest.fixture(scope="module")
def parted(digits):
    images, labels = digits[0].tensors
    return TensorDataset(images[:200], labels[:200]), TensorDataset(images[200:], labels[200:])


def watched_with(train, validation, *, network=None, epochs=6, rate=0.05):
    torch.manual_seed(0)
    network = network or Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    loader = DataLoader(train, 32, shuffle=True, generator=torch.Generator().manual_seed(0))
    other = DataLoader(validation, 50)
    with watch(network, optimizer=optimizer, train_loader=loader, val_loader=other) as seen:
        run(network, optimizer, loader, other, epochs=epochs)
    return seen


def test_validation_in_another_scale_is_proved_to_cost_its_score(parted):
    images, labels = parted[1].tensors
    told = said_of(
        "parts-scaled-differently", watched_with(parted[0], TensorDataset(images - 3, labels))
    )
    assert told.mark == "proved", told.said
    assert said_of("parts-scaled-differently", watched_with(*parted)).mark == "refuted"


def test_classes_in_another_order_are_matched_on_half_and_scored_on_the_rest(parted):
    images, labels = parted[1].tensors
    shifted = watched_with(parted[0], TensorDataset(images, (labels + 1) % 10))
    told = said_of("label-order-mismatch", shifted)
    assert told.mark == "proved", told.said
    assert told.effect.n == 100
    assert said_of("label-order-mismatch", watched_with(*parted)).mark == "refuted"


def test_shared_images_are_shown_and_distinct_ones_refuted(parted):
    (x, y), (v, w) = parted[0].tensors, parted[1].tensors
    leaky = TensorDataset(torch.cat((x, v[:50])), torch.cat((y, w[:50])))
    told = said_of("split-leak", watched_with(leaky, parted[1], epochs=1))
    assert (told.mark, told.by_showing, told.effect) == ("proved", True, None)
    assert told.said.startswith("50 of 200 validation images")
    assert said_of("split-leak", watched_with(*parted, epochs=1)).mark == "refuted"


def test_an_absent_class_is_counted_again(parted):
    x, y = parted[0].tensors
    told = said_of(
        "class-not-in-training",
        watched_with(TensorDataset(x[y != 3], y[y != 3]), parted[1], epochs=1),
    )
    assert told.mark == "proved"
    assert "by index 3" in told.said
    assert said_of("class-not-in-training", watched_with(*parted, epochs=1)).mark == "refuted"


def test_torn_labels_are_told_from_a_task_that_cannot_be_learnt(parted):
    x, y = parted[0].tensors
    torn = TensorDataset(x, y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))])
    told = said_of("memorising", watched_with(torn, parted[1], epochs=12), pairs=3)
    assert told.mark == "proved", told.said
    assert said_of("memorising", watched_with(*parted, epochs=12)).mark != "proved"


def test_a_network_without_activations_is_shown_to_be_one_linear_map(digits):
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Linear(32, 10))
    told = said_of("no-activation-between-layers", watched(digits[0], network=linear, epochs=1))
    assert told.mark == "proved", told.said
    bent = watched(digits[0], epochs=1)
    assert said_of("no-activation-between-layers", bent).mark == "refuted"


def test_tiny_batches_are_compared_at_the_same_steps_and_images(digits):
    seen = watched(TensorDataset(*(t[:64] for t in digits[0].tensors)), epochs=1)
    fed = replace(seen.signals.feeding[0], batch_size=2)
    finding = Finding(code="batchnorm-tiny-batches", severity="warning", subject="", remedy="")
    verdict = Verdict(code=finding.code, answer="finding", said="", finding=finding)
    before, after = changes_for(verdict, seen.live, replace(seen.signals, feeding=(fed,)))
    assert (before.batch, before.chunk) == (8, 2)
    assert (after.batch, after.chunk) == (8, 0)


def test_bounded_outputs_have_a_least_loss(digits):
    """With outputs in [0, 1], softmax inside the loss leaves ln(1 + 9 / e) at best."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
    told = said_of(
        "loss-activation-mismatch", watched(digits[0], network=network, epochs=1), pairs=0
    )
    assert (told.mark, told.by_showing) == ("proved", True), told.said
    assert f"a loss of {math.log(1 + 9 / math.e):.3g}" in told.said
    free = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    fine = said_of("loss-activation-mismatch", watched(digits[0], network=free, epochs=1), pairs=0)
    assert fine.mark == "unconfirmed"


@pytest.mark.parametrize("code", sorted(GATES))
def test_what_is_not_there_is_refuted_before_anything_is_trained(code, healthy):
    told = said_of(code, healthy, pairs=0)
    assert (told.mark, told.by_showing) == ("refuted", True), told.said


def test_a_schedule_is_idle_only_where_there_is_one(digits, healthy):
    told = said_of("schedule-idle", healthy, pairs=0)
    assert (told.mark, told.by_showing) == ("refuted", True), told.said
    torch.manual_seed(0)
    network = Net()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    loader = DataLoader(digits[0], 32, shuffle=True)
    with watch(network, optimizer=optimizer, train_loader=loader) as seen:
        run(network, optimizer, loader, [], epochs=2)
    told = said_of("schedule-idle", seen, pairs=0)
    assert (told.mark, told.by_showing) == ("proved", True), told.said


def test_equal_weights_are_proved_to_be_a_cause(digits):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    for layer in (network[1], network[3]):
        nn.init.constant_(layer.weight, 0.02)
    told = said_of("weights-begin-equal", watched(digits[0], network=network, epochs=4))
    assert told.mark == "proved", told.said
    assert told.effect.value > 0.2


def test_images_in_a_random_order_are_not_sorted_ones(healthy):
    assert said_of("unshuffled-training", healthy, pairs=0).mark == "refuted"


def test_gradients_that_are_zeroed_are_not_accused(digits):
    told = said_of("gradients-not-zeroed", watched(digits[0], epochs=1), pairs=0)
    assert told.mark == "refuted", told.said


def test_more_of_a_training_that_was_cut_short_lowers_its_loss(parted):
    told = said_of("not-converged", watched_with(*parted, rate=0.002, epochs=4))
    assert told.mark == "proved", told.said
    assert "accuracy" in told.said
    done = watched_with(*parted, rate=0.1, epochs=40)
    assert said_of("not-converged", done).mark == "refuted"


def test_a_wild_start_is_tamed(digits):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(64, 32)]
    for _ in range(4):
        layers += [nn.ReLU(), nn.Linear(32, 32)]
    network = nn.Sequential(*layers, nn.ReLU(), nn.Linear(32, 10))
    for layer in network[1::2]:
        nn.init.normal_(layer.weight, std=1.0)
    told = said_of("exploding-gradient", watched(digits[0], network=network, rate=0.01, epochs=2))
    assert told.mark == "proved", told.said


@pytest.mark.parametrize("code", sorted(set(SHOWS) | set(MEASURES) | set(_MADE)))
def test_no_experiment_fails_or_changes_a_healthy_training(code, healthy):
    before = {name: value.clone() for name, value in healthy.live.main.state_dict().items()}
    where = ("fc",)
    told = said_of(code, healthy, where, pairs=2, seconds=2.0)
    assert "could not be tried" not in told.said, told.said
    after = healthy.live.main.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.fixture(scope="module")
def healthy(parted):
    return watched_with(*parted, epochs=4)
