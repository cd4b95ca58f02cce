import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from affinage.heads.folds import assign_folds
from affinage.heads.out_of_fold import out_of_fold


def cloud(n: int = 120, classes: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    random = np.random.default_rng(0)
    labels = np.arange(n) % classes
    return (
        random.normal(size=(n, 8)) + 2 * labels[:, None],
        labels,
        [f"image {i}" for i in range(n)],
    )


def test_rows_are_probabilities():
    features, labels, ids = cloud()
    found = out_of_fold(features, labels, 3, penalty=0.1, ids=ids)
    assert found.shape == (120, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_label_that_is_wrong_does_not_help_itself():
    features, labels, ids = cloud()
    wrong = labels.copy()
    wrong[7] = (labels[7] + 1) % 3
    found = out_of_fold(features, wrong, 3, penalty=1e-3, ids=ids)
    assert found[7].argmax() == labels[7]


def test_no_image_of_a_group_is_learnt_from_when_another_is_judged():
    features, labels, ids = cloud()
    groups = np.array([f"group {i // 6}" for i in range(120)])
    part = assign_folds(labels, ids, folds=5, seed=0, groups=groups)
    assert all(len(set(part[groups == group])) == 1 for group in set(groups))
    found = out_of_fold(features, labels, 3, penalty=0.1, ids=ids, groups=groups)
    assert np.isfinite(found).all()


def test_it_agrees_with_another_library_fold_by_fold():
    features, labels, ids = cloud()
    part = assign_folds(labels, ids, folds=5, seed=0)
    found = out_of_fold(features, labels, 3, penalty=0.1, ids=ids)
    for fold in range(5):
        learnt, held_out = features[part != fold], features[part == fold]
        centre = learnt.mean(axis=0)
        scale = np.sqrt(((learnt - centre) ** 2).mean())
        # The peer's loss is a sum over images, ours a mean: C = 1 / (n × penalty).
        peer = LogisticRegression(C=1 / (len(learnt) * 0.1), tol=1e-8, max_iter=10_000)
        peer.fit((learnt - centre) / scale, labels[part != fold])
        expected = peer.predict_proba((held_out - centre) / scale)
        np.testing.assert_allclose(found[part == fold], expected, atol=5e-3)


def test_where_all_lies_in_one_group_nothing_can_be_said():
    features, labels, ids = cloud(12)
    found = out_of_fold(features, labels, 3, penalty=0.1, ids=ids, groups=np.array(["all"] * 12))
    assert np.isnan(found).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_rows_changes_nothing(seed):
    features, labels, ids = cloud()
    turn = np.random.default_rng(seed).permutation(120)
    found = out_of_fold(features, labels, 3, penalty=0.1, ids=ids)
    turned = out_of_fold(features[turn], labels[turn], 3, penalty=0.1, ids=[ids[i] for i in turn])
    np.testing.assert_allclose(turned, found[turn], atol=1e-3)
