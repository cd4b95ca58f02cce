"""Keras 3 under observation, where it is installed."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from affinage.watching.keras import fits_watched, keras_callback

keras = pytest.importorskip("keras", reason="Keras 3 is an extra of the doctor")


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
    assert "gradient_norm" in signals.missing


@pytest.mark.parametrize(
    ("activation", "expected"), [("relu", ("nll_loss", "relu")), (None, ("nll_loss", "none"))]
)
def test_outputs_that_are_no_probabilities_are_named(data, activation, expected):
    x, y, _ = data
    with fits_watched("script", quiet=pytest.MonkeyPatch.context) as fits:
        network(activation).fit(x, y, 32, 1, 0)
    (signals,) = fits
    assert (signals.objectives[0].name, signals.objectives[0].activation) == expected
