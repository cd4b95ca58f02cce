"""How labels go wrong: a model of the true class behind each label, fitted without any true class."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

STEPS, GAIN = 60, 2e-6
"""Rounds of expectation-maximisation at most, and the gain in nats per image that ends them."""

SAMPLE = 20_000
"""Images that the parameters are fitted on at most; the posterior is computed for all."""

START = 0.05
"""Share of wrong labels that a fit starts from."""

LEAST, MOST = 1e-6, 0.9
"""Bounds of the chance that a label goes wrong in one way, and in any way."""

TETHER = 0.01
"""Penalty on squared class biases, so that a class cannot be explained away."""

PRUNINGS = 8
"""How often the confusions that do not pay for themselves are dropped, at most."""

Logs = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noise:
    """A fitted model: true class ~ softmax(Σ weight · view + bias), label ~ transitions[true class].

    Attributes:
        weights: Of each view, not negative, shape (views,).
        bias: Of each class, shape (classes,).
        transitions: Chance of each label given the true class; rows sum to 1, shape (classes, classes).
        free: Confusions with a rate of their own, shape (classes, classes); all others share one rate.
        loss: Mean negative log likelihood of the labels, nats per image.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    transitions: NDArray[np.float64]
    free: NDArray[np.bool_]
    loss: float

    def prior(self, views: Logs) -> Logs:
        """Return log P(true class | image) without its label, shape (n, classes)."""
        logs: Logs = log_softmax(np.tensordot(self.weights, views, 1) + self.bias, axis=1)
        return logs

    def posterior(self, views: Logs, labels: NDArray[np.int64]) -> Logs:
        """Return log P(true class | image, label), shape (n, classes)."""
        joint = self.prior(views) + np.log(self.transitions[:, labels].T)
        logs: Logs = joint - logsumexp(joint, axis=1, keepdims=True)
        return logs


def fit_noise(views: Logs, labels: NDArray[np.int64], start: Noise | None = None) -> Noise:
    """Return the noise model that explains the labels in the fewest nats.

    One rate for all mistakes competes with models in which some confusions (this class labelled
    as that one) have rates of their own. A rate of its own costs what it takes to name and to
    write it, ln(classes - 1) + ln(n) / 2 nats; without that price every confusion of the backbone
    passes for wrong labels (126 false ones among 6,000 right ones of cifar10, 8 with it).

    Args:
        views: Scores of each class that have not seen the image's label, shape (views, n, classes).
        labels: Class indices, shape (n,).
        start: A fit on similar views, for speed.

    Source:
        The noise model is Patrini et al., Making Deep Neural Networks Robust to Label Noise, 2017
        (forward correction); its fit is Dempster, Laird & Rubin, 1977; the price of a parameter
        Rissanen, Modeling by Shortest Data Description, 1978.
    """
    views, labels = (
        views[:, :SAMPLE],
        labels[:SAMPLE],
    )  # Rows sorted by hash: the first are a sample.
    _, n, classes = views.shape
    price = float(np.log(max(classes - 1, 1)) + np.log(n) / 2)
    none, every = np.zeros((classes, classes), dtype=bool), ~np.eye(classes, dtype=bool)
    best = fit_confusions(views, labels, none, start)
    best_nats = n * best.loss
    current = fit_confusions(views, labels, every, start)
    for _ in range(PRUNINGS):
        kept = current.free & (_worth(current, views, labels) > price)
        if not kept.any() or (kept == current.free).all():
            break
        current = fit_confusions(views, labels, kept, current, keep_rates=True)
        nats = n * current.loss + price * int(kept.sum())
        if nats < best_nats:
            best, best_nats = current, nats
    return best


