"""Exports, measured: are answers kept for many networks, and what does int8 cost and gain?

python -m benchmarks.export parity SET NETWORK...   random weights (Lite0-2: trained), a random head
python -m benchmarks.export int8 SET [RUN]          a run on SET, fp32 and int8 on its test part

Each line of `export.jsonl` says how many answers change, what is lost (paired, with its interval), and
the ratios of size and of processor time between fp32 and int8 in ONNX Runtime, image by image in turn.
"""

import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

import affinage
from affinage.bundle.answers import answer
from affinage.bundle.passes import onnx_pass
from affinage.bundle.reader import BundleReader, open_bundle
from affinage.exporting.frame import VIEW, looked_into, with_frame
from affinage.exporting.graph import TENSOR, onnx_graph
from affinage.exporting.parity import Original, prove
from affinage.imaging.batches import Item
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.resize import prepare
from affinage.metrics.classification import softmax
from affinage.metrics.intervals import paired_difference
from affinage.models.build import build_backbone, stack
from affinage.models.classifier import Classifier
from affinage.records.bundle import FEATURES, OUTPUTS, Bundle, Origin, Parity, Reading
from affinage.records.networks import ModelSettings
from affinage.store.bundle import BundleFolder
from affinage.workflows.reporter import Silent

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("AFFINAGE_SAMPLES", HERE.parents[1] / "shared" / "data"))
TURNS = 60
IMAGES, BATCH = 100, 16
LABELS = tuple(f"class {number}" for number in range(10))


def run_on(name: str, folder: Path) -> affinage.Run:
    """Train a head on frozen features."""
    return affinage.train(
        DATA / name, data=folder / "data", output=folder / "run",
        settings={
            "stages": ["features"], "compute.threads": 1,
        },
        reporter=Silent(),
    )  # fmt: skip


def parity(name: str, networks: list[str]) -> None:
    paths = sorted(path for path in (DATA / name / "test").rglob("*") if path.is_file())[::2][
        :IMAGES
    ]
    items = [Item(image=content_id(path.read_bytes()), path=path) for path in paths]
    for network in networks:
        start = time.process_time()
        model = random_head(network, paths[:BATCH])
        graph = onnx_graph(model, partial(torch.softmax, dim=1))
        record = record_of(model)
        whole = with_frame(graph, model.preprocessing)
        names = (FEATURES, OUTPUTS, VIEW, TENSOR)
        reader = BundleReader(
            BundleFolder(Path(name)),
            record,
            onnx_pass(whole.SerializeToString(), threads=1, any_size=True),
        )
        look = onnx_pass(looked_into(whole, names), threads=1, any_size=True, names=names)
        original = Original(
            model=model, labels=LABELS,
            answer=lambda row, read=record.reading: answer(read, softmax(row[None])[0]),
        )  # fmt: skip
        proof = prove(original, reader, look, items)
        found = proof.parity
        write(
            {
                "benchmark": "export parity", "set": name, "network": network,
                "images": found.images, "changed": found.changed_top1,
                "labels_given": len({answer(record.reading, row).label for row in proof.trained}),
                "max_abs_difference": found.max_abs_difference,
                "cpu_seconds": round(time.process_time() - start, 1),
            }
        )  # fmt: skip


def random_head(network: str, paths: list[Path]) -> Classifier:
    """Return a network whose answers differ between images: trained weights for Lite0-2, else random ones.

    Random layers make features that hardly vary. So BatchNorm's statistics are measured on real images,
    and the head is random in units of how features vary there.
    """
    pretrained = network.startswith("tf_efficientnet_lite")
    model = stack(
        build_backbone(ModelSettings(backbone=network, pretrained=pretrained)), classes=len(LABELS)
    )
    views = [prepare(decode(path.read_bytes()).pixels, model.preprocessing) for path in paths]
    images = torch.from_numpy(np.stack(views))
    norms = [one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        if norms and not pretrained:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # The plain mean of what is seen.
            model.train()
            model.features(images)
        features = model.eval().features(images)
        spread = features.std(dim=0).mean().clamp(min=1e-9)
        model.last.weight.normal_(
            std=float(1 / spread / model.head.in_features**0.5),
            generator=torch.Generator().manual_seed(0),
        )
        model.last.bias.copy_(-model.last.weight @ features.mean(dim=0))
    return model


def record_of(model: Classifier) -> Bundle:
    return Bundle(
        model_format="onnx", precision="fp32", model_file="model.onnx", any_size=True,
        preprocessing=model.preprocessing, features=model.head.in_features,
        reading=Reading(task="classify", labels=LABELS, kind="probability"),
        origin=Origin(
            run="", created="", affinage="", data="", backbone="", weights="", licence="",
            parameters=0, train=0, validation=0, test=0,
        ),
        parity=Parity(images=0, changed_top1=0, max_abs_difference={}, stages=(), against=""),
    )  # fmt: skip


def int8(name: str, run: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        place = Path(run) if run else run_on(name, folder).path
        for precision in ("fp32", "int8"):
            affinage.export(place, into=folder / precision, precision=precision, speed=False)
        exact, small = (open_bundle(folder / one, threads=1) for one in ("fp32", "int8"))
        tested = sorted(path for path in (DATA / name / "test").rglob("*") if path.is_file())
        if not tested:
            sys.exit(f"There is no test image below {DATA / name / 'test'}: set AFFINAGE_SAMPLES.")
        right = [
            np.array(
                [one.label == path.parent.name for one, path in zip(answers, tested, strict=True)]
            )
            for answers in (exact.predict_all(tested), small.predict_all(tested))
        ]
        gained = paired_difference(right[1], right[0])
        sizes = [reader.folder.models(reader.record)[0].stat().st_size for reader in (exact, small)]
        write(
            {
                "benchmark": "export int8", "set": name, "n": len(tested),
                "network": exact.record.origin.backbone,
                "accuracy_fp32": float(right[0].mean()), "accuracy_int8": float(right[1].mean()),
                "gained": [gained.value, gained.low, gained.high],
                "size_ratio": sizes[1] / sizes[0], "times_faster": times_faster(exact, small),
                "kept": len(small.record.quantised.kept) if small.record.quantised else 0,
            }
        )  # fmt: skip


def times_faster(exact: BundleReader, small: BundleReader) -> float:
    """Return the ratio of processor time of one view, in turns."""
    kind = exact.record.preprocessing
    view = np.random.default_rng(0).integers(
        0, 256, (1, kind.height, kind.width, 3), dtype=np.uint8
    )
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for reader, times in zip((exact, small), spent, strict=True):
            start = time.process_time()
            reader.compute(view)
            times.append(time.process_time() - start)
    return float(np.median(spent[0]) / np.median(spent[1]))


def write(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)
    with (HERE / "export.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    what, chosen, *more = sys.argv[1:]
    if what == "parity":
        parity(chosen, more)
    else:
        int8(chosen, *more)
