"""A real bundle, small enough for every test: mean colours of a frame, and a linear head on them."""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from affinage.imaging.decode import decode
from affinage.imaging.measure import measure
from affinage.records.bundle import (
    MEASURES,
    Baseline,
    BaselinePart,
    Bundle,
    Origin,
    Parity,
    Reading,
)
from affinage.records.preprocessing import Preprocessing
from affinage.store.bundle import write_bundle

LABELS = ("red", "green", "blue")
SIDE = 16


def jpeg(colour, *, seed=0, side=48, quality=90):
    """The bytes of a noisy picture of one colour."""
    from io import BytesIO

    from PIL import Image

    noise = np.random.default_rng(seed).normal(0, 25, (side, side, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def picture(label, *, seed):
    """A picture of a label, some closer to another one."""
    random = np.random.default_rng([seed, label])
    colour = np.full(3, 90.0) + random.normal(0, 25, 3)
    colour[label] += 60
    return jpeg(colour, seed=seed)


def model():
    weights = (8 * np.eye(3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["float", "most"], ["unit"]),
            helper.make_node("ReduceMean", ["unit", "axes"], ["features"], keepdims=0),
            helper.make_node("Gemm", ["features", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["outputs"], axis=1),
        ],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", 3]),
        ],
        [
            numpy_helper.from_array(np.float32(255.0), "most"),
            numpy_helper.from_array(np.array([1, 2]), "axes"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    made.ir_version = 10
    return made


def record(labels=LABELS):
    return Bundle(
        model_format="onnx",
        precision="fp32",
        model_file="model.onnx",
        any_size=False,
        preprocessing=Preprocessing(width=SIDE, height=SIDE, crop=1.0, interpolation="bilinear"),
        features=3,
        reading=Reading(task="classify", labels=labels, kind="probability"),
        origin=Origin(
            run="colours-1", created="2026-01-01T00:00:00Z", affinage="0.1.0", data="colours",
            backbone="mean colour", weights="none", licence="none", parameters=9,
            train=0, validation=0, test=0,
        ),
        parity=Parity(images=0, changed_top1=0, stages=(), against="itself", max_abs_difference={}),
    )  # fmt: skip


def part(numbers):
    """Pictures of each label as the model sees them."""
    from affinage.imaging.resize import prepare

    rows = []
    for number in numbers:
        data = picture(number % 3, seed=number)
        pixels = decode(data).pixels
        found = measure(pixels, data)
        facts = {"width": pixels.shape[1], "height": pixels.shape[0], "bytes": len(data)}
        values = [facts.get(name, getattr(found, name, 0)) for name in MEASURES]
        features = prepare(pixels, record().preprocessing).mean(axis=(0, 1)) / 255
        rows.append((hashlib.sha256(data).hexdigest(), values, features, number % 3))
    images, measures, features, targets = zip(*rows, strict=True)
    logits = 8 * np.array(features)
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return BaselinePart(
        images=images,
        measures=np.array(measures, dtype=np.float32),
        features=np.array(features, dtype=np.float16),
        outputs=outputs.astype(np.float32),
        targets=np.array(targets),
    )


def write_colours(path, *, labels=LABELS):
    """Write the bundle; another order of labels makes another bundle."""

    def fill(folder):
        onnx.save(model(), folder.path / "model.onnx")
        folder.card.write_text("Colours\n")
        folder.licence.write_text("None\n")
        seen = Baseline(train=part(range(300, 600)), validation=part(range(300)))
        return record(labels), seen

    write_bundle(path, fill)
    return path
