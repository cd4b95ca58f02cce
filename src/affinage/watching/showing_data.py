"""Faults of the data that are facts: looked at again on the training's own images."""

import hashlib
import time

import torch
from torch import Tensor

from affinage.records.training_facts import Part
from affinage.watching.changes import Change
from affinage.watching.live import Live
from affinage.watching.passes import images_in, targets_in
from affinage.watching.scenes import Fact, Scene
from affinage.watching.seeds import same_under_seed
from affinage.watching.trials import outputs_of, right
from affinage.watching.wholes import tensor_of

_SECONDS = 10.0
_STANDARD = 1e-3
_FEWEST_LABELS = 20
_ALIKE = (0.4, 2.5)
"""Ratios of spreads between which parts count as scaled alike: as in the rule."""
_BOTH: tuple[Part, ...] = ("train", "validation")


def shared_images(scene: Scene) -> Fact | None:
    """Look for validation images among training images, pixel by pixel."""
    if scene.validation is None:
        return None
    known = set(_marks(scene.train.images))
    same = [mark in known for mark in _marks(scene.validation.images)]
    n, m, shared = len(same), len(scene.train.images), sum(same)
    said = (
        f"{shared} of {n} validation images, as their loader gives them, are equal to one of "
        f"{m} training images in every pixel"
    )
    return Fact(holds=shared > 0, said=said + _flattered(scene, same))


def _flattered(scene: Scene, same: list[bool]) -> str:
    assert scene.validation is not None
    outputs = outputs_of(scene.live, scene.validation, training=False, change=Change())
    hit = right(outputs, scene.validation)
    if hit is None or all(same) or not any(same):
        return ""
    own = [h for h, s in zip(hit, same, strict=True) if s]
    rest = [h for h, s in zip(hit, same, strict=True) if not s]
    return (
        f"; {sum(own)} of these {len(own)} are right, of the {len(rest)} others {sum(rest)}: without the "
        f"shared ones the score is {sum(rest) / len(rest):.3f} in place of {sum(hit) / len(hit):.3f}"
    )


def _marks(images: Tensor) -> list[str]:
    return [hashlib.sha256(row.contiguous().numpy().tobytes()).hexdigest() for row in images]


def absent_classes(scene: Scene) -> Fact | None:
    """Count the classes of all training and validation images anew."""
    counts = [_counts(scene.live, part) for part in ("train", "validation")]
    if counts[0] is None or counts[1] is None:
        return None
    unseen = [c for c in counts[1] if c not in counts[0]]
    n, m = sum(counts[0].values()), sum(counts[1][c] for c in unseen)
    named = ", ".join(map(str, unseen[:8]))
    return Fact(
        holds=bool(unseen),
        said=f"all {n} training labels were counted again: {len(unseen)} classes of validation "
        f"({m} images{'; by index ' + named if named else ''}) have none",
    )


def other_shares(scene: Scene) -> Fact | None:
    """Count the shares of the classes in both parts anew."""
    counts = [_counts(scene.live, part) for part in ("train", "validation")]
    if not counts[0] or not counts[1]:
        return None
    n, m = sum(counts[0].values()), sum(counts[1].values())
    keys = counts[0].keys() | counts[1].keys()
    distance = sum(abs(counts[0].get(k, 0) / n - counts[1].get(k, 0) / m) for k in keys) / 2
    return Fact(
        holds=distance >= 0.3,
        said=f"the labels of {n} training and {m} validation images were counted again: "
        f"{distance:.0%} of the images would have to change their class",
    )


def _counts(live: Live, part: Part) -> dict[int, int] | None:
    deadline = time.monotonic() + _SECONDS
    counts: dict[int, int] = {}
    try:
        for batch in live.loaders.get(part) or ():
            y = targets_in(batch, None)
            if y is None or y.is_floating_point() or y.ndim != 1:
                return None
            for value in y.tolist():
                counts[value] = counts.get(value, 0) + 1
            if time.monotonic() > deadline:
                return None
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None
    return counts or None


def unused_outputs(scene: Scene) -> Fact | None:
    """Count which outputs are ever the right one."""
    counts = _counts(scene.live, "train")
    outputs = outputs_of(
        scene.live, scene.train.rows(torch.arange(2)), training=False, change=Change()
    )
    if counts is None or outputs.ndim != 2:
        return None
    n, width = sum(counts.values()), outputs.shape[1]
    if width == 1:
        return Fact(holds=True, said="softmax over its one output is 1 for every image")
    return Fact(
        holds=width > len(counts),
        said=f"all {n} training labels were counted again: {len(counts)} of {width} outputs are ever "
        f"the right one",
    )


def flat_images(scene: Scene) -> Fact:
    """Count images that are one flat colour, over the pool."""
    x = scene.train.images.flatten(2) if scene.train.images.ndim > 2 else scene.train.images
    flat = int(((x.amax(-1) - x.amin(-1)).flatten(1).amax(1) == 0).sum())
    return Fact(holds=flat >= 0.1 * len(x), said=f"{flat} of {len(x)} training images were looked at "
                "again and are one flat colour")  # fmt: skip


