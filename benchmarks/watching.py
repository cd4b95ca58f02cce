"""What watching costs: processor time of a step watched and unwatched, and of the looks before and after.

Usage: python -m benchmarks.watching [--network three_conv|lite0|keras] [--blocks N] [--steps N] [--as-is]

Two processes train the same network, one of them watched, and take turns of so many steps: what else runs
on the machine meets both alike. glibc's allocator keeps memory from step to step in both, unless --as-is:
how often it hands pages back depends on the order of a few allocations, and moved a step by 13 % to either
side, whichever was watched (docs/log.md). `keras` is three convolutions on images of 32 × 32 in one `fit`,
with the callback and without; Keras computes with what KERAS_BACKEND names.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

_RESAMPLES = 2000
_HELD = {"MALLOC_TRIM_THRESHOLD_": str(1 << 32), "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
         "MALLOC_MMAP_MAX_": "0", "MALLOC_TOP_PAD_": str(1 << 26)}  # fmt: skip
"""Of glibc: processes started with these keep their memory."""
_WARM = 3
"""Steps before the first turn: what is built once is no step."""


def _three_conv() -> tuple[Any, tuple[int, ...]]:
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    head = (nn.Flatten(), nn.Linear(1024, 1000), nn.ReLU(), nn.Linear(1000, 10))
    return nn.Sequential(*layers, *head), (128, 3, 32, 32)


def _lite0() -> tuple[Any, tuple[int, ...]]:
    import timm

    return timm.create_model("tf_efficientnet_lite0", num_classes=10), (16, 3, 96, 96)


_NETWORKS: dict[str, Callable[[], tuple[Any, tuple[int, ...]]]] = {
    "three_conv": _three_conv,
    "lite0": _lite0,
}


class Turns:
    """One process' side: it waits for its turn, and tells what the turn took.

    Args:
        wire: To who gives the turns.
    """

    def __init__(self, wire: Connection) -> None:
        self._wire = wire
        self.looks: dict[str, float] = {}
        self._begun = 0.0

    def wait(self) -> None:
        """Wait for the next turn."""
        self._wire.recv()
        self._begun = time.process_time()

    def done(self) -> None:
        """Tell the processor time of the turn."""
        self._wire.send(time.process_time() - self._begun)

    @contextmanager
    def look(self, name: str) -> Iterator[None]:
        """Time a look that is no step."""
        begun = time.process_time()
        yield
        self.looks[name] = time.process_time() - begun

    def end(self) -> None:
        """Tell the times of the looks."""
        self._wire.send(self.looks)


def _torch_side(wire: Connection, network: str, blocks: int, steps: int, watched: bool) -> None:  # noqa: FBT001
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from affinage.watching.watch import watch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, shape = _NETWORKS[network]()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    rows = 4 * shape[0]
    data = TensorDataset(torch.randn(rows, *shape[1:]), torch.randint(10, (rows,)))
    train, validation = (DataLoader(data, shape[0], shuffle=mixed) for mixed in (True, False))

    def take(count: int) -> None:
        while count > 0:
            for images, labels in train:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(images), labels).backward()
                optimizer.step()
                if not (count := count - 1):
                    return

    take(_WARM)
    turns = Turns(wire)
    watching = watch(net, optimizer=optimizer, train_loader=train, val_loader=validation)
    if watched:
        with turns.look("before the first step"):
            watching.__enter__()
    for _ in range(blocks):
        turns.wait()
        take(steps)
        turns.done()
    if watched:
        with turns.look("after the last step"):
            watching.__exit__(None, None, None)
    turns.end()


def _keras_side(wire: Connection, _: str, blocks: int, steps: int, watched: bool) -> None:  # noqa: FBT001
    import keras

    from affinage.watching.keras import keras_callback

    turns, (images, labels) = Turns(wire), _keras_data(steps)
    model = _keras_model(keras)
    model.fit(images[: 128 * _WARM], labels[: 128 * _WARM], batch_size=128, verbose=0)
    watch = keras_callback()

    class Taking(keras.callbacks.Callback):  # type: ignore[misc]
        """Takes turns of an epoch each; it hears of no batch, as that alone costs Keras time."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            turns.wait()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            turns.done()

    if watched:
        _time_looks(watch, turns)
    callbacks = [watch, Taking()] if watched else [Taking()]
    model.fit(images, labels, batch_size=128, epochs=blocks, verbose=0, callbacks=callbacks)
    turns.end()


