import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit

from affinage.errors import DataError, RecipeError
from affinage.records.pairings import BALANCES, PAIRINGS
from affinage.records.recipe_text import parse_recipe
from affinage.training.balance import count_rarity
from affinage.training.losses import make_objective, sampling_weights

COUNTS = torch.tensor([[0.0, 1, 12], [3, 0, 7], [1, 1, 30], [0, 0, 0]])


def targets_of(task, n=40):
    random = np.random.default_rng(0)
    return {
        "classify": random.integers(0, 3, n),
        "multilabel": (random.random((n, 3)) < [0.1, 0.5, 0.8]).astype(np.float32),
        "count": random.poisson([0.3, 1.0, 12.0], (n, 3)).astype(np.float32),
    }[task]


def recipe(*settings):
    return parse_recipe(None, settings)


def objective(*settings, targets=None, classes=3):
    made = recipe(*settings)
    known = targets_of(made.task) if targets is None else np.asarray(targets)
    return make_objective(made, classes=classes, targets=known)


def count(*settings, targets=None):
    known = COUNTS.numpy() if targets is None else targets
    return objective("task=count", *settings, targets=known, classes=np.shape(known)[1])


def legal():
    for pair in PAIRINGS:
        for output in pair.outputs:
            names = [f"task={pair.task}", f"loss.name={pair.loss}", f"loss.output={output}"]
            if pair.task == "count":
                names.append(f"count.target={pair.target}")
            if pair.loss in ("zero_inflated", "hurdle"):
                yield [*names, "loss.distribution=negative_binomial"]
            yield names


each_pairing = pytest.mark.parametrize("settings", list(legal()), ids=" ".join)


# Against references.


def test_by_default_it_is_the_cross_entropy_of_pytorch_with_smoothing():
    torch.manual_seed(0)
    raw, labels = torch.randn(32, 3, requires_grad=True), torch.arange(32) % 3
    ours = objective().loss(raw, labels)
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(raw, labels)
    assert ours.mean().item() == pytest.approx(theirs.item(), rel=1e-6)
    mine, other = (torch.autograd.grad(value, raw)[0] for value in (ours.mean(), theirs))
    assert torch.equal(mine, other)
    plain = torch.nn.functional.cross_entropy(raw, labels, reduction="none")
    assert torch.equal(objective().plain(raw, labels), plain)


def test_soft_labels_are_the_mixture_of_the_whole_ones():
    raw = torch.randn(4, 3)
    made = objective("finetune.label_smoothing=0")
    first, second = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    mixed = 0.3 * torch.eye(3)[first] + 0.7 * torch.eye(3)[second]
    expected = 0.3 * made.loss(raw, first) + 0.7 * made.loss(raw, second)
    assert objective("loss.labels=one_hot", "finetune.label_smoothing=0").loss(
        raw, mixed
    ).numpy() == pytest.approx(expected.numpy(), rel=1e-5)


@pytest.mark.parametrize("task", ["classify", "multilabel"])
def test_focal_without_gamma_is_the_plain_loss_and_with_it_counts_sure_answers_less(task):
    raw, targets = torch.randn(40, 3), torch.from_numpy(targets_of(task))
    plain = objective(f"task={task}").plain(raw, targets).numpy()
    none = objective(f"task={task}", "loss.name=focal", "loss.gamma=0").plain(raw, targets)
    assert none.numpy() == pytest.approx(plain, rel=1e-5)
    focal = objective(f"task={task}", "loss.name=focal", "loss.gamma=2").plain(raw, targets)
    assert (focal.numpy() < plain).all()


def test_focal_is_its_formula():
    raw, labels = torch.randn(9, 3), torch.arange(9) % 3
    right = raw.softmax(1)[torch.arange(9), labels].numpy()
    found = objective("loss.name=focal", "loss.gamma=1.5").plain(raw, labels).numpy()
    assert found == pytest.approx((1 - right) ** 1.5 * -np.log(right), rel=1e-4)


