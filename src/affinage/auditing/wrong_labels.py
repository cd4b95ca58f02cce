"""Labels that are likely wrong, and what they should be instead."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, logit
from threadpoolctl import threadpool_limits

from affinage.auditing.evidence import Evidence
from affinage.auditing.off_topic import set_apart
from affinage.auditing.words import count, share_in_words
from affinage.auditing.wrong_labels_noise import Noise, fit_confusions, fit_noise
from affinage.auditing.wrong_labels_views import (
    Block,
    Geometry,
    among,
    geometry,
    left_out_scores,
    near_rows,
    tie,
    vote_logs,
)
from affinage.records.estimate import Estimate
from affinage.records.finding import Finding

PENALTIES = (0.25, 1.0, 4.0)
"""Of the ridge view; the one is taken that explains the labels best if any class may be labelled as
any other at a rate of its own: with one rate for all, views that believe every label win."""

ROUNDS = 2
"""The second one learns from the first one's shares of the true class instead of the labels."""

FEWEST_IMAGES, FEWEST_OF_CLASS = 50, 5
"""Below these nothing is said: of the data set, of a class."""

MOST_OF_CLASS = 0.5
"""Share of a class that may be held out together because it is of one group."""

SHOWN = 10
"""Images and confusions that the evidence names."""

MODEL_ERROR, UNSURE_BELOW = 0.07, 30
"""Standard deviation of (promised - true) hit rate where many images are reported, and the number of
them at which its square is twice that: where some 8 were reported, the promise was off by 20 points,
of 40 or more by 8. So chosen that the interval holds the truth in 95 % of 145 injected cases
(docs/log.md)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelJudgement:
    """How far each label can be believed.

    Attributes:
        wrong: Probability that the label is wrong, shape (n,).
        suggested: Likeliest class other than the label, shape (n,); the label where none is doubted.
    """

    wrong: NDArray[np.float64]
    suggested: NDArray[np.int64]


def wrong_labels(evidence: Evidence) -> Iterator[Finding]:
    """Yield the images whose label is more likely wrong than right, with the likely one.

    Near-duplicates and images of one group do not speak for one another, and images that are off
    topic for nobody: 10 % of them hid all 96 wrong labels of one injected case.
    """
    labels, classes = evidence.labels, evidence.classes
    if evidence.features is None or len(labels) < FEWEST_IMAGES or len(classes) < 2:
        return
    scores, cut = set_apart(evidence)
    heard = scores <= (np.inf if cut is None else cut.threshold)
    blocks = among(_speechless(evidence, heard), heard)
    judged = judge_labels(evidence.features[heard], labels[heard], len(classes), blocks=blocks)
    wrong, suggested = np.zeros(len(labels)), labels.copy()
    wrong[heard], suggested[heard] = judged.wrong, judged.suggested
    small = np.bincount(labels[heard], minlength=len(classes)) < FEWEST_OF_CLASS
    doubted = np.flatnonzero((wrong > 0.5) & ~small[labels])
    if not len(doubted):
        return
    order = doubted[np.argsort(-wrong[doubted], kind="stable")]
    hits = hit_rate(wrong[order])
    ids, paths = evidence.ids, evidence.paths
    named = [
        (ids[index], paths[index], classes[labels[index]], classes[suggested[index]])
        for index in order
    ]
    yield Finding(
        code="wrong-labels",
        severity="warning",
        subject=f"{count(len(order), 'image')} of {len(labels):,} probably under a wrong label:"
        f" about {share_in_words(hits)} of such guesses are right.",
        evidence=(
            *_confusions(named),
            *(
                f"{path}: '{label}', looks like '{other}' ({round(100 * wrong[index])} %)"
                for index, (_, path, label, other) in zip(order[:SHOWN], named, strict=False)
            ),
        ),
        remedy="Look at them, then: affinage relabel DATA --finding wrong-labels",
        images=tuple(path for _, path, _, _ in named),
        ids=tuple(image for image, _, _, _ in named),
        suggestions=tuple((image, other) for image, _, _, other in named),
        hit_rate=hits,
        cost=len(order) * (hits.value or 0) / len(labels),
    )


def judge_labels(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    classes: int,
    *,
    blocks: list[Block] | None = None,
) -> LabelJudgement:
    """Return the probability that each label is wrong, and the likeliest other class.

    Two views that have not seen an image's own label (ridge regression with its block left out,
    and votes of the nearest neighbours) give the chances of its true class; a model of how labels
    go wrong, fitted to all labels at once, turns them and the label into a posterior. The
    log-odds of both rounds are averaged: the second ranks better, the first promises less. Where
    the views tell the labels no better than the classes' shares do, no label is doubted.

    Args:
        features: Of a frozen backbone, finite, shape (n, d), n at least 3.
        labels: Class indices, shape (n,).
        classes: How many classes there are, at least 2.
        blocks: Disjoint sets of images that must not speak for one another; see `tie`.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        where = geometry(features, blocks or [])
        targets = np.eye(classes)[labels]
        penalty = _penalty(where, targets, labels)
        noise: Noise | None = None
        odds, logs = np.zeros(len(labels)), np.zeros(targets.shape)
        for _ in range(ROUNDS):
            views = np.stack(
                [left_out_scores(where, targets, penalty=penalty), vote_logs(where, targets)]
            )
            noise = fit_noise(views, labels, noise)
            if not _tells(noise, labels, classes):
                return LabelJudgement(wrong=np.zeros(len(labels)), suggested=labels)
            posterior = noise.posterior(views, labels)
            targets = np.exp(posterior)
            own = targets[np.arange(len(labels)), labels]
            odds -= logit(np.clip(own, 1e-12, 1 - 1e-12)) / ROUNDS
            logs += posterior
    logs[np.arange(len(labels)), labels] = -np.inf
    return LabelJudgement(wrong=expit(odds), suggested=logs.argmax(axis=1).astype(np.int64))


