"""Wrong labels among scikit-learn's scanned digits, whose pixels serve as features."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.wrong_labels import _speechless, judge_labels, wrong_labels
from affinage.auditing.wrong_labels_noise import Noise, fit_noise
from affinage.auditing.wrong_labels_views import (
    LARGEST_BLOCK,
    among,
    geometry,
    left_out_scores,
    nearest,
    tie,
    unit_roots,
)
from affinage.heads.out_of_fold import out_of_fold
from affinage.records.finding import Finding, Pair

from .samples import manifest_of

COUNT = 600


@pytest.fixture(scope="module")
def digits() -> Evidence:
    found = load_digits()
    rows = [
        {"label": str(label), "image": f"{number:05d}", "path": f"{label}/{number:05d}.png"}
        for number, label in enumerate(found.target[:COUNT])
    ]
    evidence = gather(manifest_of(*rows))
    return replace(evidence, features=found.data[:COUNT].astype(np.float32))


def spoilt(digits: Evidence, share: float, seed: int = 0) -> tuple[Evidence, np.ndarray]:
    random = np.random.default_rng(seed)
    wrong = random.choice(COUNT, round(share * COUNT), replace=False)
    labels = digits.labels.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, 10, len(wrong))) % 10
    return replace(digits, labels=labels), np.isin(np.arange(COUNT), wrong)


def found(evidence: Evidence) -> Finding:
    [finding] = wrong_labels(evidence)
    return finding


def test_right_labels_are_left_alone(digits):
    assert sum(len(finding.ids) for finding in wrong_labels(digits)) <= 0.01 * COUNT


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_wrong_labels_are_told_first_and_as_often_right_as_promised(digits, share):
    evidence, wrong = spoilt(digits, share)
    finding = found(evidence)
    hits = wrong[[int(image) for image in finding.ids]]
    assert hits[: wrong.sum()].mean() >= 0.9
    assert finding.hit_rate.value == pytest.approx(hits.mean(), abs=0.05)
    assert finding.hit_rate.low <= hits.mean() <= finding.hit_rate.high
    assert hits.sum() >= 0.85 * wrong.sum()


def test_more_wrong_labels_are_found_than_by_self_confidence(digits):
    evidence, wrong = spoilt(digits, 0.2)
    own = out_of_fold(digits.features, evidence.labels, 10, penalty=0.1, ids=evidence.ids)
    order = np.argsort(own[np.arange(COUNT), evidence.labels], kind="stable")[: wrong.sum()]
    judged = judge_labels(digits.features, evidence.labels, 10)
    ours = np.argsort(-judged.wrong, kind="stable")[: wrong.sum()]
    assert wrong[ours].mean() > wrong[order].mean()


def test_the_suggested_labels_are_the_true_ones(digits):
    evidence, wrong = spoilt(digits, 0.1)
    finding = found(evidence)
    truth = {
        image: digits.classes[label] for image, label in zip(digits.ids, digits.labels, strict=True)
    }
    right = [truth[image] == label for image, label in finding.suggestions if wrong[int(image)]]
    assert np.mean(right) >= 0.95
    assert tuple(image for image, _ in finding.suggestions) == finding.ids


def test_a_confusion_in_one_direction_is_found_and_named(digits):
    # At random: the first ones were all written by few hands.
    threes = np.random.default_rng(0).permutation(np.flatnonzero(digits.labels == 3))[:12]
    labels = digits.labels.copy()
    labels[threes] = 8
    finding = found(replace(digits, labels=labels))
    hits = np.isin([int(image) for image in finding.ids], threes)
    assert hits.mean() >= 0.8
    assert hits.sum() >= 10
    assert finding.evidence[0].endswith("× '8' that looks like '3'")


def test_a_finding_names_images_by_path_and_says_what_they_cost(digits):
    evidence, _ = spoilt(digits, 0.1)
    finding = found(evidence)
    assert finding.images == tuple(digits.paths[digits.ids.index(image)] for image in finding.ids)
    assert finding.cost == pytest.approx(len(finding.ids) * finding.hit_rate.value / COUNT)
    assert finding.hit_rate.n == len(finding.ids)
    assert "/secret" not in repr(finding)


def test_the_order_of_the_rows_does_not_matter(digits):
    evidence, _ = spoilt(digits, 0.1)
    order = np.random.default_rng(1).permutation(COUNT)
    here = judge_labels(digits.features, evidence.labels, 10).wrong
    there = judge_labels(digits.features[order], evidence.labels[order], 10).wrong
    assert np.abs(here[order] - there).max() < 0.02


def test_near_duplicates_do_not_vouch_for_one_another(digits):
    random = np.random.default_rng(0)
    features, labels = digits.features.copy(), digits.labels.copy()
    copies = random.permutation(COUNT)[:60].reshape(20, 3)
    for one, *others in copies:
        features[others] = features[one]
        labels[[one, *others]] = (digits.labels[one] + random.integers(1, 10)) % 10
    pairs = tuple(
        Pair(first="", second="", first_id=digits.ids[one], second_id=digits.ids[other])
        for one, *others in copies
        for other in others
    )
    changed = copies.ravel()
    seen = replace(digits, features=features, labels=labels, near=pairs)
    told = {int(image) for finding in wrong_labels(seen) for image in finding.ids}
    untold = {
        int(image) for finding in wrong_labels(replace(seen, near=None)) for image in finding.ids
    }
    assert len(told & set(changed)) >= 0.8 * len(changed)
    assert len(untold & set(changed)) <= 0.5 * len(changed)


@pytest.mark.parametrize("penalty", [0.25, 4.0])
def test_scores_left_out_agree_with_fits_made_anew(digits, penalty):
    features, targets = digits.features[:60], np.eye(10)[digits.labels[:60]]
    blocks = [np.array([3, 17]), np.array([5, 8, 40])]
    where = geometry(features, blocks)
    scores = left_out_scores(where, targets, penalty=penalty)
    for block in ([0], [59], *blocks):
        kept = np.setdiff1d(np.arange(60), block)
        # The bias is free: a column of ones that the penalty spares.
        rows = np.column_stack([where.rows, np.ones(60)])
        spare = np.diag([60 * penalty] * where.rows.shape[1] + [0])
        weight = np.linalg.solve(rows[kept].T @ rows[kept] + spare, rows[kept].T @ targets[kept])
        np.testing.assert_allclose(scores[block], rows[block] @ weight, atol=1e-8)


def test_neighbours_are_the_nearest_outside_the_block(digits):
    rows, blocks = unit_roots(digits.features[:80]), [np.array([0, 10, 20])]
    indices, cosines = nearest(rows, blocks, k=5)
    for image in (0, 1, 20):
        near = rows @ rows[image]
        near[[0, 10, 20] if image in {0, 20} else [image]] = -2
        assert set(indices[image]) == set(np.argsort(-near)[:5])
        np.testing.assert_allclose(cosines[image], np.sort(near)[::-1][:5], atol=1e-6)
    asked, _ = nearest(rows, blocks, k=5, asked=np.array([20, 1]))
    assert (asked == indices[[20, 1]]).all()


def test_pairs_and_groups_tie_images_together_through_others():
    blocks = tie(8, [(0, 1), (6, 1)], [None, "a", None, "b", "b", None, None, "a"])
    assert [block.tolist() for block in blocks] == [[0, 1, 6, 7], [3, 4]]


def grouped(evidence: Evidence, groups: list[str], pairs: tuple[Pair, ...] = ()) -> Evidence:
    images = evidence.images.with_columns(pl.Series("site", groups))
    return replace(evidence, images=images, group="site", near=pairs)


def test_groups_chained_by_near_duplicates_do_not_silence_all(digits):
    evidence, wrong = spoilt(digits, 0.1)
    sites = [str(number % 6) for number in range(COUNT)]
    chain = tuple(
        Pair(first="", second="", first_id=digits.ids[at], second_id=digits.ids[at + 1])
        for at in range(0, 12)
    )
    # 300 images: larger blocks are cut at 500, and the rest would speak.
    half = np.arange(COUNT) < 300
    few = replace(
        grouped(evidence, sites, chain),
        images=grouped(evidence, sites).images.filter(half),
        features=evidence.features[half],
        labels=evidence.labels[half],
    )
    hits = wrong[[int(image) for image in found(few).ids]]
    assert hits.mean() >= 0.85
    assert hits.sum() >= 0.8 * wrong[half].sum()


@pytest.mark.parametrize("classes", [4, 10])
def test_a_class_that_comes_from_one_source_is_not_accused(digits, classes):
    some = digits.labels < classes
    few = replace(
        grouped(digits, [str(label) for label in digits.labels]),
        features=digits.features[some],
        labels=digits.labels[some],
    )
    few = replace(few, images=few.images.filter(some), classes=digits.classes[:classes])
    assert sum(len(finding.ids) for finding in wrong_labels(few)) <= 0.01 * some.sum()


def test_a_group_still_does_not_vouch_for_itself(digits):
    blocks = _speechless(
        grouped(digits, [str(number % 6) for number in range(COUNT)]), np.ones(COUNT, bool)
    )
    assert sorted(map(len, blocks)) == [100] * 6


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("together", [True, False])
def test_views_that_tell_nothing_doubt_nothing(classes, together):
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(200, 64)), random.integers(0, classes, 200)
    blocks = [np.arange(200)] if together else []
    judged = judge_labels(features, labels, classes, blocks=blocks)
    assert not (judged.wrong > 0.5).any()


def test_blocks_follow_a_selection():
    kept = np.array([True, False, True, True, False, True])
    blocks = among([np.array([0, 1, 3]), np.array([2, 4]), np.array([5, 2])], kept)
    assert [block.tolist() for block in blocks] == [[0, 2], [3, 1]]


def test_images_off_topic_are_not_accused_and_hide_no_wrong_label(digits):
    evidence, wrong = spoilt(digits, 0.1)
    odd = np.flatnonzero(~wrong)[::9]
    features = evidence.features.copy()
    moved = np.roll(features[odd].reshape(-1, 8, 8), (4, 4), axis=(1, 2))
    features[odd] = moved.reshape(-1, 64)
    told = {int(image) for image in found(replace(evidence, features=features)).ids}
    assert len(told & set(odd)) <= 2
    assert len(told & set(np.flatnonzero(wrong))) >= 0.85 * wrong.sum()


def test_a_huge_group_is_cut():
    sizes = [len(block) for block in tie(1201, [], ["one"] * 1201)]
    assert sizes == [LARGEST_BLOCK, LARGEST_BLOCK, 201]


def test_the_noise_model_recovers_how_labels_were_made():
    random = np.random.default_rng(0)
    views = random.normal(size=(1, 3000, 4)) * 3
    odds = np.exp(views[0])
    truth = (random.random((3000, 1)) > np.cumsum(odds / odds.sum(1, keepdims=True), 1)).sum(1)
    moved = np.where((truth == 2) & (random.random(3000) < 0.3), 0, truth)
    with threadpool_limits(limits=1, user_api="blas"):
        noise = fit_noise(views, moved)
    assert np.argwhere(noise.free).tolist() == [[2, 0]]
    assert noise.transitions[2, 0] == pytest.approx(0.3, abs=0.04)
    assert noise.weights == pytest.approx([1], abs=0.1)
    posterior = np.exp(noise.posterior(views, moved))
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    doubted = posterior[np.arange(3000), moved] < 0.5
    promised = 1 - posterior[np.arange(3000), moved][doubted].mean()
    assert (truth != moved)[doubted].mean() == pytest.approx(promised, abs=0.05)


def test_a_posterior_is_bayes_rule_by_hand():
    noise = Noise(
        weights=np.ones(1),
        bias=np.zeros(2),
        transitions=np.array([[0.9, 0.1], [0.2, 0.8]]),
        free=np.zeros((2, 2), bool),
        loss=0.0,
    )
    views = np.log([[[0.75, 0.25]]])
    posterior = np.exp(noise.posterior(views, np.array([1])))[0]
    assert posterior == pytest.approx([0.075 / 0.275, 0.2 / 0.275])


def test_a_class_too_small_to_know_is_not_accused(digits):
    labels = digits.labels.copy()
    labels[digits.labels == 9] = 4
    labels[np.flatnonzero(digits.labels == 9)[:3]] = 9
    told = [image for f in wrong_labels(replace(digits, labels=labels)) for image in f.ids]
    assert not {int(image) for image in told} & set(np.flatnonzero(labels == 9))


def test_nothing_is_said_where_nothing_can_be_known(digits):
    assert not list(wrong_labels(replace(digits, features=None)))
    few = gather(manifest_of(*({"label": label} for label in "ab" * 10)))
    assert not list(wrong_labels(replace(few, features=digits.features[:20])))
    one = gather(manifest_of(*({"label": "a"} for _ in range(60))))
    assert not list(wrong_labels(replace(one, features=digits.features[:60])))
