import warnings
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from affinage.errors import DataError, RecipeError
from affinage.heads.folds import assign_folds
from affinage.heads.linear import LinearHead, choose_penalty, fit_linear
from affinage.heads.rotation import rotate_evenly


def blobs(n=60, d=20, classes=3, seed=0, *, spread=0.8):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scales = np.exp(random.normal(size=d))
    centres = random.normal(size=(classes, d))
    rows = (spread * centres[labels] + random.normal(size=(n, d))) * scales + 5
    return rows.astype(np.float32), labels


def names(n):
    return [f"image-{number:04d}" for number in range(n)]


def objective(head, rows, labels, penalty, weights=None):
    """The definition: mean log loss + penalty / 2 * ||W||² with W on the scaled features."""
    rows = rows.astype(np.float64)
    weights = np.full(len(rows), 1 / len(rows)) if weights is None else weights / np.sum(weights)
    scale = np.sqrt((weights @ (rows - weights @ rows) ** 2).mean())
    losses = -log_softmax(head.logits(rows), axis=1)[np.arange(len(rows)), labels]
    return weights @ losses + penalty / 2 * np.sum((head.weight * scale) ** 2)


@pytest.mark.parametrize("n", [30, 90], ids=["fewer images than features", "more"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("penalty", [1e-3, 1e-1, 10.0])
def test_no_slow_search_finds_a_better_head(n, classes, penalty):
    rows, labels = blobs(n=n, d=40, classes=classes)
    head = fit_linear(rows, labels, classes, penalty=penalty)

    def value(flat):
        table = flat.reshape(classes, -1)
        return objective(
            LinearHead(table[:, :-1], table[:, -1], penalty), rows, labels, penalty
        )  # fmt: skip

    start = np.column_stack([head.weight, head.bias]).ravel()
    slow = minimize(value, start, method="L-BFGS-B", options={"maxiter": 3, "maxfun": 600})
    assert objective(head, rows, labels, penalty) <= slow.fun * (1 + 1e-5)


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("penalty", [1e-3, 1e-2, 1.0])
def test_it_agrees_with_scikit_learn(n, penalty):
    rows, labels = blobs(n=n, d=80, classes=4)
    scale = np.sqrt(rows.astype(float).var(axis=0).mean())
    scaled = (rows - rows.astype(float).mean(axis=0)) / scale
    reference = LogisticRegression(C=1 / (n * penalty), tol=1e-8, max_iter=5000)
    reference.fit(scaled, labels)
    theirs = LinearHead(
        reference.coef_ / scale,
        reference.intercept_ - reference.coef_ @ rows.astype(float).mean(axis=0) / scale,
        penalty,
    )
    ours = fit_linear(rows, labels, 4, penalty=penalty)
    assert objective(ours, rows, labels, penalty) == pytest.approx(
        objective(theirs, rows, labels, penalty), rel=1e-4
    )
    shift = ours.bias - theirs.bias
    assert ours.weight * scale == pytest.approx(reference.coef_, abs=0.02)
    assert shift == pytest.approx(np.full(4, shift.mean()), abs=0.05)


def test_the_start_changes_nothing_but_the_way():
    rows, labels = blobs()
    head = fit_linear(rows, labels, 3, penalty=0.01)
    for start in (
        head,
        fit_linear(rows, labels, 3, penalty=10.0),
        LinearHead(np.zeros((9, 9)), np.zeros(9), 1.0),
    ):
        again = fit_linear(rows, labels, 3, penalty=0.01, start=start)
        assert objective(again, rows, labels, 0.01) == pytest.approx(
            objective(head, rows, labels, 0.01), rel=1e-6
        )


def test_the_same_input_gives_the_same_head():
    rows, labels = blobs()
    a, b = (fit_linear(rows, labels, 3, penalty=0.01) for _ in range(2))
    assert np.array_equal(a.weight, b.weight)
    assert np.array_equal(a.bias, b.bias)


def test_a_weight_of_two_is_the_image_given_twice():
    rows, labels = blobs(n=31)
    weights = np.random.default_rng(1).integers(0, 3, len(rows))
    weights[:3] = 1
    weighted = fit_linear(rows, labels, 3, penalty=0.01, sample_weight=weights)
    repeated = fit_linear(
        np.repeat(rows, weights, axis=0), np.repeat(labels, weights), 3, penalty=0.01
    )
    assert weighted.logits(rows) == pytest.approx(repeated.logits(rows), abs=0.02)


@pytest.mark.parametrize("constant", [0.0, 1.0, 1e5])
def test_a_constant_feature_gets_no_weight(constant):
    rows, labels = blobs()
    more = np.column_stack([rows, np.full(len(rows), constant, np.float32)])
    head = fit_linear(more, labels, 3, penalty=0.01)
    assert np.abs(head.weight[:, -1]).max() < 1e-9 * np.abs(head.weight).max()
    assert np.isfinite(head.logits(more)).all()


def test_of_constant_features_only_the_shares_remain():
    head = fit_linear(np.full((4, 5), 0.1, np.float32), [0, 0, 0, 1], 2, penalty=0.01)
    odds = head.logits(np.full((1, 5), 0.1, np.float32))[0]
    assert odds[0] - odds[1] == pytest.approx(np.log(3), abs=1e-3)


def test_a_strong_penalty_leaves_the_shares():
    rows, labels = blobs()
    labels = np.where(np.arange(len(labels)) < 45, 0, labels)
    logits = fit_linear(rows, labels, 3, penalty=1e9).logits(rows)
    shares = np.bincount(labels) / len(labels)
    assert np.exp(log_softmax(logits, axis=1)) == pytest.approx(np.tile(shares, (60, 1)), abs=1e-3)


def test_a_class_without_an_image_is_never_predicted():
    rows, labels = blobs()
    head = fit_linear(rows, 2 * labels, 6, penalty=0.01)
    logits = head.logits(rows)
    assert set(logits.argmax(axis=1)) <= {0, 2, 4}
    assert np.isfinite(head.weight).all()
    assert (np.exp(log_softmax(logits, axis=1))[:, [1, 3, 5]] < 0.02).all()


def test_one_class_and_one_image_do_not_crash():
    assert fit_linear([[1.0, 2.0]], [0], 1, penalty=0.1).weight.tolist() == [[0.0, 0.0]]
    assert fit_linear([[1.0, 2.0]], [1], 3, penalty=0.1).logits([[1.0, 2.0]]).argmax() == 1


def test_separable_images_have_a_finite_head():
    rows = np.r_[np.zeros((5, 3)), np.ones((5, 3))]
    head = fit_linear(rows, [0] * 5 + [1] * 5, 2, penalty=1e-5)
    assert (head.logits(rows).argmax(axis=1) == [0] * 5 + [1] * 5).all()
    assert np.abs(head.weight).max() < 50


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-2, 1e2), st.floats(-10, 10))
def test_scale_and_shift_of_all_features_change_no_prediction(seed, factor, shift):
    rows, labels = blobs(n=24, d=8, seed=seed)
    rows = rows.astype(np.float64)
    plain = fit_linear(rows, labels, 3, penalty=0.05).logits(rows)
    moved = fit_linear(factor * rows + shift, labels, 3, penalty=0.05).logits(factor * rows + shift)
    assert moved == pytest.approx(plain, abs=2e-2)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.zeros((0, 3)), []),
        (np.zeros((2, 3)), [0]),
        (np.zeros(3), [0]),
        (np.zeros((2, 3)), [0, 2]),
        (np.full((2, 3), np.nan), [0, 1]),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, labels):
    with pytest.raises(DataError):
        fit_linear(features, labels, 2, penalty=0.1)
    with pytest.raises(DataError):
        choose_penalty(
            features, labels, 2, penalties=[0.1], folds=2, seed=0, ids=names(len(labels))
        )  # fmt: skip