def test_squared_error_of_classes_is_the_brier_score():
    raw, labels = torch.randn(5, 3), torch.arange(5) % 3
    expected = ((raw.softmax(1) - torch.eye(3)[labels]) ** 2).sum(1)
    assert objective("loss.name=mse").plain(raw, labels).numpy() == pytest.approx(expected.numpy())


def test_binary_losses_are_those_of_pytorch():
    raw, labels = torch.randn(40, 3), torch.from_numpy(targets_of("multilabel"))
    theirs = torch.nn.functional.binary_cross_entropy(raw.sigmoid(), labels, reduction="none")
    ours = objective("task=multilabel").loss(raw, labels)
    assert ours.numpy() == pytest.approx(theirs.mean(1).numpy(), rel=1e-5)


def means(output, raw, largest):
    return {
        "exp": np.exp(raw),
        "softplus": np.logaddexp(0, raw),
        "sigmoid_max": expit(raw) * largest,
    }[output]


@pytest.mark.parametrize("output", ["exp", "softplus", "sigmoid_max"])
def test_poisson_is_that_of_scipy(output):
    raw = torch.linspace(-3, 3, 12).reshape(4, 3)
    made = count(f"loss.output={output}")
    mean = means(output, raw.numpy().astype(float), COUNTS.numpy().max(axis=0))
    expected = -stats.poisson.logpmf(COUNTS.numpy(), mean)
    assert made.loss(raw, COUNTS).numpy() == pytest.approx(expected.mean(1), rel=1e-4)
    assert made.predict(raw).numpy() == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("spread", [-30.0, -2.0, 0.0, 3.0, 30.0])
def test_the_negative_binomial_is_that_of_scipy_up_to_poisson(spread):
    raw = torch.cat([torch.linspace(-3, 3, 12).reshape(4, 3), torch.full((4, 3), spread)], 1)
    dispersion = np.exp(7 * np.tanh(spread / 7))
    mean = np.exp(raw[:, :3].numpy().astype(float))
    size = 1 / dispersion
    expected = -stats.nbinom.logpmf(COUNTS.numpy(), size, size / (size + mean))
    made = count("loss.name=negative_binomial")
    assert made.outputs == 6
    assert made.loss(raw, COUNTS).numpy() == pytest.approx(expected.mean(1), rel=1e-4)
    if spread == -30:  # Almost Poisson: the variance is 1.001 to 1.02 of it.
        near = -stats.poisson.logpmf(COUNTS.numpy(), mean).mean(1)
        assert made.loss(raw, COUNTS).numpy() == pytest.approx(near, rel=0.05)


DISTRIBUTIONS = [
    ["loss.name=poisson"],
    ["loss.name=negative_binomial"],
    ["loss.name=zero_inflated"],
    ["loss.name=zero_inflated", "loss.distribution=negative_binomial"],
    ["loss.name=hurdle"],
    ["loss.name=hurdle", "loss.distribution=negative_binomial"],
    ["loss.name=ordinal", "count.max=9"],
]


@pytest.mark.parametrize("settings", DISTRIBUTIONS, ids=" ".join)
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
def test_the_chances_of_all_counts_sum_to_1_and_give_the_expected_count(settings, scale):
    torch.manual_seed(1)
    made = count(*settings, targets=np.arange(10.0)[:, None])
    raw = (torch.randn(1, made.outputs) * scale).double()
    counts = torch.arange(10.0 if "ordinal" in settings[0] else 3000.0, dtype=torch.double)
    chances = torch.exp(-made.loss(raw.expand(len(counts), -1), counts[:, None]))
    assert float(chances.sum()) == pytest.approx(1, abs=2e-4)
    assert float(chances @ counts) == pytest.approx(float(made.predict(raw)), rel=5e-3)


