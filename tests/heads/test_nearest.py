import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from affinage.errors import DataError
from affinage.heads import nearest
from affinage.heads.nearest import nearest_neighbour


@pytest.mark.parametrize("chunk", [1, 64, 10**6])
def test_it_agrees_with_scikit_learn(chunk, monkeypatch):
    monkeypatch.setattr(nearest, "CHUNK", chunk)
    random = np.random.default_rng(0)
    known, labels, asked = (
        random.normal(size=(50, 8)),
        random.integers(0, 4, 50),
        random.normal(size=(30, 8)),
    )
    reference = KNeighborsClassifier(1, metric="cosine").fit(known, labels)
    assert nearest_neighbour(known, labels, asked).tolist() == reference.predict(asked).tolist()


def test_length_does_not_matter_and_the_first_of_equals_wins():
    known = [[0.0, 1e-30], [1e30, 0.0], [5.0, 0.0]]
    assert nearest_neighbour(known, [7, 8, 9], [[0.001, 0.0], [0.0, 1e30]]).tolist() == [8, 7]


def test_a_row_of_zeros_is_answered_too():
    assert nearest_neighbour([[1.0, 0.0]], [3], np.zeros((2, 2))).tolist() == [3, 3]


def test_nobody_asked_nothing_answered():
    assert nearest_neighbour([[1.0]], [0], np.zeros((0, 1))).tolist() == []


@pytest.mark.parametrize(
    ("known", "labels", "asked"),
    [
        (np.zeros((0, 2)), [], np.zeros((1, 2))),
        (np.zeros((2, 2)), [0], np.zeros((1, 2))),
        (np.zeros((2, 2)), [0, 1], np.zeros((1, 3))),
        (np.zeros(2), [0, 1], np.zeros((1, 2))),
    ],
)
def test_what_does_not_fit_is_refused(known, labels, asked):
    with pytest.raises(DataError):
        nearest_neighbour(known, labels, asked)
