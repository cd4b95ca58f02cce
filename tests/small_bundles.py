"""A small network with a head that tells its classes apart, and bundles and readers of it."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from affinage.bundle.passes import onnx_pass
from affinage.bundle.reader import BundleReader
from affinage.exporting.frame import VIEW, looked_into, with_frame
from affinage.exporting.graph import TENSOR
from affinage.metrics.classification import softmax
from affinage.models.build import build_backbone, stack
from affinage.records.bundle import FEATURES, OUTPUTS, Bundle, Origin, Parity, Reading
from affinage.records.networks import ModelSettings
from affinage.records.prediction import Prediction
from affinage.records.preprocessing import Preprocessing
from affinage.store.bundle import BundleFolder

LABELS = ("zero", "one", "two")
TEMPERATURE = 1.7
KIND = Preprocessing(width=48, height=48, crop=0.875, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def activate(raw):
    return torch.softmax(raw / TEMPERATURE, dim=1)


def answer(row):
    shares = softmax(row[None].astype(np.float64) / TEMPERATURE)[0]
    index = int(shares.argmax())
    return Prediction(
        path="", label=LABELS[index], confidence=float(shares[index]),
        probabilities=dict(zip(LABELS, shares.tolist(), strict=True)),
    )  # fmt: skip


def network(name="three_conv", kind=KIND, outputs=3):
    settings = ModelSettings(backbone=name, pretrained=False, width=kind.width, height=kind.height)
    model = stack(build_backbone(settings, seed=3), preprocessing=kind, classes=outputs).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        blank = torch.randint(0, 256, (8, kind.height, kind.width, 3), generator=generator).byte()
        scale = model.features(blank).std().clamp(min=1e-3)
        weights = torch.randn(model.last.weight.shape, generator=generator)
        model.last.weight.copy_(weights / scale / weights.shape[1] ** 0.5)
    return model


def bundle_of(kind=KIND, *, labels=LABELS, any_size=True, batch=None, precision="fp32"):
    return Bundle(
        model_format="onnx",
        precision=precision,
        model_file="model.onnx",
        any_size=any_size,
        preprocessing=kind,
        features=1,
        reading=Reading(task="classify", labels=labels, kind="probability", temperature=TEMPERATURE),
        origin=Origin(
            run="r", created="2026-01-01T00:00:00+00:00", affinage="0", data="d", backbone="b",
            weights="w", licence="none", parameters=1, train=1, validation=1, test=0,
        ),
        parity=Parity(images=0, changed_top1=0, max_abs_difference={}, stages=(), against=""),
        batch=batch,
    )  # fmt: skip


def opened(graph, bundle):
    """A reader of a graph that was never written, and a look into it."""
    whole = with_frame(graph, bundle.preprocessing) if bundle.any_size else graph
    there = {name for node in whole.graph.node for name in node.output}
    names = tuple(name for name in (FEATURES, OUTPUTS, VIEW, TENSOR) if name in there)
    make = partial(onnx_pass, threads=1, any_size=bundle.any_size)
    reader = BundleReader(BundleFolder(Path("nowhere")), bundle, make(whole.SerializeToString()))
    return reader, make(looked_into(whole, names), names=names)