def test_a_gate_makes_zeros_alone():
    raw = torch.zeros(1, 2)
    inflated, hurdle = (count(f"loss.name={n}", targets=np.ones((1, 1))) for n in
                        ("zero_inflated", "hurdle"))  # fmt: skip
    zero, two = torch.zeros(1, 1), torch.full((1, 1), 2.0)
    at_two = stats.poisson.pmf(2, 1)
    assert float(inflated.loss(raw, zero)) == pytest.approx(-np.log(0.5 + 0.5 * np.exp(-1)))
    assert float(inflated.loss(raw, two)) == pytest.approx(-np.log(0.5 * at_two))
    assert float(hurdle.loss(raw, zero)) == pytest.approx(-np.log(0.5))
    assert float(hurdle.loss(raw, two)) == pytest.approx(-np.log(0.5 * at_two / (1 - np.exp(-1))))
    assert float(hurdle.predict(raw)) == pytest.approx(0.5 / (1 - np.exp(-1)))


def test_ordinal_is_the_difference_of_sigmoids_and_larger_counts_are_its_last():
    made = count("loss.name=ordinal", "count.max=2", targets=np.ones((1, 1)))
    raw = torch.tensor([[0.7, -0.4]])
    over = expit([0.7, 0.7 - np.log1p(np.exp(-0.4))])
    expected = -np.log([1 - over[0], over[0] - over[1], over[1], over[1]])
    found = made.loss(raw.expand(4, -1), torch.tensor([[0.0], [1], [2], [5]]))
    assert found.numpy() == pytest.approx(expected, rel=1e-5)
    assert float(made.predict(raw)) == pytest.approx(over.sum())


@pytest.mark.parametrize(("name", "power"), [("mse", 2), ("mae", 1)])
def test_distances_are_what_they_say(name, power):
    raw = torch.tensor([[1.0, -2, 5]])
    found = count(f"loss.name={name}").loss(raw, COUNTS[:1])
    assert float(found) == pytest.approx(np.mean(np.array([1.0, 3, 7]) ** power))
    assert count(f"loss.name={name}").predict(raw).tolist() == [[1, 0, 5]]


def test_shares_are_learnt_by_cross_entropy_and_an_image_without_objects_says_nothing():
    made = count("count.target=frequency")
    raw = torch.randn(4, 3)
    counts = COUNTS.numpy()
    shares = counts[:3] / counts[:3].sum(1, keepdims=True)
    expected = -(shares * raw[:3].log_softmax(1).numpy()).sum(1)
    assert made.loss(raw, COUNTS).numpy() == pytest.approx([*expected, 0], rel=1e-5)
    assert made.predict(raw).numpy() == pytest.approx(raw.softmax(1).numpy(), rel=1e-5)
    overlap = np.minimum(raw[:3].softmax(1).numpy(), shares).sum(1)
    assert made.hit(raw, COUNTS)[:3].numpy() == pytest.approx(overlap, rel=1e-5)
    distance = count("count.target=frequency", "loss.name=mse")
    assert float(distance.loss(raw, COUNTS)[3]) == 0


# The battery.


@each_pairing
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
def test_every_loss_has_its_shapes_and_finite_gradients_however_far_off(settings, scale):
    torch.manual_seed(0)
    made, task = objective(*settings), recipe(*settings).task
    targets = torch.from_numpy(targets_of(task))
    raw = (torch.randn(40, made.outputs) * scale).requires_grad_()
    losses = made.loss(raw, targets)
    assert losses.shape == made.plain(raw, targets).shape == made.hit(raw, targets).shape == (40,)
    assert losses.isfinite().all()
    assert (losses >= -1e-6).all()
    (gradient,) = torch.autograd.grad(losses.sum(), raw)
    assert gradient.isfinite().all()
    predicted = made.predict(raw)
    assert predicted.shape == (40, 3)
    assert predicted.isfinite().all()
    assert (predicted >= 0).all()
    if task != "count":
        assert (predicted <= 1).all()
    if task == "classify":
        assert predicted.sum(1).detach().numpy() == pytest.approx(np.ones(40), abs=1e-5)


@each_pairing
def test_every_gradient_is_the_slope(settings):
    torch.manual_seed(2)
    made, task = objective(*settings), recipe(*settings).task
    targets = torch.from_numpy(targets_of(task))[:4]
    targets = targets.double() if targets.is_floating_point() else targets
    raw = (torch.randn(4, made.outputs).double() + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: made.loss(x, targets), (raw,), atol=2e-3, rtol=2e-3)