@pytest.mark.parametrize("penalty", [0.0, -1.0, np.inf, np.nan])
def test_a_penalty_that_is_none_is_refused(penalty):
    with pytest.raises(RecipeError, match="Penalties"):
        fit_linear(*blobs(), 3, penalty=penalty)


@pytest.mark.parametrize("weights", [[1.0], [-1.0] * 60, [0.0] * 60, [np.nan] * 60])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(DataError, match="weights"):
        fit_linear(*blobs(), 3, penalty=0.1, sample_weight=weights)


PENALTIES = (1e-4, 1e-2, 1.0, 100.0)


def choose(rows, labels, classes, **given):
    settings_ = {"penalties": PENALTIES, "folds": 5, "seed": 0, "ids": names(len(labels))}
    return choose_penalty(rows, labels, classes, **(settings_ | given))


def test_cross_validation_agrees_with_its_definition():
    rows, labels = blobs()
    rows = rows.astype(np.float64)
    rows = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0).mean())
    part = assign_folds(labels, names(60), folds=5, seed=0)
    for penalty, loss, right in choose(rows, labels, 3, penalties=(1.0, 1e-2)).losses:
        held = np.zeros((60, 3))
        for fold in range(5):
            inside = part == fold
            # Their C for our penalty on features that already have the common mean and scale.
            reference = LogisticRegression(
                C=1 / (penalty * (~inside).sum()), tol=1e-8, max_iter=9000
            )
            held[inside] = reference.fit(rows[~inside], labels[~inside]).predict_log_proba(
                rows[inside]
            )
        assert loss == pytest.approx(-held[np.arange(60), labels].mean(), rel=0.02)
        assert right == pytest.approx((held.argmax(axis=1) == labels).mean(), abs=0.02)


