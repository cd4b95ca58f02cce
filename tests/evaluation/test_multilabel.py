import numpy as np
import pytest

from affinage.errors import DataError
from affinage.evaluation.multilabel import choose_label_thresholds, evaluate_multilabel
from affinage.records.multilabel_evaluation import MultilabelEvaluation
from affinage.records.plain import from_plain, to_plain

CLASSES = ("car", "dog", "tree")


def sample(n=80, seed=0):
    random = np.random.default_rng(seed)
    truth = random.random((n, 3)) < [0.15, 0.5, 0.8]
    return np.clip(truth * 0.3 + random.random((n, 3)) * 0.7, 0, 1), truth.astype(np.float32)


def evaluate(probabilities, labels, **other):
    n = len(labels)
    facts = {
        "part": "test",
        "images": [f"i{number:03d}" for number in range(n)],
        "paths": [f"{number}.png" for number in range(n)],
        "classes": CLASSES,
        "train_labels": sample(seed=1)[1],
    } | other
    return evaluate_multilabel(probabilities=probabilities, labels=labels, **facts)


def test_it_survives_its_file():
    found = evaluate(*sample())
    assert from_plain(MultilabelEvaluation, to_plain(found)) == found


def test_each_label_has_its_own_scores():
    scores, truth = sample()
    found = evaluate(scores, truth, thresholds=(0.4, 0.5, 0.6))
    for c, name in enumerate(CLASSES):
        own = found.per_class[name]
        given, having = scores[:, c] >= (0.4, 0.5, 0.6)[c], truth[:, c] > 0
        assert own.precision.value == pytest.approx((given & having).sum() / given.sum())
        assert own.recall.value == pytest.approx((given & having).sum() / having.sum())
        assert own.precision.n == given.sum()
        assert own.prevalence.value == pytest.approx(having.mean())
        everywhere = 2 * having.mean() / (1 + having.mean())
        assert own.always_f1 == pytest.approx(everywhere)


def test_baselines_look_at_no_image():
    known = np.array([[0, 1, 1], [0, 1, 1], [0, 0, 0], [1, 0, 1], [1, 0, 0]])
    scores, truth = sample()
    found = evaluate(scores, truth, train_labels=known)
    assert found.baselines["prevalence"].predicts == ("tree",)
    assert found.baselines["commonest_set"].predicts == ("dog", "tree")
    rival = found.baselines["commonest_set"]
    always = np.tile([0, 1, 1], (len(truth), 1))
    assert rival.exact_match.value == pytest.approx((always == truth).all(axis=1).mean())
    assert rival.hamming_loss.value == pytest.approx((always != truth).mean())
    gain = found.gains["commonest_set"]
    assert gain.hamming_loss.value == pytest.approx(
        rival.hamming_loss.value - found.hamming_loss.value
    )
    assert gain.macro_f1.value == pytest.approx(found.macro_f1.value - rival.macro_f1.value)
    assert evaluate(scores, truth, train_labels=np.zeros((0, 3))).baselines == {}


def test_the_surest_mistakes_come_first():
    found = evaluate(
        np.array([[0.9, 0.1, 0.2], [0.6, 0.1, 0.9], [0.1, 0.1, 0.1]]),
        np.array([[0, 0, 0], [0, 1, 1], [0, 0, 0]]),
    )
    first, second = found.mistakes
    assert (first.path, first.wrong, first.missed) == ("0.png", ("car",), ())
    assert (second.path, second.wrong, second.missed) == ("1.png", ("car",), ("dog",))
    assert first.confidence == pytest.approx(0.1)


def test_a_threshold_is_the_best_of_all_on_its_images():
    scores, truth = sample()
    for c, cut in enumerate(choose_label_thresholds(scores, truth)):
        having = truth[:, c] > 0

        def f1(at, c=c, having=having):
            given = scores[:, c] >= at
            return 2 * (given & having).sum() / (given.sum() + having.sum())

        assert f1(cut) == pytest.approx(max(f1(at) for at in np.unique(scores[:, c])))


def test_a_perfect_ranking_is_cut_in_its_gap_and_a_rare_label_at_a_half():
    scores = np.r_[np.full(10, 0.2), np.full(10, 0.9)][:, None]
    assert choose_label_thresholds(scores, scores > 0.5) == (0.55,)
    rare = np.arange(20)[:, None] >= 16
    assert choose_label_thresholds(scores, rare) == (0.5,)


def test_thresholds_lift_the_f1_of_new_images_where_a_model_is_too_modest():
    known, new = sample(400, seed=4), sample(400, seed=5)
    cuts = choose_label_thresholds(known[0] * 0.5, known[1])
    plain = evaluate(new[0] * 0.5, new[1])
    better = evaluate(new[0] * 0.5, new[1], thresholds=cuts)
    assert better.macro_f1.low > plain.macro_f1.high


@pytest.mark.parametrize(
    "wrong", [{"images": ["a"]}, {"classes": ("a",)}], ids=["images", "classes"]
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(DataError):
        evaluate(*sample(), **wrong)


def test_a_part_without_images_is_refused():
    with pytest.raises(DataError, match="'test' has no image"):
        evaluate(np.zeros((0, 3)), np.zeros((0, 3)))
