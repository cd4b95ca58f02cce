import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from affinage.errors import DataError, RecipeError
from affinage.heads.count_regression import choose_count_penalties, fit_counts
from affinage.heads.multilabel import choose_label_penalties, fit_labels, label_probabilities
from affinage.heads.separate import NORMAL, POISSON, YES_OR_NO

EACH = {"poisson": POISSON, "ridge": NORMAL, "labels": YES_OR_NO}


def sample(n=120, d=30, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, d)) * np.exp(random.normal(size=d)) + 3
    signal = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    mean = np.exp(np.column_stack([2.5 + 0.3 * signal[:, 0], 0.4 * signal[:, 1] - 0.5]))
    return rows.astype(np.float32), random.poisson(mean).astype(np.float32)


def labels(n=120):
    rows, counts = sample(n)
    return rows, (counts > [12, 0]).astype(np.float32)


def names(n):
    return [f"image-{number:04d}" for number in range(n)]


def scaled(rows):
    rows = rows.astype(float)
    return (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0).mean())


@pytest.mark.parametrize("n", [20, 120], ids=["fewer images than features", "more"])
@pytest.mark.parametrize("penalty", [1e-2, 0.3, 10.0])
def test_poisson_heads_are_those_of_scikit_learn(n, penalty):
    rows, counts = sample(n)
    ours = fit_counts(rows, counts, penalty=penalty).expected(rows)
    for c in range(2):
        theirs = PoissonRegressor(alpha=penalty * counts[:, c].mean(), tol=1e-9, max_iter=5000)
        theirs.fit(scaled(rows), counts[:, c])
        assert ours[:, c] == pytest.approx(theirs.predict(scaled(rows)), rel=5e-3)


@pytest.mark.parametrize("n", [20, 120])
@pytest.mark.parametrize("penalty", [1e-2, 0.3, 10.0])
def test_ridge_heads_are_those_of_scikit_learn(n, penalty):
    rows, counts = sample(n)
    head = fit_counts(rows, counts, penalty=penalty, family="ridge")
    for c in range(2):
        theirs = Ridge(alpha=penalty * n * counts[:, c].astype(float).var())
        theirs.fit(scaled(rows), counts[:, c])
        assert head.head.scores(rows)[:, c] == pytest.approx(
            theirs.predict(scaled(rows)), abs=5e-3 * float(counts[:, c].std())
        )
    assert (head.expected(rows) >= 0).all()


@pytest.mark.parametrize("n", [20, 120])
@pytest.mark.parametrize("penalty", [3e-2, 0.3, 10.0])
def test_label_heads_are_those_of_scikit_learn(n, penalty):
    rows, truth = labels(n)
    ours = label_probabilities(fit_labels(rows, truth, penalty=penalty), rows)
    for c in range(2):
        share = truth[:, c].mean()
        theirs = LogisticRegression(
            C=1 / (n * penalty * share * (1 - share)), tol=1e-9, max_iter=5000
        )
        theirs.fit(scaled(rows), truth[:, c])
        assert ours[:, c] == pytest.approx(theirs.predict_proba(scaled(rows))[:, 1], abs=2e-3)


@pytest.mark.parametrize("name", EACH)
def test_the_loss_is_the_integral_of_mean_less_target_and_0_at_best(name):
    family = EACH[name]
    scores = np.linspace(-3, 14 if name == "poisson" else 3, 500)
    targets = np.full(500, 1.0)
    slope = np.gradient(family.loss(scores, targets), scores)
    expected = family.mean(scores) - targets
    assert slope[1:-1] == pytest.approx(expected[1:-1], rel=2e-2, abs=2e-2)
    assert family.loss(scores, targets).min() >= -1e-9
    curvature = np.gradient(family.mean(scores), scores)[1:-1]
    below = scores[1:-1] < 11.9
    assert curvature[below] == pytest.approx(family.slope(scores)[1:-1][below], rel=2e-2)


@pytest.mark.parametrize("family", ["poisson", "ridge"])
def test_each_class_is_fitted_as_if_alone(family):
    rows, counts = sample()
    both = fit_counts(rows, counts, penalty=[0.1, 3.0], family=family)
    for c, penalty in enumerate((0.1, 3.0)):
        alone = fit_counts(rows, counts[:, [c]], penalty=penalty, family=family)
        assert both.expected(rows)[:, c] == pytest.approx(alone.expected(rows)[:, 0], rel=3e-3)


