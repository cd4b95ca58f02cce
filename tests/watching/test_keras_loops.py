"""Keras trainings that a script steps through by itself, and data that Keras parts and orders by itself."""

import pytest
from sklearn.datasets import load_digits

import affinage
from affinage.watching.script import run_script

keras = pytest.importorskip("keras", reason="Keras 3 is an extra of the doctor")
pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "torch", reason="torch's backend is watched here"
    ),
    # Keras' own, with PyTorch and NumPy 2, wherever it hands out an array.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

DATA = """
import keras, numpy as np, torch
from keras import layers
from sklearn.datasets import load_digits
keras.utils.set_random_seed(0)
digits = load_digits()
x, y = (digits.images / 16).astype("float32")[..., None], digits.target
model = keras.Sequential([layers.Input((8, 8, 1)), layers.Flatten(),
    layers.Dense(32, activation="relu", name="hidden"), layers.Dense(10, activation="softmax", name="out")])
"""
BY_BATCH = """
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=LOGITS)
model.compile("adam", loss=loss_of, metrics=["accuracy"])
for epoch in range(4):
    for start in range(0, 960, 32):
        model.train_on_batch(x[start : start + 32], y[start : start + 32])
    model.evaluate(x[960:1280], y[960:1280], verbose=0)
"""
BY_HAND = """
optimizer, loss_of = keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy()
for start in range(0, 960, 32):
    loss = loss_of(y[start : start + 32], model(x[start : start + 32], training=True))
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        optimizer.apply([v.value.grad for v in model.trainable_weights], model.trainable_weights)
"""
SUBCLASS = """
class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.last, self.first = layers.Dense(10, activation="softmax"), layers.Dense(32)
        self.flat, self.drop = layers.Flatten(), layers.Dropout(0.3)
    def call(self, images, training=False):
        hidden = keras.ops.relu(self.first(self.flat(images)))
        return self.last(self.drop(hidden, training=training))
model = Own()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:960], y[:960], epochs=2, validation_data=(x[960:1280], y[960:1280]), verbose=0)
"""
FIT = """
model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
order = np.argsort(y, kind="stable")
model.fit(x[order], y[order], epochs=2, validation_split=0.2, shuffle=SHUFFLE, verbose=0)
"""


@pytest.fixture
def seen(tmp_path):
    def run(text):
        path = tmp_path / "train.py"
        path.write_text(DATA + text)
        watched, end = run_script(path, [], seconds=60)
        assert end.ended == "finished", end.error
        return watched.signals

    return run


def loud(signals):
    return {f.code for f in affinage.doctor(signals).findings if f.severity != "note"}


def test_a_loop_of_batches_is_watched_as_a_fit_is(seen):
    signals = seen(BY_BATCH.replace("LOGITS", "False"))
    assert (signals.steps, signals.epochs, signals.task) == (120, 4.0, "classify")
    assert signals.images == {"train": 3840, "validation": 320}
    assert len(signals.curve("loss", "validation")) == 4
    first, *rest = [v for v in signals.series_of("loss").values if v is not None]
    assert 1.5 < first < 4.0
    assert max(rest) < 4.0  # Each is a step's own, though Keras tells means that begin anew.
    assert loud(signals) == set()


def test_a_fault_in_a_loop_of_batches_is_named(seen):
    assert loud(seen(BY_BATCH.replace("LOGITS", "True"))) == {"loss-activation-mismatch"}


def test_steps_by_hand_raise_no_alarm_for_what_keras_hides(seen):
    signals = seen(BY_HAND)
    assert signals.steps == 30
    assert signals.objectives is None
    assert "Keras" in signals.why_missing("objectives")
    assert loud(signals) == set()


def test_sorted_arrays_lose_classes_to_a_validation_split(seen):
    signals = seen(FIT.replace("SHUFFLE", "True"))
    assert signals.images == {"train": 1437, "validation": 360}
    assert "class-not-in-training" in loud(signals)
    assert "unshuffled-training" not in loud(signals)


def test_sorted_arrays_that_are_not_shuffled_are_named(seen):
    assert "unshuffled-training" in loud(seen(FIT.replace("SHUFFLE", "False")))


def test_all_methods_are_given_back(seen):
    names = ("fit", "train_on_batch", "evaluate", "predict", "reset_metrics")
    before = [getattr(keras.Model, name) for name in names]
    seen(BY_BATCH.replace("LOGITS", "False"))
    assert [getattr(keras.Model, name) for name in names] == before


def fitted(hidden, **settings):
    digits = load_digits()
    x, y = (digits.images / 16).astype("float32")[:640, ..., None], digits.target[:640]
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), *hidden]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    watch = affinage.keras_callback(x=x * settings.get("scale", 1), y=y)
    model.fit(x * settings.get("scale", 1), y, epochs=4, callbacks=[watch], verbose=0)
    return {v.code: v for v in affinage.doctor(watch.signals).verdicts}


@pytest.mark.parametrize(
    ("hidden", "code"),
    [
        ({"kernel_initializer": "zeros", "activation": "relu"}, "weights-begin-equal"),
        ({}, "no-activation-between-layers"),
        (
            {"bias_initializer": keras.initializers.Constant(-50.0), "activation": "relu"},
            "dead-units",
        ),
    ],
)
def test_faults_of_keras_layers_are_named(hidden, code):
    assert fitted([keras.layers.Dense(32, **hidden)])[code].answer == "finding"
    assert fitted([keras.layers.Dense(32, activation="relu")])[code].answer == "fine"


def test_a_rescaling_layer_makes_pixels_fine():
    dense = keras.layers.Dense(32, activation="relu")
    assert fitted([dense], scale=255)["inputs-not-scaled"].answer == "finding"
    rescaled = [keras.layers.Rescaling(1 / 255), keras.layers.Dense(32, activation="relu")]
    assert fitted(rescaled, scale=255)["inputs-not-scaled"].answer == "fine"


def test_a_model_with_a_call_of_its_own_is_watched_and_not_misread(seen):
    signals = seen(SUBCLASS)
    assert (signals.ended, signals.steps) == ("finished", 60)
    assert loud(signals) == set()
