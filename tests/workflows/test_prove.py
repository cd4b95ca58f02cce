"""What the doctor found is put to the test on copies of real small trainings."""

import copy

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from affinage.diagnosis.diagnose import diagnose
from affinage.metrics.paired_runs import paired_mean
from affinage.watching.changes import Change
from affinage.watching.copies import Opened
from affinage.watching.pools import pool_of
from affinage.watching.trials import hits
from affinage.watching.watch import watch
from affinage.workflows.prove import STEPS, _compared, prove
from small_trainings import Net, run


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
