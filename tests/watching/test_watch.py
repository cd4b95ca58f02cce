"""A watched training is described truly, and is the same as an unwatched one."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import affinage
from affinage.diagnosis.diagnose import ask
from affinage.diagnosis.rules import RULES
from affinage.errors import RunError
from affinage.watching.targets import encoding_of
from affinage.watching.watch import watch
from small_trainings import Net, run

RULE = {rule.code: rule for rule in RULES}


def watched(net, optimizer, train_loader, val_loader, **settings):
    with watch(net, optimizer=optimizer, train_loader=train_loader, val_loader=val_loader) as seen:
        run(net, optimizer, train_loader, val_loader, **settings)
    return seen.signals


def test_watching_changes_no_weight_and_leaves_no_hook(training, digits):
    net, optimizer, train_loader, val_loader = training
    twin = copy.deepcopy(net)
    twin_optimizer = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    twin_loader = DataLoader(digits[0], 32, shuffle=True, generator=generator)
    originals = (nn.functional.cross_entropy, torch.autograd.backward, torch.Tensor.__eq__)
    watched(net, optimizer, train_loader, val_loader)
    run(twin, twin_optimizer, twin_loader, val_loader)
    for one, other in zip(net.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert originals == (nn.functional.cross_entropy, torch.autograd.backward, torch.Tensor.__eq__)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_the_facts_of_a_plain_training(training):
    signals = watched(*training)
    assert (signals.task, signals.steps, signals.epochs) == ("classify", 20, 2.0)
    (loss,) = [o for o in signals.objectives if o.part_of == "training"]
    assert (loss.name, loss.activation, loss.outputs) == ("cross_entropy", "none", 10)
    train, validation = signals.targets
    assert (train.encoding, train.n, validation.n) == ("class indices", 640, 320)
    (norm,) = signals.batchnorms
    assert norm.steps == norm.steps_by_batch > 2
    assert not norm.below_frozen
    fed, _ = signals.feeding
    assert (fed.shuffled, fed.same_order, fed.images) == (True, False, 320)
    (optimizer,) = signals.optimizers
    assert (optimizer.missing, optimizer.zeroed_share) == ((), 1.0)
    assert optimizer.backwards_per_step == 1.0
    assert [p.epoch for p in signals.curve("accuracy", "validation")] == [1.0, 2.0]
    assert signals.curve("loss", "train (evaluation mode)")
    assert not signals.pretrained


def test_losses_and_scores_are_those_of_the_training(training):
    net, optimizer, train_loader, val_loader = training
    kept = []
    with watch(net, optimizer=optimizer) as seen:
        net.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            kept.append(loss.item())
        net.eval()
        with torch.no_grad():
            hits = sum((net(x).argmax(1) == y).sum().item() for x, y in val_loader)
    assert seen.signals.series_of("loss").values == pytest.approx(kept)
    assert seen.signals.curve("accuracy", "validation")[-1].value == pytest.approx(hits / 160)


def test_gradients_that_are_not_zeroed_are_seen(training):
    (optimizer,) = watched(*training, zero=False).optimizers
    assert optimizer.zeroed_share < 0.3


def test_accumulated_gradients_are_told_from_forgotten_ones(training):
    net, optimizer, train_loader, _ = training
    with watch(net, optimizer=optimizer) as seen:
        for number, (images, labels) in enumerate(train_loader):
            (nn.functional.cross_entropy(net(images), labels) / 2).backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
    (facts,) = seen.signals.optimizers
    assert (facts.backwards_per_step, facts.zeroed_share) == (2.0, 1.0)


def test_frozen_layers_in_training_mode_are_seen(training):
    net, _, train_loader, val_loader = training
    for parameter in (*net.conv.parameters(), *net.norm.parameters()):
        parameter.requires_grad = False
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=0.05)
    signals = watched(net, optimizer, train_loader, val_loader)
    (norm,) = signals.batchnorms
    assert norm.below_frozen
    assert norm.steps_by_batch == norm.steps
    assert norm.drift > 0.05
    assert [layer.trainable for layer in signals.layers] == [0, 0, 1290]


def test_parameters_that_no_optimizer_holds_are_named(training):
    net, _, train_loader, val_loader = training
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=0.05)
    (facts,) = watched(net, optimizer, train_loader, val_loader).optimizers
    assert facts.missing == ("conv.weight", "conv.bias", "norm.weight", "norm.bias")


@pytest.mark.parametrize(
    ("before", "name"),
    [
        (nn.Identity(), "none"),
        (nn.Softmax(dim=1), "softmax"),
        (nn.LogSoftmax(dim=1), "log_softmax"),
        (nn.Sigmoid(), "sigmoid"),
        (nn.ReLU(), "relu"),
    ],
)
def test_what_stands_before_the_loss_is_read_off_the_graph(training, before, name):
    net, _, train_loader, val_loader = training
    whole = nn.Sequential(net, before)
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.01)
    signals = watched(whole, optimizer, train_loader, val_loader, epochs=1)
    assert {o.activation for o in signals.objectives} == {name}


def test_a_loss_by_hand_is_recognised(training):
    net, optimizer, train_loader, _ = training
    with watch(net, optimizer=optimizer) as seen:
        for images, labels in train_loader:
            optimizer.zero_grad()
            wanted = nn.functional.one_hot(labels, 10).float()
            ((net(images).softmax(1) - wanted) ** 2).mean().backward()
            optimizer.step()
    (loss,) = seen.signals.objectives
    assert (loss.name, loss.activation) == ("mse_loss", "softmax")


def test_sorted_labels_and_equal_sets_are_seen(digits):
    images, labels = digits[0].tensors
    order = labels.argsort()
    data = TensorDataset(images[order], labels[order])
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    signals = watched(net, optimizer, DataLoader(data, 32), DataLoader(data, 32))
    fed = signals.feeding[0]
    assert fed.neighbours_equal > 0.95
    assert fed.neighbours_expected < 0.2
    assert (fed.shuffled, fed.same_order) == (False, True)
    (overlap,) = signals.overlaps
    assert overlap.same_set
    assert overlap.shared == 320


def test_outputs_and_targets_that_are_stretched_over_each_other_are_seen(digits):
    images, labels = digits[0].tensors
    loader = DataLoader(TensorDataset(images, labels.float()), 32)
    net = Net(outputs=1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with pytest.warns(UserWarning, match="target size"):
        signals = watched(net, optimizer, loader, loader, epochs=1, criterion=nn.MSELoss())
    assert signals.objectives[0].shapes_differ
    assert signals.targets[0].encoding == "counts"


def test_equality_of_raw_outputs_is_told_from_equality_of_classes(digits):
    images, labels = digits[0].tensors
    net = Net(outputs=1)
    with watch(net) as seen:
        outputs = net(images).flatten()
        raw = (outputs == labels).float().mean()
        rounded = (outputs.round() == labels).float().mean()
    assert raw <= rounded
    assert [c.of for c in seen.signals.comparisons] == ["raw", "rounded"]
    assert seen.signals.comparisons[0].rounded_after


def test_networks_and_loaders_are_found_where_none_is_given(training):
    net, optimizer, train_loader, val_loader = training
    with affinage.watch() as seen:
        run(net, optimizer, train_loader, val_loader, epochs=1)
    assert [layer.name for layer in seen.signals.layers] == ["conv", "norm", "fc"]
    assert {f.part for f in seen.signals.feeding} == {"train", "validation"}


def test_loaders_made_anew_for_each_epoch_are_all_of_training(digits):
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with affinage.watch() as seen:
        for _ in range(3):
            for images, labels in DataLoader(TensorDataset(*digits[0].tensors), 64, shuffle=True):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(images), labels).backward()
                optimizer.step()
    assert seen.signals.epochs == 3
    assert [f.part for f in seen.signals.feeding] == ["train"]
    assert not seen.signals.overlaps


def test_a_loop_without_steps_is_told_to_learn_nothing(training):
    net, _, train_loader, _ = training
    with affinage.watch() as seen:
        for images, labels in train_loader:
            nn.functional.cross_entropy(net(images), labels).backward()
    verdict = ask(RULE["nothing-trainable"], seen.signals)
    assert verdict.answer == "finding"
    assert "no optimizer ever took a step" in verdict.said


def test_a_network_that_stays_in_evaluation_mode_is_told(training):
    net, optimizer, train_loader, val_loader = training
    verdicts = []
    for again in (False, True):
        with affinage.watch(net, optimizer=optimizer, train_loader=train_loader) as seen:
            net.train()
            for _ in range(3):
                net.train(again or net.training)
                for images, labels in train_loader:
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(net(images), labels).backward()
                    optimizer.step()
                net.eval()
                with torch.no_grad():
                    [net(images) for images, _ in val_loader]
        verdicts.append(ask(RULE["left-in-evaluation-mode"], seen.signals))
    assert [v.answer for v in verdicts] == ["finding", "fine"]
    assert verdicts[0].said.startswith("From step 11 on ")


def test_gradients_asked_for_to_explain_make_no_loader_one_of_training(training):
    net, optimizer, train_loader, val_loader = training
    with affinage.watch() as seen:
        run(net, optimizer, train_loader, val_loader, epochs=1)
        net.eval()
        images, _ = next(iter(val_loader))
        net(images.requires_grad_()).max(1).values.sum().backward()
    assert {f.part for f in seen.signals.feeding} == {"train", "validation"}


def test_a_training_that_fails_is_still_described(training):
    net, optimizer, train_loader, _ = training

    watched_ones = []

    def fails_after_a_step():
        with watch(net, optimizer=optimizer) as seen:
            watched_ones.append(seen)
            images, labels = next(iter(train_loader))
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails_after_a_step()
    (seen,) = watched_ones
    assert seen.signals.ended == "failed"
    assert seen.signals.error == "ZeroDivisionError: division by zero"
    assert seen.signals.steps == 1


def test_what_is_no_network_is_refused():
    with pytest.raises(RunError, match="given a int"), watch(3):
        pass
    with pytest.raises(RunError, match="nothing to watch"), watch(nn.ReLU()):
        pass


def test_a_compiled_network_is_not_compiled_anew_and_shows_its_gradients(training):
    net, optimizer, train_loader, val_loader = training
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    net = torch.compile(net, backend=backend)
    signals = watched(net, optimizer, train_loader, val_loader, epochs=1)
    # Training and evaluation, each broken at `relu`, which is listened to; none for a look.
    assert len(compiled) == 4
    assert all(signals.series_of("gradient_norm").values)
    assert signals.series_of("activation_mean", layer="conv") is None
    assert signals.curve("accuracy", "validation")


class Drawn(torch.utils.data.Dataset):
    """Digits under noise from a generator."""

    def __init__(self, digits, generator):
        self.digits, self.generator = digits, generator

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, row):
        image, label = self.digits[row]
        if self.generator:
            image = image + torch.tensor(self.generator.normal(size=image.shape)).float()
        return image + 0.1 * torch.randn(image.shape), label


class Unseeded:
    """Random numbers that no seed reaches, whoever copies them."""

    def normal(self, size):
        return np.random.default_rng().normal(size=size)


@pytest.mark.parametrize(
    ("generator", "same"), [(None, True), (np.random.default_rng(0), True), (Unseeded(), False)]
)
def test_what_no_seed_reaches_is_told_from_what_a_data_set_draws_by_itself(
    digits, training, generator, same
):
    net, optimizer, _, val_loader = training
    loader = DataLoader(Drawn(digits[0], generator), 32, shuffle=True)
    signals = watched(net, optimizer, loader, val_loader)
    fed = signals.feeding[0]
    assert (fed.same_under_seed, fed.seeded) == (same, True)
    assert (ask(RULE["results-change-with-seed-kept"], signals).answer == "finding") is not same


@pytest.mark.parametrize("of_all", [True, False])
def test_statistics_of_all_parts_are_told_from_those_of_training(digits, training, of_all):
    net, optimizer, _, _ = training
    (train, labels), (validation, others) = (part.tensors for part in digits)
    scale = torch.cat([train, validation]) if of_all else train
    mean, std = scale.mean(), scale.std(correction=0)
    loaders = [
        DataLoader(TensorDataset((images - mean) / std, targets), 32, shuffle=first)
        for images, targets, first in ((train, labels, True), (validation, others, False))
    ]
    signals = watched(net, optimizer, *loaders)
    assert (signals.whole.train_images, signals.whole.images) == (320, 480)
    answer = ask(RULE["statistics-of-all-parts"], signals).answer
    assert answer == ("finding" if of_all else "fine")


def test_whole_numbers_that_fit_the_outputs_are_classes_whatever_the_loss():
    outputs = torch.zeros(4, 10)
    labels = torch.tensor([3, 9, 0, 1])
    assert encoding_of(labels, outputs, "unknown") == "class indices"
    assert encoding_of(labels + 8, outputs, "unknown") == "counts"
    assert encoding_of(labels.float(), outputs, "mse_loss") == "counts"
    assert encoding_of(labels, outputs[:, :1], "unknown") == "counts"


@pytest.mark.parametrize("value", [0.0, 0.02])
def test_units_that_begin_equal_are_counted_until_they_part(training, value):
    _, _, train_loader, val_loader = training
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    for layer in (net[1], net[3]):
        nn.init.constant_(layer.weight, value)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    signals = watched(net, optimizer, train_loader, val_loader)
    shares = {layer: s.values for layer, s in signals.by_layer("equal_units").items()}
    assert shares["1"][0] == shares["1"][-1] == 1.0
    assert shares["3"][0] == 1.0
    if value:
        assert shares["3"][-1] == 0.0  # Targets tell the units of the last layer apart.
    assert ask(RULE["weights-begin-equal"], signals).finding.subject.startswith(
        "All units of layer '1'"
    )


def test_units_of_the_library_s_own_weights_are_not_equal(training):
    signals = watched(*training)
    assert not signals.by_layer("equal_units")
    assert ask(RULE["weights-begin-equal"], signals).answer == "fine"


def test_two_networks_against_each_other_are_not_called_sorted_or_stuck(digits):
    torch.manual_seed(0)
    maker, judge = nn.Linear(8, 64), nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizers = [torch.optim.Adam(net.parameters(), lr=1e-3) for net in (judge, maker)]
    bce = nn.functional.binary_cross_entropy_with_logits
    with watch() as seen:
        for _ in range(6):
            for start in range(0, 320, 32):
                real = digits[0].tensors[0][start : start + 32].flatten(1)
                fake = maker(torch.randn(32, 8))
                optimizers[0].zero_grad()
                bce(judge(real), torch.ones(32, 1)).backward()
                bce(judge(fake.detach()), torch.zeros(32, 1)).backward()
                optimizers[0].step()
                optimizers[1].zero_grad()
                bce(judge(fake), torch.ones(32, 1)).backward()
                optimizers[1].step()
    loud = {f.code: f.severity for f in affinage.doctor(seen.signals).findings}
    assert "unshuffled-training" not in loud
    assert "same-order-every-epoch" not in loud
    assert set(loud.values()) <= {"note"}


def test_whole_numbers_under_one_output_are_counted_by_value(digits):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with watch(net, optimizer=optimizer) as seen:
        for images, labels in DataLoader(digits[0], 32):
            nn.functional.mse_loss(net(images)[:, 0], labels.float()).backward()
            optimizer.step()
    (targets,) = seen.signals.targets
    labels = torch.cat([labels for _, labels in DataLoader(digits[0], 32)])
    assert targets.by_value == tuple(torch.bincount(labels).tolist())


def test_a_teacher_that_looks_on_owes_its_weights_to_no_optimizer(training):
    net, optimizer, train_loader, _ = training
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with watch() as seen:
        for images, _labels in train_loader:
            with torch.no_grad():
                wanted = teacher(images).softmax(1)
            optimizer.zero_grad()
            nn.functional.kl_div(
                net(images).log_softmax(1), wanted, reduction="batchmean"
            ).backward()
            optimizer.step()
    assert ask(RULE["parameters-not-in-optimizer"], seen.signals).answer == "fine"


@pytest.mark.parametrize("stepped", [True, False])
def test_a_schedule_that_a_function_forgets_is_still_known(training, stepped):
    def run_it(net, optimizer, train_loader, val_loader):
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        for _ in range(2):
            run(net, optimizer, train_loader, val_loader, epochs=1)
            if stepped:
                schedule.step()

    with watch() as seen:
        run_it(*training)
    (optimizer,) = seen.signals.optimizers
    assert (optimizer.scheduler, optimizer.scheduler_steps) == ("StepLR", 2 * stepped)


def test_shares_of_the_batch_are_told_from_shares_of_the_classes(training):
    net, _, train_loader, val_loader = training
    for axis, share in ((0, 1.0), (1, 0.0)):
        model = nn.Sequential(copy.deepcopy(net), nn.LogSoftmax(axis))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        signals = watched(model, optimizer, train_loader, val_loader)
        assert signals.outputs[0].columns_sum_to_one == share
