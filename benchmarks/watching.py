"""What watching costs: processor time of a step watched and unwatched, interleaved, first looks included.

Usage: python benchmarks/watching.py [--rounds N] [--steps N] [--network three_conv|lite0|keras]

`keras` is three convolutions on images of 32 × 32 in one `fit` of so many steps, with the callback and
without, what it looks at after the training included; Keras computes with what KERAS_BACKEND names.
"""

import argparse
import statistics
import time
from typing import Any

import timm
import torch
from torch import nn

from affinage.watching.watch import watch


def _three_conv() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(1024, 1000), nn.ReLU(), nn.Linear(1000, 10)
    )


NETWORKS = {
    "three_conv": (_three_conv, (128, 3, 32, 32)),
    "lite0": (
        lambda: timm.create_model("tf_efficientnet_lite0", num_classes=10),
        (16, 3, 96, 96),
    ),
}


def _steps(
    net: nn.Module, optimizer: torch.optim.Optimizer, shape: tuple[int, ...], n: int
) -> float:
    images, labels = torch.randn(shape), torch.randint(10, shape[:1])
    begun = time.process_time()
    for _ in range(n):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return (time.process_time() - begun) / n


def _fit(steps: int, *, watched: bool) -> float:
    """Return seconds of processor time of a step of Keras; the graph is built before."""
    import keras
    import numpy as np

    from affinage.watching.keras import keras_callback

    generator = np.random.default_rng(0)
    images = generator.normal(size=(128 * steps, 32, 32, 3)).astype(np.float32)
    labels = generator.integers(10, size=len(images))
    layers: list[Any] = [keras.layers.Input((32, 32, 3))]
    for width in (32, 64, 64):
        layers += [
            keras.layers.Conv2D(width, 5, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(1000, activation="relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:256], labels[:256], batch_size=128, verbose=0)
    callbacks = [keras_callback(x=images, y=labels)] if watched else []
    begun = time.process_time()
    model.fit(images, labels, batch_size=128, verbose=0, callbacks=callbacks)
    return (time.process_time() - begun) / steps


def _one_keras(rounds: int, steps: int) -> None:
    """Print the same of Keras."""
    pairs = [(_fit(steps, watched=False), _fit(steps, watched=True)) for _ in range(rounds)]
    ratios = [watched / plain for plain, watched in pairs]
    print(
        f"keras: plain {1e3 * statistics.median(p for p, _ in pairs):.1f} ms, watched "
        f"{1e3 * statistics.median(w for _, w in pairs):.1f} ms of processor time a step; ratio "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, n = {rounds} "
        f"rounds of {steps} steps)"
    )


def main() -> None:
    """Print milliseconds of a step both ways, and the median of the paired ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--network", choices=[*NETWORKS, "keras"], default="three_conv")
    arguments = parser.parse_args()
    if arguments.network == "keras":
        _one_keras(arguments.rounds, arguments.steps)
        return
    torch.set_num_threads(1)
    (make, shape), n = NETWORKS[arguments.network], arguments.steps
    plain, watched, shares = [], [], []
    for _ in range(arguments.rounds):
        net = make()
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
        _steps(net, optimizer, shape, 2)
        plain.append(_steps(net, optimizer, shape, n))
        with watch(net, optimizer=optimizer) as seen:
            watched.append(_steps(net, optimizer, shape, n))
            shares.append(seen.share)
    ratios = [w / p for w, p in zip(watched, plain, strict=True)]
    print(
        f"{arguments.network}: plain {1e3 * statistics.median(plain):.1f} ms, watched "
        f"{1e3 * statistics.median(watched):.1f} ms of processor time a step; ratio "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, "
        f"n = {len(ratios)} rounds of {n} steps); by its own account "
        f"{statistics.median(shares):.3f} of the time"
    )


if __name__ == "__main__":
    main()
