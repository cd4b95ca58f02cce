import numpy as np
import pytest

from affinage.errors import DataError
from affinage.monitoring.baselines import compared_with
from affinage.monitoring.drift import OF_WINDOW, alarming, differences
from affinage.records.bundle import MEASURES, Baseline, BaselinePart
from affinage.records.seen import LOOKS, Seen


def seen(random, n, *, looks=0.0, features=0.0, sure=8.0, exclusive=True):
    return Seen(
        images=tuple(map(str, range(n))),
        looks=random.gamma(2, 1, (n, len(LOOKS))) + looks,
        features=(random.normal(size=(n, 20)) + features).astype(np.float32),
        probabilities=random.dirichlet([sure, 1, 1], n),
        exclusive=exclusive,
    )


def part(random, n, *, learnt=0.0):
    return BaselinePart(
        images=tuple(map(str, range(n))),
        measures=random.gamma(2, 1, (n, len(MEASURES))).astype(np.float32),
        features=(random.normal(size=(n, 20)) + learnt).astype(np.float16),
        outputs=random.dirichlet([8, 1, 1], n).astype(np.float32),
        targets=np.zeros(n, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def compared():
    random = np.random.default_rng(7)
    return compared_with(Baseline(train=part(random, 300), validation=part(random, 150)))


@pytest.mark.parametrize(
    ("shift", "kinds"),
    [
        ({"looks": 3.0}, {"look"}),
        ({"features": 1.0}, {"features"}),
        ({"sure": 1.0}, {"predictions", "confidence"}),
    ],
    ids=["looks", "features", "answers"],
)
def test_a_shift_is_found_where_it_is(compared, shift, kinds):
    window = seen(np.random.default_rng(1), 100, **shift)
    found = alarming(differences(compared, window, seed=0, shuffles=999), 0.01)
    assert {one.kind for one in found} == kinds


def test_the_same_window_gives_the_same_answer(compared):
    window = seen(np.random.default_rng(2), 60)
    one, other = (differences(compared, window, seed=4, shuffles=199) for _ in range(2))
    assert one == other


def test_what_is_slight_raises_no_alarm_however_sure(compared):
    window = seen(np.random.default_rng(3), 100)
    found = differences(compared, window, seed=0, shuffles=199)
    slight = [one for one in found if one.slight(OF_WINDOW)]
    assert slight
    assert not set(alarming(found, 1.0)) & set(slight)


def test_a_small_window_is_refused_with_the_least(compared):
    with pytest.raises(DataError, match=r"29 images is too small.*30"):
        differences(compared, seen(np.random.default_rng(0), 29), seed=0)


def test_labels_that_stand_together_are_compared_one_by_one():
    random = np.random.default_rng(5)
    baseline = Baseline(train=part(random, 100), validation=part(random, 150))
    compared = compared_with(baseline, exclusive=False)
    window = seen(random, 100, sure=1.0, exclusive=False)
    found = alarming(differences(compared, window, seed=0, shuffles=999), 0.01)
    assert "label 0" in {one.name for one in found}
    assert not {"classes", "confidence"} & {one.name for one in found}


def test_training_images_help_only_where_the_network_has_not_learnt_them():
    random = np.random.default_rng(6)
    frozen = compared_with(Baseline(train=part(random, 300), validation=part(random, 150)))
    tuned = compared_with(
        Baseline(train=part(random, 300, learnt=0.5), validation=part(random, 150))
    )
    assert (frozen.learnt, len(frozen.inputs)) == (True, 450)
    assert (tuned.learnt, len(tuned.inputs)) == (False, 150)
    assert len(frozen.answers) == len(tuned.answers) == 150