def _penalty(where: Geometry, targets: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the ridge view's penalty that explains the labels best; see `PENALTIES`."""
    votes, every = vote_logs(where, targets), ~np.eye(targets.shape[1], dtype=bool)
    losses = [
        fit_confusions(
            np.stack([left_out_scores(where, targets, penalty=penalty), votes]), labels, every
        ).loss
        for penalty in PENALTIES
    ]
    return PENALTIES[int(np.argmin(losses))]


def _tells(noise: Noise, labels: NDArray[np.int64], classes: int) -> bool:
    """Return whether the views explain the labels better than the classes' shares alone.

    A model that has learnt nothing may answer one class for all and call every other label wrong.
    Its biases, weights and rate are paid for as in `fit_noise`.
    """
    shares = np.bincount(labels, minlength=classes) / len(labels)
    parameters = classes + len(noise.weights)
    price = parameters * np.log(len(labels)) / 2 / len(labels)
    return bool(noise.loss + price < entr(shares).sum())


def _speechless(evidence: Evidence, heard: NDArray[np.bool_]) -> list[Block]:
    """Return the images that must not speak for one another: near-duplicates, and most groups.

    A group that has most of a class, by itself or chained to others by near-duplicates, is let speak:
    held out, it would leave nobody who knows the class, and every right label of it would be doubted.
    """
    n, labels, near = len(evidence.labels), evidence.labels, list(near_rows(evidence))
    of_class = np.bincount(labels[heard], minlength=len(evidence.classes))
    copies = tie(n, near)
    blocks: list[Block] = []
    for block in tie(n, near, _groups(evidence)):
        inside = np.bincount(labels[block[heard[block]]], minlength=len(of_class))
        if (inside <= MOST_OF_CLASS * of_class)[of_class >= FEWEST_OF_CLASS].all():
            blocks.append(block)
        else:
            members = set(block.tolist())
            blocks += [copy for copy in copies if members.issuperset(copy.tolist())]
    return blocks


def _groups(evidence: Evidence) -> list[object]:
    column = evidence.group
    return evidence.images[column].to_list() if column and column in evidence.images else []


def hit_rate(wrong: NDArray[np.float64]) -> Estimate:
    """Return the mean probability, with an interval for chance and for the model's own error.

    Half a right and half a wrong guess are added: the fewer are reported, the more of them the model
    of how labels go wrong picked because it was too sure.
    """
    n = len(wrong)
    value = (float(wrong.sum()) + 0.5) / (n + 1)
    error = MODEL_ERROR**2 * (1 + UNSURE_BELOW / n)
    half = 1.96 * float(np.sqrt(value * (1 - value) / n + error))
    return Estimate(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=n)


def _confusions(named: list[tuple[str, str, str, str]]) -> list[str]:
    """Return the commonest suspected confusions in words, if several images share one."""
    tally: dict[tuple[str, str], int] = {}
    for _, _, label, other in named:
        tally[label, other] = tally.get((label, other), 0) + 1
    top = sorted(tally.items(), key=lambda item: (-item[1], item[0]))[:3]
    return [f"{n:,} × '{label}' that looks like '{other}'" for (label, other), n in top if n > 1]