@each_pairing
def test_every_loss_is_least_at_the_truth(settings):
    """Fitted to one image, each predicts its target."""
    made = objective(*settings, "finetune.label_smoothing=0")
    task = recipe(*settings).task
    truth = {
        "classify": torch.tensor([2]),
        "multilabel": torch.tensor([[0.0, 1, 1]]),
        "count": torch.tensor([[1.0, 3, 9]]),
    }[task]
    raw = torch.full((1, made.outputs), 0.5).requires_grad_()
    search = torch.optim.Rprop([raw], lr=0.05)  # Each number on its own, by the slope's sign.
    for _ in range(150):
        search.zero_grad()
        made.loss(raw, truth).sum().backward()
        search.step()
    found = made.predict(raw).detach()
    wanted = torch.eye(3)[truth] if task == "classify" else truth
    if settings[-1] == "count.target=frequency":
        wanted = truth / truth.sum()
    assert found.numpy() == pytest.approx(wanted.numpy(), abs=0.15, rel=0.05)
    assert made.hit(raw, truth).item() == pytest.approx(1, abs=0.02)


@each_pairing
def test_every_balance_keeps_the_mean_weight_at_1(settings):
    made = recipe(*settings)
    for balance in BALANCES[made.task]:
        try:
            with_it = recipe(*settings, f"loss.balance={balance}")
        except RecipeError:  # An illegal pairing: tests/records/test_pairings.py.
            continue
        targets = targets_of(made.task)
        found = make_objective(with_it, classes=3, targets=targets)
        raw = torch.zeros(40, found.outputs)
        there = torch.from_numpy(targets)
        assert found.loss(raw, there).isfinite().all()
        drawn = sampling_weights(with_it, targets)
        assert (drawn is None) == (balance != "sampler")
        assert drawn is None or drawn.mean() == pytest.approx(1)


# Balance.


def test_weighted_classes_pull_alike():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    made = objective("loss.balance=weight", "finetune.label_smoothing=0", targets=labels)
    raw = torch.zeros(100, 3)
    losses = made.loss(raw, torch.from_numpy(labels)).numpy()
    by_class = [losses[labels == label].sum() for label in range(3)]
    assert by_class == pytest.approx([by_class[0]] * 3, rel=1e-5)
    assert losses.mean() == pytest.approx(np.log(3), rel=1e-5)
    assert made.plain(raw, torch.from_numpy(labels)).numpy() == pytest.approx(np.log(3))


def test_effective_numbers_lie_between_none_and_inverse_frequency():
    labels = torch.tensor([0] * 90 + [1] * 10)
    ratios = []
    for beta in (0, 0.9, 0.99999):
        made = objective(
            "loss.balance=effective", f"loss.beta={beta}", "finetune.label_smoothing=0",
            targets=labels.numpy(), classes=2,
        )  # fmt: skip
        losses = made.loss(torch.zeros(100, 2), labels)
        ratios.append(float(losses[-1] / losses[0]))
    cui = (1 - 0.9**90) / (1 - 0.9**10)
    assert ratios == pytest.approx([1, cui, 9], rel=1e-3)


def test_adjusted_logits_are_those_of_the_shares():
    labels = torch.tensor([0] * 90 + [1] * 10)
    settings = ("loss.balance=logit_adjustment", "finetune.label_smoothing=0", "loss.tau=0.5")
    made = objective(*settings, targets=labels.numpy(), classes=2)
    raw = torch.randn(100, 2)
    moved = raw + 0.5 * torch.tensor([0.9, 0.1]).log()
    expected = torch.nn.functional.cross_entropy(moved, labels, reduction="none")
    assert made.loss(raw, labels).numpy() == pytest.approx(expected.numpy(), rel=1e-5)
    assert made.predict(raw).numpy() == pytest.approx(raw.softmax(1).numpy(), rel=1e-4)


