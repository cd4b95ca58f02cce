"""What `fit` was given is seen, be it arrays, loaders or generators."""

import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from affinage.diagnosis.diagnose import diagnose
from affinage.watching import keras_given
from affinage.watching.keras import fits_watched, keras_callback
from affinage.watching.keras_given import Tapped, is_loader, read

keras = pytest.importorskip("keras", reason="Keras 3 is an extra of the doctor")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return (data.images / 16).astype("float32")[:320, ..., None], data.target[:320]


class InBatches(keras.utils.PyDataset):
    def __init__(self, x, y, **settings):
        super().__init__(**settings)
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 32

    def __getitem__(self, index):
        rows = slice(32 * index, 32 * index + 32)
        return self.x[rows], self.y[rows]


def loader(x, y, *, shuffle=False):
    return DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), 32, shuffle=shuffle)


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss=loss, metrics=["accuracy"])
    return model


def fitted(*given, **settings):
    watch = keras_callback()
    if not hasattr(given[0], "shape"):
        settings["shuffle"] = False  # Keras warns that it shuffles no loader.
    network().fit(*given, callbacks=[watch], verbose=0, **settings)
    return watch.signals


def answers(signals):
    return {verdict.code: verdict.answer for verdict in diagnose(signals)}


def test_arrays_are_seen_without_being_named(digits):
    x, y = digits
    signals = fitted(x, y, epochs=1, validation_split=0.25)
    assert signals.images == {"train": 240, "validation": 80}
    assert signals.targets[0].by_class == tuple(np.bincount(y[:240]))
    assert next(f for f in signals.feeding if f.part == "train").shuffled is True
    assert answers(signals)["split-leak"] == "fine"


def test_what_is_named_goes_before_what_fit_was_given(digits):
    x, y = digits
    watch = keras_callback(x=x[:64], y=y[:64])
    network().fit(x, y, callbacks=[watch], verbose=0)
    assert watch.signals.images == {"train": 64}


@pytest.mark.parametrize("make", [loader, InBatches])
def test_a_loader_of_sorted_images_is_told_from_a_mixed_one(make, digits):
    x, y = digits
    order = y.argsort(kind="stable")
    assert answers(fitted(make(x[order], y[order]), epochs=1))["unshuffled-training"] == "finding"
    mixed = answers(fitted(make(x, y), epochs=1))
    assert mixed["unshuffled-training"] == "fine"
    assert mixed["label-encoding-mismatch"] == "fine"


@pytest.mark.parametrize("make", [loader, InBatches])
def test_a_validation_loader_that_is_the_training_one_is_found(make, digits):
    train, other = (
        make(*(part[rows] for part in digits)) for rows in (slice(256), slice(192, 320))
    )
    signals = fitted(train, epochs=1, validation_data=make(*(part[:256] for part in digits)))
    assert answers(signals)["validation-is-training"] == "finding"
    assert answers(fitted(train, validation_data=other))["split-leak"] == "finding"


def test_a_fixed_order_is_told_from_a_new_one_each_epoch(digits):
    fixed, mixed = (fitted(loader(*digits, shuffle=shuffle)) for shuffle in (False, True))
    assert [f.same_order for each in (fixed, mixed) for f in each.feeding] == [True, False]


def test_batches_of_a_generator_are_kept_as_they_pass(digits):
    x, y = digits
    order = y.argsort(kind="stable")
    x, y = x[order], y[order]
    given = []

    def batches():
        while True:
            for k in range(0, 320, 32):
                given.append(k)
                yield x[k : k + 32], y[k : k + 32]

    with fits_watched("a", lambda: __import__("contextlib").nullcontext()) as seen:
        network().fit(batches(), steps_per_epoch=10, shuffle=False, verbose=0)
    assert answers(seen[0])["unshuffled-training"] == "finding"
    assert given[:10] == list(range(0, 320, 32))


def test_part_of_a_loader_tells_no_counts_of_classes(digits, monkeypatch):
    monkeypatch.setattr(keras_given, "_MOST_ROWS", 64)
    signals = fitted(loader(*digits), validation_data=loader(*digits))
    assert [facts.by_class for facts in signals.targets] == [None, None]
    assert signals.overlaps is None
    assert signals.images is None
    assert answers(signals)["class-not-in-training"] == "unchecked"


def test_reading_gives_random_states_back(digits):
    source = loader(*digits, shuffle=True)
    keras.utils.set_random_seed(3)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert len(read(source).images) == 320
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == states


def test_only_what_can_be_asked_again_is_a_loader(digits):
    x, y = digits
    assert is_loader(loader(x, y))
    assert is_loader(InBatches(x, y))
    for other in (None, x, [x, y], (x, y), iter([x]), {"a": x}):
        assert not is_loader(other)


def test_a_tap_passes_everything_on():
    batches = [(np.zeros((4, 2)), np.zeros(4)), "no batch", (np.ones((4, 2)), np.ones(4))]
    tapped = Tapped(iter(batches))
    assert [got is wanted for got, wanted in zip(tapped.flow(), batches, strict=True)] == [True] * 3
    assert tapped.read().targets.tolist() == [0] * 4 + [1] * 4
    assert tapped.ended


def test_batches_that_are_no_pairs_are_not_read():
    assert read([(np.zeros((4, 2)),)]) is None
