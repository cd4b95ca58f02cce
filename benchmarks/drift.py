"""Drift alarms and accuracy without labels, on shifts of real images, through a real bundle.

    python -m benchmarks.drift BUNDLE LABELS.csv OTHER [--windows 20] [--quiet 100]

LABELS.csv is the table that the run was trained on (path, label, split); its test part is shifted in
six ways. A seventh mixes in images of OTHER, a folder of another kind (half of each window); an eighth shows
nothing but them. `--quiet` windows are drawn from the test part as it is, none with replacement.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.bundle import open_bundle
from affinage.imaging.decode import decode
from affinage.imaging.measure import measure
from affinage.metrics.intervals import wilson
from affinage.monitoring.accuracy import estimate_accuracy
from affinage.monitoring.baselines import compared_with
from affinage.monitoring.drift import alarming, differences
from affinage.monitoring.reading import given, right_on
from affinage.monitoring.unlike import loneliness, share_unlike
from affinage.records.seen import LOOKS, Seen

Pixels = NDArray[np.uint8]
RATE, SIZES = 0.01, (30, 50, 100)


def _noise(x: Pixels) -> Pixels:
    drawn = np.random.default_rng(int(x.sum())).normal(0, 20, x.shape)
    return np.clip(x + drawn, 0, 255).astype(np.uint8)


def _recompressed(x: Pixels) -> Pixels:
    data = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def _grey(x: Pixels) -> Pixels:
    return np.asarray(
        cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8
    )


SHIFTS: dict[str, Callable[[Pixels], Pixels]] = {
    "none": lambda x: x,
    "blur (1 % of the longer side)": lambda x: cv2.GaussianBlur(x, (0, 0), 0.01 * max(x.shape)),
    "noise (20 of 255)": _noise,
    "darker (half)": lambda x: (x * 0.5).astype(np.uint8),
    "recompressed (JPEG 15)": _recompressed,
    "rotated (90°)": lambda x: np.ascontiguousarray(np.rot90(x)),
    "grey": _grey,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--quiet", type=int, default=100)
    asked = parser.parse_args()
    reader = open_bundle(asked.bundle, threads=1)
    with asked.labels.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    names = [row["label"] for row in rows]
    pictures = [(asked.labels.parent / row["path"]).read_bytes() for row in rows]
    truth = np.array([reader.labels.index(name) for name in names])
    found = {name: seen(reader, pictures, change) for name, change in SHIFTS.items()}
    strangers = [path.read_bytes() for path in sorted(asked.other.rglob("*.jpg"))[:200]]
    found["a new class (all images)"] = seen(reader, strangers, SHIFTS["none"])
    report(reader, found, truth, asked.windows, asked.quiet)


def seen(reader, pictures, change):
    """Return shifted pictures as the bundle sees them."""
    looks, views = [], []
    for data in pictures:
        pixels = change(decode(data).pixels)
        measured = measure(pixels, data)
        looks.append([getattr(measured, name) for name in LOOKS])
        views.append(reader.view(pixels))
    passes = [reader.compute(np.stack(views[k : k + 8])) for k in range(0, len(views), 8)]
    return Seen(
        images=tuple(map(str, range(len(views)))),
        looks=np.array(looks, dtype=np.float64),
        features=np.concatenate([one["features"] for one in passes]).astype(np.float32),
        probabilities=np.concatenate([one["outputs"] for one in passes]).astype(np.float64),
    )


def report(reader, found, truth, windows, quiet):
    """Print how often each shift raises an alarm by the size of the window, and the accuracy's error."""
    baseline = reader.folder.read_baseline()
    compared, reading = compared_with(baseline), reader.record.reading
    validation = baseline.validation
    print(f"baseline: {len(compared.inputs)} and {len(compared.answers)} images; rate {RATE:g}")
    errors = []
    for name, images in found.items():
        told = [f"{alarms(compared, images, size, windows)}/{windows}" for size in SIZES]
        line = f"{name:32s} alarms at {SIZES}: {' '.join(told):18s}"
        unlike = share_unlike(loneliness(compared.inputs.features, images.features))
        line += f" unlike {unlike.value:.2f}"
        if len(images) == len(truth) and not name.startswith("a new"):
            accuracy = float((images.probabilities.argmax(axis=1) == truth).mean())
            estimate = estimate_accuracy(
                given(reading, validation.outputs), right_on(reading, validation),
                given(reading, images.probabilities),
            ).estimate  # fmt: skip
            errors.append(abs(estimate.value - accuracy))
            line += f" accuracy {accuracy:.3f}, estimated {estimate.value:.3f}"
            line += f" [{estimate.low:.3f}, {estimate.high:.3f}]"
        print(line, flush=True)
    print(
        f"mean error of the estimate: {100 * np.mean(errors):.1f} points over {len(errors)} conditions"
    )
    mixed = alarms_mixed(compared, found["none"], found["a new class (all images)"], windows)
    print(f"another source, half of 100 images: {mixed}/{windows}")
    loud = alarms(compared, found["none"], 100, quiet, seed=1)
    share = wilson(loud, quiet)
    print(f"false alarms: {loud} of {quiet} windows of 100 [{share.low:.4f}, {share.high:.4f}]")


def alarms(compared, images, size, windows, *, seed=0):
    """Return how many windows raise an alarm."""
    draw = np.random.default_rng(seed)
    loud = 0
    for number in range(windows):
        rows = draw.permutation(len(images))[:size]
        loud += bool(
            alarming(differences(compared, images.rows(rows), seed=number, shuffles=999), RATE)
        )
    return loud


def alarms_mixed(compared, usual, strange, windows):
    """Return how many windows of 50 usual and 50 strange images raise an alarm."""
    draw = np.random.default_rng(0)
    loud = 0
    for number in range(windows):
        parts = [one.rows(draw.permutation(len(one))[:50]) for one in (usual, strange)]
        window = Seen(
            images=tuple(map(str, range(100))),
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in ("looks", "features", "probabilities")
            },
        )
        loud += bool(alarming(differences(compared, window, seed=number, shuffles=999), RATE))
    return loud


if __name__ == "__main__":
    main()
