"""Drift alarms and accuracy without labels, on shifts of real images, through a real bundle.

    python -m benchmarks.drift shifts BUNDLE SET OTHER [--windows 20]
    python -m benchmarks.drift quiet BUNDLE SET [--windows 1000]

SET is the folder that the run was trained on, with `labels.csv` (path, label, split). `shifts` changes its
test part in six ways, mixes in images of OTHER (photographs of something else: another source), and of labels
of SET that the bundle does not know (a new class, where the run was trained without some). `quiet` deals all
images of SET anew into a baseline and windows without any shift, as often as that takes; answers come from a
head that is fitted on a third of them each time.
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.bundle import open_bundle
from affinage.imaging.decode import decode
from affinage.imaging.measure import measure
from affinage.metrics.classification import softmax
from affinage.metrics.intervals import wilson
from affinage.monitoring.accuracy import estimate_accuracy
from affinage.monitoring.baselines import Compared, compared_with
from affinage.monitoring.drift import OF_MANY, alarming, differences
from affinage.monitoring.reading import given, right_on
from affinage.monitoring.telling import UNKNOWABLE
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
    parser.add_argument("what", choices=("shifts", "quiet"))
    parser.add_argument("bundle", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--windows", type=int, default=20)
    asked = parser.parse_args()
    reader = open_bundle(asked.bundle, threads=1)
    with (asked.set / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if asked.what == "quiet":
        quiet(reader, asked.set, rows, asked.windows)
        return
    tested = [row for row in rows if row["split"] == "test" and row["label"] in reader.labels]
    new = [row for row in rows if row["label"] not in reader.labels]
    pictures = read(asked.set, tested)
    truth = np.array([reader.labels.index(row["label"]) for row in tested])
    found = {name: seen(reader, pictures, change) for name, change in SHIFTS.items()}
    strange = {
        "another source": [one.read_bytes() for one in sorted(asked.other.rglob("*.jpg"))[:200]]
    }
    if new:
        strange["a new class"] = read(asked.set, new)[:200]
    report(reader, found, truth, asked.windows)
    for name, others in strange.items():
        report_strange(
            reader, found["none"], truth, seen(reader, others, SHIFTS["none"]), name, asked.windows
        )


def read(folder: Path, rows: list[dict[str, str]]) -> list[bytes]:
    return [(folder / row["path"]).read_bytes() for row in rows]


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


def report(reader, found, truth, windows):
    """Print how often each shift raises an alarm by the size of the window, and the accuracy's error."""
    baseline = reader.folder.read_baseline()
    compared = compared_with(baseline)
    print(f"baseline: {len(compared.inputs)} and {len(compared.answers)} images; rate {RATE:g}")
    errors, inside = [], 0
    for name, images in found.items():
        told = [f"{alarms(compared, images, size, windows)}/{windows}" for size in SIZES]
        accuracy, estimate, unlike = judged(reader, compared, images, truth)
        errors.append(abs(estimate.value - accuracy))
        inside += estimate.low <= accuracy <= estimate.high
        print(
            f"{name:30s} alarms at {SIZES}: {' '.join(told):18s} unlike {unlike:.2f}"
            f" accuracy {accuracy:.3f}, {shown(estimate)}",
            flush=True,
        )
    print(
        f"error of the estimate: {100 * np.mean(errors):.1f} points on average, {len(errors)} conditions,"
        f" largest {100 * max(errors):.1f}; {inside} of {len(errors)} intervals hold the truth"
    )


def shown(estimate):
    return f"estimated {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def judged(reader, compared, images, truth):
    """Return the accuracy, its estimate without labels, and the share of images unlike anything."""
    reading, validation = reader.record.reading, reader.folder.read_baseline().validation
    accuracy = float((images.probabilities.argmax(axis=1) == truth).mean())
    estimate = estimate_accuracy(
        given(reading, validation.outputs), right_on(reading, validation),
        given(reading, images.probabilities),
    ).estimate  # fmt: skip
    unlike = share_unlike(loneliness(compared.inputs.features, images.features))
    low = estimate.low
    if (unlike.low or 0) > 0:  # As `affinage monitor` does.
        low = max(0.0, low - unlike.high)
    return accuracy, replace(estimate, low=low), unlike.value


