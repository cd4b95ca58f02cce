"""KerasTuner's search for a head on given features, run in its own environment.

`python peers_keras_tuner.py HOW FOLDER SECONDS SEED`: prints, as the last line, its course, and what
the best head scores on the images of part 2, which chose nothing.
"""

import contextlib
import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

EPOCHS, BATCH = 30, 32
"""As KerasTuner's guides have them: early stopping ends a trial that gains nothing for five epochs."""


def main(how, folder, seconds, seed):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    found = np.load(f"{folder}/bench.npz")
    features, labels, parts = (found[name] for name in ("features", "labels", "parts"))
    learnt, held = parts == 0, parts == 1
    mean, std = features[learnt].mean(0), features[learnt].std(0) + 1e-6
    features = ((features - mean) / std).astype(np.float32)
    classes = int(labels.max()) + 1
    start, course, kept = time.process_time(), [], []

    class Clock(keras.callbacks.Callback):
        """Notes the best score so far, and ends the search in time."""

        def on_epoch_end(self, epoch, logs=None):
            if not course or logs["val_accuracy"] > course[-1]["best"]:
                kept[:] = [weight.numpy() for weight in self.model.weights]
            best = max([logs["val_accuracy"], *(one["best"] for one in course[-1:])])
            course.append({"seconds": time.process_time() - start, "best": float(best)})
            if course[-1]["seconds"] > seconds:
                raise KeyboardInterrupt

    def build(hp):
        penalty = hp.Float("penalty", 1e-4, 10.0, sampling="log")
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        # Ours is the mean loss plus half the penalty times the squared norm.
        dense = keras.layers.Dense(
            classes, activation="softmax", kernel_regularizer=keras.regularizers.L2(penalty / 2)
        )
        model = keras.Sequential([keras.Input((features.shape[1],)), dense])
        model.compile(
            keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return model

    given = {
        "objective": "val_accuracy", "seed": seed, "directory": folder, "project_name": how,
        "overwrite": True,
    }  # fmt: skip
    tuner = (
        keras_tuner.BayesianOptimization(build, max_trials=1000, **given)
        if how == "bayesian"
        else keras_tuner.Hyperband(build, max_epochs=EPOCHS, hyperband_iterations=100, **given)
    )
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=5)
    with contextlib.suppress(KeyboardInterrupt):
        tuner.search(
            features[learnt], labels[learnt], epochs=EPOCHS, batch_size=BATCH, verbose=0,
            validation_data=(features[held], labels[held]), callbacks=[Clock(), stop],
        )  # fmt: skip
    fresh = parts == 2
    answers = (features[fresh] @ kept[0] + kept[1]).argmax(1)
    print()
    print(json.dumps({"course": course, "fresh": float((answers == labels[fresh]).mean())}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