def test_rare_answers_of_a_label_weigh_as_much_as_common_ones():
    labels = np.zeros((100, 1), np.float32)
    labels[:4] = 1
    made = objective("task=multilabel", "loss.balance=weight", targets=labels, classes=1)
    losses = made.loss(torch.zeros(100, 1), torch.from_numpy(labels)).numpy()
    assert losses[:4].sum() == pytest.approx(losses[4:].sum(), rel=1e-5)


def test_rare_counts_weigh_more_and_their_neighbours_are_counted_too():
    counts = np.array([[1.0]] * 90 + [[2]] * 9 + [[9]], np.float32)
    table = count_rarity(counts)
    density = np.array([90 / 2 + 9 / 4, 9 / 2 + 90 / 4, 1 / 2 + 1 / 4])
    assert table[[1, 2]].ravel() / table[1] == pytest.approx(density[0] / density[:2])
    made = count("loss.balance=rarity", "loss.name=mae", targets=counts)
    losses = made.loss(torch.zeros(100, 1), torch.from_numpy(counts)).numpy()
    assert (losses / counts[:, 0]).mean() == pytest.approx(1, rel=1e-5)
    beyond = made.loss(torch.zeros(1, 1), torch.full((1, 1), 50.0))
    assert float(beyond) == pytest.approx(50 * table[-1, 0], rel=1e-5)


def test_the_sampler_draws_every_class_alike():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    drawn = sampling_weights(recipe("loss.balance=sampler"), labels)
    assert [drawn[labels == label].sum() for label in range(3)] == pytest.approx([100 / 3] * 3)
    assert sampling_weights(recipe(), labels) is None


# What is refused, and what force lets through.


def test_an_index_loss_refuses_a_row_of_shares():
    made = objective("loss.labels=index")
    with pytest.raises(DataError, match="one class index"):
        made.loss(torch.zeros(2, 3), torch.eye(3)[:2])


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("classify", np.eye(3)),
        ("classify", np.array([0, 3])),
        ("classify", np.array([0.0, 1.0])),
        ("multilabel", np.array([0, 1])),
        ("multilabel", np.full((2, 3), 2.0)),
        ("count", np.full((2, 3), -1.0)),
        ("count", np.full((2, 3), np.nan)),
        ("count", np.zeros((2, 4))),
    ],
)
def test_targets_of_another_form_are_refused(task, targets):
    with pytest.raises(DataError, match=f"The task {task} learns from"):
        objective(f"task={task}", targets=targets)


FORCED = [
    ["task=count", "loss.name=mse", "loss.output=softmax"],
    ["task=count", "loss.output=linear"],
    ["task=count", "loss.output=relu"],
    ["task=count", "loss.name=cross_entropy"],
    ["task=count", "loss.name=bce"],
    ["task=count", "count.target=frequency", "loss.name=mse", "loss.output=softmax"],
    ["loss.output=sigmoid"],
    ["loss.name=bce"],
    ["loss.name=poisson"],
    ["loss.name=mse", "loss.labels=index"],
    ["loss.name=mse", "loss.output=linear"],
    ["task=multilabel", "loss.name=cross_entropy"],
    ["task=multilabel", "loss.output=softmax"],
]


@pytest.mark.parametrize("settings", FORCED, ids=" ".join)
def test_what_is_forced_runs(settings):
    torch.manual_seed(0)
    made = objective(*settings, "force=true")
    targets = torch.from_numpy(targets_of(recipe(*settings, "force=true").task))
    raw = torch.randn(40, made.outputs).requires_grad_()
    losses = made.loss(raw, targets)
    (gradient,) = torch.autograd.grad(losses.sum(), raw)
    assert gradient.isfinite().all()
    assert losses.shape == (40,)
    assert made.predict(raw).shape == (40, 3)


def test_a_forced_softmax_under_squared_error_cannot_reach_its_counts():
    """What made weeks of training show nothing: its predictions sum to 1."""
    made = count("loss.name=mse", "loss.output=softmax", "force=true")
    assert made.predict(torch.randn(5, 3) * 9).sum(1).numpy() == pytest.approx(np.ones(5))