def repeated_images(scene: Scene) -> Fact:
    """Count the distinct images of one pass."""
    marks = _marks(scene.train.images)
    return Fact(
        holds=len(set(marks)) <= 0.8 * len(marks),
        said=f"among the {len(marks)} training images of one more epoch {len(set(marks))} are distinct",
    )


def changing_images(scene: Scene) -> Fact | None:
    """Ask for all validation images twice."""
    if scene.validation is None:
        return None
    again = _first(scene.live, "validation", len(scene.validation.images))
    if again is None or again.shape != scene.validation.images.shape:
        return None
    other = [not torch.equal(a, b) for a, b in zip(scene.validation.images, again, strict=True)]
    return Fact(
        holds=any(other),
        said=f"{len(other)} validation images were asked for twice: {sum(other)} came out different",
    )


def same_beginning(scene: Scene) -> Fact | None:
    """Begin two more epochs, and compare their first images."""
    one, other = (_first(scene.live, "train", scene.train.batch) for _ in range(2))
    if one is None or other is None:
        return None
    return Fact(
        holds=one.shape == other.shape and torch.equal(one, other),
        said=f"two more epochs were begun: their first {len(one)} images were compared, pixel by pixel",
    )


def _first(live: Live, part: Part, count: int) -> Tensor | None:
    found: list[Tensor] = []
    try:
        for batch in live.loaders.get(part) or ():
            x = images_in(batch)
            if x is None:
                return None
            found.append(x)
            if sum(map(len, found)) >= count:
                break
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None
    return torch.cat(found)[:count] if found else None


def beyond_the_seed(scene: Scene) -> Fact | None:
    """Draw the first batch under the same seeds, three times over."""
    same = [same_under_seed(scene.live.loaders.get("train")) for _ in range(3)]
    if None in same:
        return None
    return Fact(
        holds=not all(same),
        said=f"a batch was drawn twice under the same seeds, three times over: {same.count(False)} times "
        f"the two differed",
    )


def standardised_together(scene: Scene) -> Fact | None:
    """Compute mean and deviation again, of both parts and of training alone."""
    sets = {part: tensor_of(getattr(scene.live.loaders.get(part), "dataset", None))
            for part in _BOTH}  # fmt: skip
    train, other = sets["train"], sets["validation"]
    if train is None or other is None or train.shape[1:] != other.shape[1:]:
        return None
    own, both = (_off(images) for images in (train, torch.cat((train, other))))
    return Fact(
        holds=both <= _STANDARD < own,
        said=f"mean and deviation were computed again: all {len(train) + len(other)} images of both parts "
        f"are {both:.4f} off 0 and 1, the {len(train)} training images alone {own:.4f}",
    )


def _off(images: Tensor) -> float:
    values = images.double().transpose(0, 1).flatten(1)
    by_channel = max(float(values.mean(1).abs().max()), float((values.std(1) - 1).abs().max()))
    return min(by_channel, max(abs(float(values.mean())), abs(float(values.std()) - 1)))


def scaled_apart(scene: Scene) -> Fact | None:
    """Compute mean and spread of all images at hand, beyond those that were looked at while training."""
    if scene.validation is None:
        return None
    (mean, spread), (other, wide) = (
        (float(x.mean()), float(x.std())) for x in (scene.train.images, scene.validation.images)
    )
    shift, ratio = abs(mean - other) / (spread or 1.0), wide / (spread or 1.0)
    return Fact(
        holds=shift >= 1.0 or not _ALIKE[0] < ratio < _ALIKE[1],
        said=f"over {len(scene.train.images)} training and {len(scene.validation.images)} validation images, "
        f"means lie {shift:.2f} deviations apart, and validation is spread {ratio:.3g} times as wide",
    )


def sorted_labels(scene: Scene) -> Fact | None:
    """Count neighbours with one label over one more epoch."""
    deadline, rows = time.monotonic() + _SECONDS, []
    try:
        for batch in scene.live.loaders.get("train") or ():
            y = targets_in(batch, None)
            if y is None or y.is_floating_point() or y.ndim != 1 or time.monotonic() > deadline:
                return None
            rows.append(y)
    except Exception:  # noqa: BLE001 - a loader of anyone's may raise anything.
        return None
    labels = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.long)
    if len(labels) < _FEWEST_LABELS:
        return None
    equal = float((labels[1:] == labels[:-1]).float().mean())
    counts = torch.unique(labels, return_counts=True)[1].double()
    expected = float((counts / len(labels)).square().sum())
    room = 1.0 - expected
    noise = 3 * (expected * room / len(labels)) ** 0.5
    return Fact(
        holds=equal - expected >= max(0.4 * room, noise),
        said=f"one more epoch was begun: {equal:.0%} of {len(labels)} neighbouring images share their label, "
        f"where a random order gives {expected:.0%}",
    )
