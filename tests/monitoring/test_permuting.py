import numpy as np
import pytest

from affinage.monitoring.permuting import judge, memberships


def mean_gap(values):
    def statistic(members):
        inside = (values @ members) / members[:, 0].sum()
        outside = (values.sum() - values @ members) / (len(values) - members[:, 0].sum())
        return np.abs(inside - outside)

    return statistic


def test_shuffles_keep_the_size_of_the_window():
    members = memberships(30, 10, seed=1, shuffles=50)
    assert members.shape == (40, 51)
    assert (members.sum(axis=0) == 10).all()
    assert members[30:, 0].all()
    assert not np.array_equal(members[:, 1], members[:, 2])


def test_the_same_seed_shuffles_alike():
    one, other = (memberships(20, 5, seed=3, shuffles=9) for _ in range(2))
    assert np.array_equal(one, other)


def test_p_is_never_zero_and_one_where_nothing_differs():
    members = memberships(50, 20, seed=0, shuffles=99)
    far = np.r_[np.zeros(50), np.ones(20)]
    assert judge({"far": mean_gap(far)}, members)["far"].p == pytest.approx(0.01)
    assert judge({"same": mean_gap(np.ones(70))}, members)["same"].p == 1


def test_no_statistics_give_no_judgement():
    assert judge({}, memberships(5, 5, seed=0, shuffles=9)) == {}


def test_one_family_raises_false_alarms_at_its_rate_however_many_statistics():
    random = np.random.default_rng(0)
    trials, hits = 400, 0
    for trial in range(trials):
        columns = random.normal(size=(12, 60))
        columns[6:] = columns[0]  # Copies: what is dependent must not cost or gain anything.
        statistics = {str(k): mean_gap(column) for k, column in enumerate(columns)}
        found = judge(statistics, memberships(40, 20, seed=trial, shuffles=99))
        hits += min(one.p for one in found.values()) <= 0.1
    assert 22 <= hits <= 60  # 40 are expected; three standard deviations.