def test_a_class_without_an_object_expects_almost_none():
    rows, counts = sample()
    counts[:, 1] = 0
    head = fit_counts(rows, counts, penalty=0.1)
    assert head.expected(rows)[:, 1] == pytest.approx(np.full(120, 0.5 / 121))
    assert not head.head.weight[1].any()
    always = np.ones((120, 1))
    odds = label_probabilities(fit_labels(rows, always, penalty=0.1), rows)
    assert odds == pytest.approx(np.full((120, 1), 1 - 0.5 / 121))


def test_what_is_far_from_the_training_images_gives_a_number():
    rows, counts = sample()
    head = fit_counts(rows, counts, penalty=1e-3)
    assert np.isfinite(head.expected(rows * 1e4)).all()


@pytest.mark.parametrize("choose", [choose_count_penalties, choose_label_penalties])
def test_the_penalty_is_chosen_on_held_out_images_in_any_order(choose):
    rows, targets = sample() if choose is choose_count_penalties else labels()
    settings = {"penalties": [10.0, 1e-3, 0.1, 1.0], "folds": 4, "seed": 0}
    found = choose(rows, targets, ids=names(120), **settings)
    assert found.path.tolist() == [10.0, 1.0, 0.1, 1e-3]
    assert found.losses.shape == (4, 2)
    assert found.held_out == 120
    best = [found.path[found.losses[:, c].argmin()] for c in range(2)]
    assert found.penalties.tolist() == best
    assert (found.losses.min(axis=0) < 1).all()
    order = np.random.default_rng(2).permutation(120)
    ids = [names(120)[row] for row in order]
    mixed = choose(rows[order], targets[order], ids=ids, **settings)
    assert mixed.losses == pytest.approx(found.losses, rel=1e-2)


def test_noise_asks_for_the_strongest_penalty():
    rows, _ = sample()
    counts = np.random.default_rng(5).poisson(3, (120, 1))
    found = choose_count_penalties(
        rows, counts, penalties=[1e-4, 1e-2, 1.0, 100.0], folds=5, seed=0, ids=names(120)
    )
    assert found.penalties.tolist() == [100.0]
    assert found.losses[-1, 0] > 1.2  # A weak one learns the noise by heart.


def test_one_image_can_be_fitted_and_chosen():
    found = choose_count_penalties(
        np.ones((1, 3)), [[2.0]], penalties=[1.0, 0.1], folds=5, seed=0, ids=["a"]
    )
    assert found.held_out == 0
    head = fit_counts(np.ones((1, 3)), [[2.0]], penalty=found.penalties)
    assert head.expected(np.ones((1, 3))) == pytest.approx(np.array([[2.0]]))


@pytest.mark.parametrize("name", ["poisson", "ridge"])
def test_the_same_input_gives_the_same_head(name):
    rows, counts = sample()
    one, two = (fit_counts(rows, counts, penalty=0.01, family=name).head for _ in range(2))
    assert np.array_equal(one.weight, two.weight)
    assert np.array_equal(one.bias, two.bias)


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        (np.zeros((0, 3)), np.zeros((0, 1))),
        (np.zeros((2, 3)), np.zeros((3, 1))),
        (np.zeros((2, 3)), np.zeros(2)),
        (np.full((2, 3), np.nan), np.zeros((2, 1))),
        (np.zeros((2, 3)), -np.ones((2, 1))),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, counts):
    with pytest.raises(DataError):
        fit_counts(rows, counts, penalty=1.0)
    with pytest.raises(DataError):
        choose_count_penalties(rows, counts, penalties=[1.0], folds=2, seed=0, ids=names(len(rows)))


@pytest.mark.parametrize("penalty", [0.0, -1.0, np.inf, np.nan])
def test_a_penalty_that_is_not_positive_is_refused(penalty):
    with pytest.raises(RecipeError):
        fit_counts(*sample(), penalty=penalty)
    with pytest.raises(DataError):
        fit_labels(np.zeros((2, 3)), np.full((2, 1), 2.0), penalty=1.0)