def report_strange(reader, usual, truth, others, name, windows):
    """Print alarms and the accuracy where a share of a window is strange; strange images are all wrong."""
    compared = compared_with(reader.folder.read_baseline())
    draw = np.random.default_rng(0)
    for share in (0.1, 0.25, 0.5, 1.0):
        loud = 0
        for number in range(windows):
            window = mixed(usual, others, 100, share, draw)
            loud += bool(alarming(differences(compared, window, seed=number, shuffles=999), RATE))
        many = mixed(usual, others, 200, share, draw)
        right = np.concatenate([truth, np.full(len(others), -1)])[
            np.array([int(k) for k in many.images])
        ]
        accuracy, estimate, unlike = judged(reader, compared, many, right)
        known = "known" if unlike <= UNKNOWABLE else "not known, and said so"
        print(
            f"{name}, {share:4.0%} of 100: alarms {loud}/{windows};"
            f" of {len(many)}: unlike {unlike:.2f}, accuracy"
            f" {accuracy:.3f}, {shown(estimate)}, {known}",
            flush=True,
        )


def mixed(usual, strange, size, share, draw):
    """Return a window of so many images, a share of them strange; ids are rows of both together."""
    count = min(round(size * share), len(strange))
    kept = min(size - round(size * share), len(usual))
    both = draw.permutation(len(usual))[:kept], draw.permutation(len(strange))[:count]
    parts = usual.rows(both[0]), strange.rows(both[1])
    return Seen(
        images=tuple(map(str, [*both[0].tolist(), *(len(usual) + both[1]).tolist()])),
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("looks", "features", "probabilities")
        },
    )


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


def quiet(reader, folder, rows, windows):
    """Print how many windows without shift raise an alarm, one by one and three together."""
    known = [row for row in rows if row["label"] in reader.labels]
    whole = seen(reader, read(folder, known), SHIFTS["none"])
    labels = np.array([reader.labels.index(row["label"]) for row in known])
    draw, counts = np.random.default_rng(0), dict.fromkeys(("window", "sure", "together", "5 %"), 0)
    deals = -(-windows // 3)
    for deal in range(deals):
        order = draw.permutation(len(whole))
        fitted, rest = order[: len(order) // 3], order[len(order) // 3 :]
        images = replace(whole, probabilities=answers(whole.features, labels, fitted)).rows(rest)
        base, new = images.rows(np.arange(len(rest) - 300)), np.arange(len(rest) - 300, len(rest))
        compared = Compared(inputs=base, answers=base, learnt=False)
        for place in range(3):
            window = images.rows(new[100 * place : 100 * place + 100])
            found = differences(compared, window, seed=3 * deal + place, shuffles=499)
            counts["window"] += bool(alarming(found, RATE))
            counts["5 %"] += bool(alarming(found, 0.05))
            counts["sure"] += found[0].p <= RATE
        found = differences(compared, images.rows(new), seed=deal, shuffles=499)
        counts["together"] += bool(alarming(found, RATE, OF_MANY))
    print(f"baselines of {len(rest) - 300} images dealt anew {deals} times, 3 windows of 100 each")
    for name, n, words in (
        ("window", 3 * deals, "windows raise an alarm at a rate of 0.01"),
        ("sure", 3 * deals, "windows have p of at most 0.01, slight ones among them"),
        ("5 %", 3 * deals, "windows raise an alarm at a rate of 0.05"),
        ("together", deals, "times three windows together raise one at a rate of 0.01"),
    ):
        share = wilson(counts[name], n)
        print(f"{counts[name]} of {n} {words} [{share.low:.4f}, {share.high:.4f}]")


def answers(features, labels, fitted):
    """Return probabilities by a ridge regression on some of the images, by a softmax of its scores."""
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    rows = rows - rows[fitted].mean(axis=0)
    known, one_hot = rows[fitted], np.eye(labels.max() + 1)[labels[fitted]]
    gram = known @ known.T + 0.1 * np.eye(len(known))
    return softmax(8 * (rows @ known.T @ np.linalg.solve(gram, one_hot))).astype(np.float64)


if __name__ == "__main__":
    main()