def test_noise_is_given_a_strong_penalty_and_signal_a_weak_one():
    random = np.random.default_rng(0)
    noise = random.normal(size=(60, 30))
    assert choose(noise, np.arange(60) % 2, 2).penalty == 100.0
    assert choose(*blobs(spread=5.0), 3).penalty < 1.0


def test_the_path_goes_from_strong_to_weak_and_the_least_loss_wins():
    choice = choose(*blobs(), 3, penalties=(1.0, 1e-4, 100.0, 1e-4))
    assert [row[0] for row in choice.losses] == [100.0, 1.0, 1e-4]
    assert choice.penalty == min(choice.losses, key=lambda row: row[1])[0]
    assert choice.folds == 5
    assert choice.held_out == 60
    for (penalty, loss, _), (same, folds) in zip(choice.losses, choice.fold_losses, strict=True):
        assert penalty == same
        assert np.mean(folds) == pytest.approx(loss, rel=0.05)


def test_folds_side_by_side_change_nothing():
    rows, labels = blobs()
    side_by_side, in_turn = (choose(rows, labels, 3, threads=number) for number in (3, 1))
    assert astuple(side_by_side) == astuple(in_turn)


def test_a_rotation_made_once_gives_the_same_choice_and_the_same_head():
    rows, labels = blobs()
    rotated = rotate_evenly(rows)
    assert astuple(choose(rows, labels, 3, rotated=rotated)) == astuple(choose(rows, labels, 3))
    plain, spared = (
        fit_linear(rows, labels, 3, penalty=0.01, **how) for how in ({}, {"rotated": rotated})
    )
    assert plain.logits(rows) == pytest.approx(spared.logits(rows), abs=0.01)


def test_features_that_say_the_same_are_no_trouble_under_a_tiny_penalty():
    rows, labels = blobs()
    twice = np.repeat(rows, 3, axis=1)[
        :, : len(rows) // 2
    ]  # Fewer features than images, many equal.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = fit_linear(twice, labels, 3, penalty=1e-9)
    assert np.isfinite(head.weight).all()
    assert (head.logits(twice).argmax(axis=1) == labels).mean() >= 0.9


def test_weak_penalties_are_left_out_once_it_surely_only_gets_worse(monkeypatch):
    random = np.random.default_rng(0)
    noise, labels = random.normal(size=(300, 60)), np.arange(300) % 3
    path = (10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4)
    short = choose(noise, labels, 3, penalties=path)
    monkeypatch.setattr("affinage.heads.linear.SURELY_WORSE", np.inf)
    whole = choose(noise, labels, 3, penalties=path)
    assert [row[0] for row in whole.losses] == list(path)
    assert whole.losses[: len(short.losses)] == short.losses
    assert 3 <= len(short.losses) < len(path)
    assert short.penalty == whole.penalty
    left = [row[1] for row in whole.losses[len(short.losses) :]]
    assert min(left) > min(row[1] for row in short.losses)


def test_a_path_whose_best_is_its_weakest_penalty_is_tried_to_its_end():
    choice = choose(*blobs(spread=8.0), 3, penalties=(100.0, 10.0, 1.0, 0.1, 1e-3))
    assert len(choice.losses) == 5
    assert choice.penalty == 1e-3


def test_the_order_of_the_rows_does_not_matter():
    rows, labels = blobs()
    order = np.random.default_rng(4).permutation(60)
    plain = choose(rows, labels, 3)
    mixed = choose(rows[order], labels[order], 3, ids=[names(60)[i] for i in order])
    assert mixed.penalty == plain.penalty
    assert np.array(mixed.losses) == pytest.approx(np.array(plain.losses), rel=2e-2)


def test_copies_of_an_image_in_one_group_do_not_flatter():
    random = np.random.default_rng(0)
    rows = np.repeat(random.normal(size=(30, 40)), 2, axis=0)
    labels = np.repeat(random.integers(0, 2, 30), 2)
    alone = choose(rows, labels, 2)
    grouped = choose(rows, labels, 2, groups=np.repeat(names(30), 2))
    assert max(row[2] for row in alone.losses) > 0.9
    assert max(row[2] for row in grouped.losses) < 0.8


@pytest.mark.parametrize("labels", [[0], [0, 1], [0, 1, 2], [0, 0], [0, 0, 1], [0, 0, 1, 1, 2]])
def test_small_classes_do_not_crash(labels):
    rows = np.random.default_rng(0).normal(size=(len(labels), 6))
    choice = choose(rows, labels, 3)
    assert choice.penalty in PENALTIES
    assert np.isfinite(np.array(choice.losses)).all()


def test_one_image_for_each_class_takes_the_middle_penalty():
    choice = choose(np.eye(4), np.arange(4), 4)
    assert choice.losses == ()
    assert choice.folds == choice.held_out == 0
    assert choice.penalty == 1e-2


def test_no_penalty_is_refused():
    with pytest.raises(RecipeError, match="Penalties"):
        choose(*blobs(), 3, penalties=())
