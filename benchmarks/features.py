"""Features of the frozen backbone from files: each engine against PyTorch as it comes, and its parts."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.epoch import peer_process, write_list
from benchmarks.epoch_peers import processor_seconds

IMAGES = int(os.environ.get("AFFINAGE_FEATURE_IMAGES", "256"))
ROUNDS = int(os.environ.get("AFFINAGE_ROUNDS", "3"))
KERAS = "Keras predict, EfficientNetB0"
GOALS = {"torch eager + DataLoader": "the peer", KERAS: "Keras predict"}


def features(samples: Path) -> dict[str, Any]:
    """Time every engine end to end, its parts alone, eager PyTorch with a DataLoader, and Keras."""
    import torch

    from affinage.imaging.batches import Item, prepared_batches
    from affinage.imaging.hashing import content_id
    from affinage.inference.choosing import try_engines
    from affinage.inference.engines import MAKERS, engine_pass
    from affinage.inference.forward import Engine, compute_features
    from affinage.models.build import build_backbone, stack
    from affinage.models.process import usable_cores
    from affinage.records.networks import ModelSettings

    paths = sorted((samples / "flowers12").rglob("*.jpg"))[::3][:IMAGES]
    items = [Item(content_id(path.read_bytes()), path) for path in paths]
    names = sorted({path.parent.name for path in paths})
    labels = np.array([names.index(path.parent.name) for path in paths])
    threads = usable_cores()
    torch.set_num_threads(threads)
    model = stack(build_backbone(ModelSettings()), classes=2)
    plain = Engine(device=torch.device("cpu"), threads=threads)
    trials = try_engines(model, items, plain, labels=labels, missing=1_000_000, told=lambda _: None)
    usable = [trial.engine for trial in trials if not trial.failed]
    engines = {
        maker.name: Engine(device=plain.device, threads=threads, name=maker.name)
        for maker in MAKERS
        if maker.name in usable
    }

    def decoding() -> Any:
        return list(prepared_batches(items, model.preprocessing, batch_size=32, threads=threads))

    batches = [batch for batch in decoding() if len(batch) == 32]
    work: dict[str, Callable[[], Any]] = {
        "torch eager + DataLoader": lambda: _data_loader(paths, threads),
        "decoding alone": decoding,
    }
    for name, engine in engines.items():
        work[name] = lambda engine=engine: compute_features(model, items, engine)  # type: ignore[misc]
        run = engine_pass(name, engine.frozen(model))
        work[f"{name}, forward alone"] = lambda run=run: [run(batch) for batch in batches]  # type: ignore[misc]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*work, KERAS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        peer_process("keras", write_list(Path(folder) / "photos.tsv", paths), threads) as keras,
    ):
        keras.do("features", "EfficientNetB0")  # Builds its graph.
        for _ in range(ROUNDS):
            for name, one in work.items():
                times[name].append(_seconds(one))
            speed = keras.do("features", "EfficientNetB0")
            times[KERAS].append((speed.wall * len(items), speed.processor * len(items)))
    used = {name: statistics.median(pair[1] for pair in found) for name, found in times.items()}
    wall = {name: statistics.median(pair[0] for pair in found) for name, found in times.items()}
    figures: dict[str, Any] = {
        "images": len(items),
        **{
            f"{name}, images/s (by processor second)": (
                f"{len(items) / seconds:.0f} ({len(items) / used[name]:.0f})"
            )
            for name, seconds in wall.items()
        },
    }
    for trial in trials:
        if not (
            trial.images or trial.failed
        ):  # PyTorch itself, which the others are compared with.
            continue
        figures[f"{trial.engine}, predictions changed"] = (
            trial.failed or f"{trial.changed} of {trial.images}"
        )
    for name in engines:
        parts = wall["decoding alone"] + wall[f"{name}, forward alone"]
        for peer, told in GOALS.items():
            figures[f"{name}, times {told} (goal: at least 4)"] = (
                f"{wall[peer] / wall[name]:.2f} by wall, {used[peer] / used[name]:.2f} by processor"
            )
        figures[f"{name}, over its parts (goal: at most 1.3)"] = round(wall[name] / parts, 2)
    return figures


class _Photos:
    """A data set as tutorials have it: Pillow, and timm's own transform."""

    def __init__(self, paths: list[Path], transform: Any) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        return self.transform(Image.open(self.paths[index]).convert("RGB"))


_network: list[Any] = []


def _data_loader(paths: list[Path], workers: int) -> Any:
    """Compute features with timm's network and transform, two workers, and no more."""
    import timm
    import torch
    from torch.utils.data import DataLoader

    if not _network:
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval()
        config = timm.data.resolve_model_data_config(network)
        _network.extend((network, timm.data.create_transform(**config, is_training=False)))
    network, transform = _network
    loader = DataLoader(_Photos(paths, transform), batch_size=32, num_workers=workers)
    with torch.inference_mode():
        return [network(batch) for batch in loader]


def _seconds(work: Callable[[], Any]) -> tuple[float, float]:
    start = time.perf_counter(), processor_seconds()
    work()
    return time.perf_counter() - start[0], processor_seconds() - start[1]