def _time_looks(watch: Any, turns: Turns) -> None:
    before, after = watch.on_train_begin, watch.on_train_end

    def timed_before(logs: Any = None) -> None:
        with turns.look("before the first step"):
            before(logs)

    def timed_after(logs: Any = None) -> None:
        with turns.look("after the last step"):
            after(logs)

    watch.on_train_begin, watch.on_train_end = timed_before, timed_after


def _keras_data(steps: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(128 * steps, 32, 32, 3)).astype(np.float32)
    return images, generator.integers(10, size=len(images))


def _keras_model(keras: Any) -> Any:
    layers: list[Any] = [keras.layers.Input((32, 32, 3))]
    for width in (32, 64, 64):
        layers += [
            keras.layers.Conv2D(width, 5, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(1000, activation="relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _measured(
    network: str, blocks: int, steps: int, sides: tuple[bool, bool]
) -> tuple[list[list[float]], dict[str, float]]:
    """Return the seconds of each turn, plain and watched, and those of the looks."""
    context = multiprocessing.get_context("spawn")
    side = _keras_side if network == "keras" else _torch_side
    wires, processes = [], []
    for watched in sides:
        own, other = context.Pipe()
        process = context.Process(target=side, args=(other, network, blocks, steps, watched))
        process.start()
        wires.append(own)
        processes.append(process)
    taken: list[list[float]] = [[], []]
    for block in range(blocks):
        for which in (0, 1) if block % 2 else (1, 0):
            wires[which].send(None)
            taken[which].append(wires[which].recv())
    looks = [wire.recv() for wire in wires]
    for process in processes:
        process.join()
    return taken, looks[1]


def _interval(ratio: Callable[[Any], float], n: int) -> str:
    generator = np.random.default_rng(0)
    found = [ratio(generator.integers(n, size=n)) for _ in range(_RESAMPLES)]
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{ratio(np.arange(n)):.4f} ({low:.4f} to {high:.4f})"


def main() -> None:
    """Print both ratios with their intervals by bootstrap over turns, and the seconds of the looks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=[*_NETWORKS, "keras"], default="three_conv")
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument(
        "--control",
        action="store_true",
        help="watch neither: how far two processes differ by themselves",
    )
    parser.add_argument(
        "--as-is", action="store_true", help="leave the allocator as the system has it"
    )
    arguments = parser.parse_args()
    if not arguments.as_is:
        os.environ.update(_HELD)
    sides = (False, not arguments.control)
    taken, looks = _measured(arguments.network, arguments.blocks, arguments.steps, sides)
    plain, watched = (np.array(each) for each in taken)
    n = len(plain)
    print(
        f"{arguments.network}: {n} turns of {arguments.steps} steps each; "
        f"{1e3 * np.median(plain) / arguments.steps:.1f} ms of processor time a step"
    )
    print(f"  mean of the steps, watched to plain  "
          f"{_interval(lambda k: watched[k].sum() / plain[k].sum(), n)}")  # fmt: skip
    print(f"  median of the turns                  "
          f"{_interval(lambda k: float(np.median(watched[k] / plain[k])), n)}")  # fmt: skip
    print(f"  the first turn alone                 {watched[0] / plain[0]:.4f}")
    for name, seconds in looks.items():
        print(f"  {name}: {seconds:.3f} s")


if __name__ == "__main__":
    main()