def fit_confusions(
    views: Logs,
    labels: NDArray[np.int64],
    free: NDArray[np.bool_],
    start: Noise | None = None,
    *,
    keep_rates: bool = False,
) -> Noise:
    """Return the likeliest model in which just these confusions have rates of their own.

    Args:
        views: Shape (views, n, classes).
        labels: Class indices, shape (n,).
        free: Shape (classes, classes), false on the diagonal.
        start: Where to begin.
        keep_rates: Begin from its transitions too.
    """
    views, labels = (
        views[:, :SAMPLE],
        labels[:SAMPLE],
    )  # Rows sorted by hash: the first are a sample.
    count, _, classes = views.shape
    noise = Noise(
        weights=start.weights if start else np.array([8.0] + [0.1] * (count - 1)),
        bias=start.bias if start else np.zeros(classes),
        transitions=start.transitions if start and keep_rates else _even(classes, START),
        free=free,
        loss=np.inf,
    )
    for _ in range(STEPS):
        joint = noise.prior(views) + np.log(noise.transitions[:, labels].T)
        total = logsumexp(joint, axis=1)
        loss = -float(total.mean())
        gained, noise = noise.loss - loss, replace(noise, loss=loss)
        if gained < GAIN:
            break
        truth = np.exp(joint - total[:, None])
        weights, bias = _fit_prior(noise, views, truth)
        noise = replace(noise, weights=weights, bias=bias, transitions=_rates(truth, labels, free))
    return noise


def _even(classes: int, wrong: float) -> NDArray[np.float64]:
    """Return transitions in which every class goes wrong equally often, to every other one."""
    rates = np.full((classes, classes), wrong / max(classes - 1, 1))
    np.fill_diagonal(rates, 1 - wrong)
    return rates


def _rates(
    truth: NDArray[np.float64], labels: NDArray[np.int64], free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the likeliest transitions, given the shares of each image's true class."""
    classes = truth.shape[1]
    counts = np.zeros((classes, classes))
    np.add.at(counts.T, labels, truth)
    sizes = np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    shared = ~free & ~np.eye(classes, dtype=bool)
    # Half a mistake among half an image: a rate of nothing could never grow again.
    rate = (counts[shared].sum() + 0.5 / classes) / ((shared * sizes).sum() + 0.5)
    rate = min(max(float(rate), LEAST), 0.5 / max(classes - 1, 1))
    rates = np.where(shared, rate, np.where(free, np.maximum(counts / sizes, LEAST), 0.0))
    wrong = rates.sum(axis=1, keepdims=True)
    rates *= np.where(wrong > MOST, MOST / np.maximum(wrong, LEAST), 1)
    np.fill_diagonal(rates, 1 - rates.sum(axis=1))
    return rates


def _fit_prior(
    noise: Noise, views: Logs, truth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of the views and the biases of the classes that predict `truth` best."""
    count, _, classes = views.shape
    found = minimize(
        _prior_loss(views, truth),
        np.concatenate([noise.weights, noise.bias]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * count + [(None, None)] * classes,
        options={"maxiter": 20},
    )
    return found.x[:count], found.x[count:]


def _prior_loss(
    views: Logs, truth: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]:
    count, n, _ = views.shape

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        bias = at[count:]
        logs = log_softmax(np.tensordot(at[:count], views, 1) + bias, axis=1)
        off = (np.exp(logs) - truth) / n
        slope = [float(np.vdot(off, view)) for view in views]
        value = -float(np.vdot(truth, logs)) / n + TETHER / 2 * float(bias @ bias)
        return value, np.concatenate([slope, off.sum(axis=0) + TETHER * bias])

    return loss


def _worth(noise: Noise, views: Logs, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many nats would be lost if a confusion fell back to a low rate, shape (c, c).

    Row: true class, column: label. Everything else is held as it is. The low rate is the first
    quartile of all: what most confusions would share.
    """
    views, labels = views[:, :SAMPLE], labels[:SAMPLE]
    classes = len(noise.transitions)
    rates = noise.transitions[~np.eye(classes, dtype=bool)]
    low = max(float(np.quantile(rates, 0.25, method="lower")), LEAST)
    prior = np.exp(noise.prior(views))
    chance = (prior * noise.transitions[:, labels].T).sum(axis=1)
    ratio = prior / chance[:, None]
    change = low - noise.transitions
    worth = np.zeros((classes, classes))
    for label in range(classes):
        members = labels == label
        as_label = np.log1p(np.maximum(ratio[members] * change[:, label], -1 + 1e-6)).sum(axis=0)
        as_true = -ratio[members, label][:, None] * change[label]
        worth[:, label] -= as_label
        worth[label] -= np.log1p(np.maximum(as_true, -1 + 1e-6)).sum(axis=0)
    np.fill_diagonal(worth, 0)
    return worth
