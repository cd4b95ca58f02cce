"""Keras 3 under observation, where it is installed."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from affinage.watching.keras import fits_watched, keras_callback
from affinage.watching.keras_gradients import GradientProbe, gradient_norms

keras = pytest.importorskip("keras", reason="Keras 3 is an extra of the doctor")

# Keras' own, with PyTorch and NumPy 2, wherever it hands out an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def data():
    digits = load_digits()
    images = (digits.images / 16).astype("float32")[..., None]
    return images[:320], digits.target[:320], (images[320:480], digits.target[320:480])


def network(activation, *, loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="norm", trainable=False),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation=activation, name="out"),
        ]
    )
    model.compile("adam", loss=loss, metrics=["accuracy"])
    return model


def test_a_fit_is_described_truly(data):
    x, y, validation = data
    callback = keras_callback(x=x, y=y, validation_data=validation)
    network("softmax").fit(
        x, y, epochs=2, batch_size=32, validation_data=validation, callbacks=[callback], verbose=0
    )
    signals = callback.signals
    assert (signals.steps, signals.epochs, signals.task) == (20, 2.0, "classify")
    (loss,) = signals.objectives
    assert (loss.name, loss.activation, loss.outputs) == ("cross_entropy", "none", 10)
    (norm,) = signals.batchnorms
    assert norm.steps_by_batch == 0  # Frozen BatchNorm uses its moving statistics in Keras.
    assert signals.targets[0].by_class == tuple(np.bincount(y))
    assert len(signals.curve("accuracy", "validation")) == 2
    assert signals.by_layer("update_ratio")["conv"].steps == (1, 2, 3, 5, 9, 17)
    assert "gradient_norm" not in signals.missing
    assert {s.layer for s in signals.series if s.name == "gradient_norm"} >= {"", "conv", "out"}


def test_gradients_of_a_probe_are_those_of_the_loss_and_change_nothing(data):
    x, y, _ = data
    model = network("softmax")
    model.fit(x, y, epochs=1, verbose=0)
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]
    found = gradient_norms(model, x[:8], y[:8])
    assert set(found) == {"conv", "out"}  # BatchNorm is frozen.
    after = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))

    out, step = model.get_layer("out"), 1e-3
    kernel, bias = (keras.ops.convert_to_numpy(weight).copy() for weight in out.weights)
    squared = 0.0
    for place in range(len(bias)):  # The gradient of the biases, by differences.
        losses = []
        for sign in (1, -1):
            moved = bias.copy()
            moved[place] += sign * step
            out.set_weights([kernel, moved])
            shares = model.predict(x[:8], verbose=0).astype(float)
            losses.append(-np.log(shares[np.arange(8), y[:8]]).mean())
        squared += ((losses[0] - losses[1]) / (2 * step)) ** 2
    out.set_weights([kernel, bias])
    inner = keras.Model(model.inputs, out.input).predict(x[:8], verbose=0)
    rest = model.predict(x[:8], verbose=0).astype(float)
    rest[np.arange(8), y[:8]] -= 1
    of_kernel = inner.T.astype(float) @ rest / 8
    assert found["out"] == pytest.approx(np.sqrt(squared + (of_kernel**2).sum()), rel=1e-3)


def test_probes_stay_within_their_share(data, monkeypatch):
    x, y, _ = data
    model, clock = network("softmax"), [0.0]
    monkeypatch.setattr("affinage.watching.keras_gradients.time.perf_counter", lambda: clock[0])
    asked = []

    def norms(*_):
        clock[0] += 1.0
        asked.append(clock[0])
        return {"out": 1.0}

    monkeypatch.setattr("affinage.watching.keras_gradients.gradient_norms", norms)
    probe = GradientProbe(x[:8], y[:8], _begun=0.0)
    for _ in range(1000):
        probe.look(model)
        clock[0] += 1.0
    assert 2 <= len(asked) <= 1 + 0.02 * clock[0]


def test_without_arrays_gradients_are_said_to_be_missing(data):
    x, y, _ = data
    callback = keras_callback()
    batches = ((x[k : k + 32], y[k : k + 32]) for k in [*range(0, 320, 32), 0, 0, 0, 0])
    network("softmax").fit(
        batches, steps_per_epoch=10, shuffle=False, callbacks=[callback], verbose=0
    )
    assert "no arrays" in callback.signals.missing["gradient_norm"]


@pytest.mark.parametrize(
    ("activation", "expected"), [("relu", ("nll_loss", "relu")), (None, ("nll_loss", "none"))]
)
def test_outputs_that_are_no_probabilities_are_named(data, activation, expected):
    x, y, _ = data
    with fits_watched("script", quiet=pytest.MonkeyPatch.context) as fits:
        network(activation).fit(x, y, 32, 1, 0)
    (signals,) = fits
    assert (signals.objectives[0].name, signals.objectives[0].activation) == expected
