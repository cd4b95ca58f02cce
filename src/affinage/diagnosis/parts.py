"""Parts of the data that share images, or name classes differently."""

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.preprocessing import repeats
from affinage.diagnosis.reading import (
    feeding_of,
    last_histogram,
    outputs_of,
    surely_above,
    surely_below,
    targets_of,
    with_interval,
)
from affinage.metrics.intervals import wilson_bounds
from affinage.records.signals import Histogram, Signals

_NEVER_COME = otherwise(
    "images that are there and never come", "nothing: few images come again and again"
)


def leak(signals: Signals) -> Answered:
    """Some validation or test images are in training too."""
    shared = [o for o in signals.overlaps or () if o.first == "train"]
    hurt = [o for o in shared if o.shared and o.shared < o.n]
    if not hurt:
        return Fine("no part holds a portion of the training images")
    worst = max(hurt, key=lambda o: o.shared / o.n)
    share = worst.shared / worst.n
    return Found(
        subject=f"{worst.shared} of {worst.n} {worst.second} images looked at are in training too.",
        evidence=(f"told by {worst.by}; such as {', '.join(worst.examples)}",)
        if worst.examples
        else (f"told by {worst.by}",),
        remedy="Remove them from training, or split again by content: `affinage split SOURCE`.",
        grade="fact",
        where=(worst.second,),
        severity=None if share >= 0.01 else "note",
    )


def validation_is_training(signals: Signals) -> Answered:
    """Validation or test is the training set."""
    same = [
        o
        for o in signals.overlaps or ()
        if o.first == "train" and o.n and (o.same_set or o.shared == o.n)
    ]
    if not same:
        return Fine("validation is not the training set")
    targets, images = targets_of(signals), (signals.images or {}).get("train", 0)
    classes = sum(1 for n in (targets.by_class or ()) if n) if targets else 0
    closed = 0 < images <= classes
    names = " and ".join(o.second for o in same)
    return Found(
        subject=f"All {same[0].n} {names} images are training images: the score tells what "
        "was learnt by heart." + (" With one image per class this may be meant." if closed else ""),
        evidence=(f"told by {same[0].by}",),
        remedy="Measure on images that training never saw; where it is meant, use --closed-set.",
        grade="fact",
        where=tuple(o.second for o in same),
        severity="note" if closed else None,
    )


def test_is_validation(signals: Signals) -> Answered:
    """Test images chose the model."""
    shared = [o for o in signals.overlaps or () if (o.first, o.second) == ("validation", "test")]
    if not shared:
        return Unchecked("validation and test were not both seen")
    if not shared[0].shared:
        return Fine("validation and test share no image")
    return Found(
        subject=f"{shared[0].shared} of {shared[0].n} test images are validation images.",
        remedy="Keep a test part that no choice has looked at.",
        grade="fact",
        where=("test",),
    )


def label_order(signals: Signals) -> Answered:
    """The same index means another class in another part."""
    return _by_names(signals) or _by_relabelled(signals) or _by_recall(signals)


def _by_names(signals: Signals) -> Answered | None:
    train = feeding_of(signals)
    for part in ("validation", "test"):
        other = feeding_of(signals, part)
        if train is None or other is None or not train.classes or not other.classes:
            continue
        pairs = zip(train.classes, other.classes, strict=False)
        wrong = [(i, a, b) for i, (a, b) in enumerate(pairs) if a != b]
        if wrong:
            i, first, second = wrong[0]
            return _found(
                f"Index {i} is '{first}' in training and '{second}' in {part}; "
                f"{len(wrong)} of {len(train.classes)} indices differ.",
                (f"train: {', '.join(train.classes[:6])}", f"{part}: {', '.join(other.classes[:6])}"),
                part, fact=True,
            )  # fmt: skip
    return None


def _by_relabelled(signals: Signals) -> Answered | None:
    hurt = [o for o in signals.overlaps or () if o.shared and o.relabelled > 0.2 * o.shared]
    if not hurt:
        return None
    worst = hurt[0]
    return _found(
        f"{worst.relabelled} of {worst.shared} images shared by {worst.first} and {worst.second} "
        "have another label there.",
        worst.examples, worst.second, fact=True,
    )  # fmt: skip


def _by_recall(signals: Signals) -> Answered:
    train = last_histogram(signals, "train (evaluation mode)") or last_histogram(
        signals, "train (running)"
    )
    validation = last_histogram(signals, "validation")
    if train is None or validation is None or not train.hits or not validation.hits:
        named = any(f.classes for f in signals.feeding or ())
        return (
            Fine("all parts name their classes alike")
            if named
            else Unchecked(
                "classes have no names, and predictions by class of both parts were not seen"
            )
        )
    lost = [i for i in range(len(validation.true)) if _lost(i, train, validation)]
    if len(lost) < 2:
        return Fine("no classes known in training are lost in validation")
    n, hits = sum(validation.true[i] for i in lost), sum(validation.hits[i] for i in lost)
    if not _others_hold(lost, validation) and not _below_chance(lost, validation):
        return Fine("classes are lost in validation, but no more than where nothing was learnt")
    known = sum(train.hits[i] for i in lost) / sum(train.true[i] for i in lost)
    return _found(
        f"{len(lost)} classes are right in training ({known:.2f}) and right less often than by chance in "
        f"validation: {with_interval(hits / n, n)}.",
        (f"classes by index: {', '.join(map(str, lost[:8]))}",), "validation", fact=False,
    )  # fmt: skip


def _others_hold(lost: list[int], validation: Histogram) -> bool:
    """Return whether the other classes are surely more often right than wrong."""
    rest = [i for i in range(len(validation.true)) if i not in lost]
    n, hits = sum(validation.true[i] for i in rest), sum(validation.hits[i] for i in rest)
    return n > 0 and surely_above(hits / n, n, 0.5)


def _below_chance(lost: list[int], validation: Histogram) -> bool:
    """Return whether hits are surely fewer than predictions that know nothing would have by luck."""
    total, n = sum(validation.true), sum(validation.true[i] for i in lost)
    luck = sum(validation.true[i] * validation.predicted[i] for i in lost) / total
    hits = sum(validation.hits[i] for i in lost)
    return wilson_bounds(hits, n, 0.999)[1] < luck / n


def _lost(index: int, train: Histogram, validation: Histogram) -> bool:
    """Known in training, predicted about as often as it is true in validation, and hardly ever right."""
    if index >= len(train.true) or index >= len(validation.hits):
        return False
    seen, n = train.true[index], validation.true[index]
    present = sum(1 for count in validation.true if count)
    if seen < 5 or n < 3 or present < 2 or train.hits[index] < 0.7 * seen:
        return False
    predicted = validation.predicted[index] >= 0.3 * n
    return predicted and surely_below(validation.hits[index] / n, n, max(0.5 / present, 0.2))


def _found(subject: str, evidence: tuple[str, ...], part: str, *, fact: bool) -> Found:
    return Found(
        subject=subject,
        evidence=evidence,
        remedy="Take one list of class names for all parts: sort it once, and map every label by it.",
        grade="fact" if fact else "measured",
        where=(part,),
        alternatives=otherwise(
            "overfitting", "a network that merely overfits is right at least as often as chance"
        ),
    )


def class_not_learnt_from(signals: Signals) -> Answered:
    """Validation holds classes of which training has no image."""
    train, other = targets_of(signals), targets_of(signals, "validation")
    if train is None or other is None or not train.by_class or not other.by_class:
        return Unchecked("classes of both parts were not seen")
    if train.n < images_of(signals):
        return Unchecked("not one whole epoch of training images was seen")
    unseen = [
        i
        for i, n in enumerate(other.by_class)
        if n and (i >= len(train.by_class) or not train.by_class[i])
    ]
    if not unseen:
        return Fine(
            f"training has images of all {sum(1 for n in other.by_class if n)} classes of validation"
        )
    n = sum(other.by_class[i] for i in unseen)
    return Found(
        subject=f"{len(unseen)} classes of validation have no training image ({n} of {other.n} images).",
        evidence=(f"classes by index: {', '.join(map(str, unseen[:8]))}",),
        remedy="Split again so that every class is in both parts: `affinage split SOURCE`.",
        grade="fact",
        where=("validation",),
        severity="note" if repeats(signals) else None,
        alternatives=_NEVER_COME if repeats(signals) else (),
    )


def images_of(signals: Signals) -> int:
    """Return how many training images there are."""
    return (signals.images or {}).get("train", 0)


def shares_differ(signals: Signals) -> Answered:
    """Classes have other shares in validation than in training."""
    train, other = targets_of(signals), targets_of(signals, "validation")
    if train is None or other is None or not train.by_class or not other.by_class:
        return Unchecked("classes of both parts were not seen")
    n, m = sum(train.by_class), sum(other.by_class)
    if min(n, m) < 50 or len(train.by_class) != len(other.by_class):
        return Unchecked("too few images were seen")
    fed = feeding_of(signals)
    if fed and "Weighted" in fed.sampler:
        return Fine("a weighted sampler changes the shares on purpose")
    pairs = zip(train.by_class, other.by_class, strict=True)
    distance = sum(abs(a / n - b / m) for a, b in pairs) / 2
    if distance < 0.3:
        return Fine(f"shares of the classes differ by {distance:.2f} of all images")
    return Found(
        subject=f"Classes have other shares in validation than in training: {distance:.0%} of the images "
        "would have to change their class.",
        remedy="Split again by class, or weigh the score by the shares that you expect in use.",
        grade="measured",
        where=("train", "validation"),
        severity="note" if repeats(signals) else None,
        alternatives=_NEVER_COME if repeats(signals) else (),
    )


def too_few(signals: Signals) -> Answered:
    """Validation is too small to tell models apart."""
    n = (signals.images or {}).get("validation", 0)
    if not n:
        return Unchecked("the number of validation images is not known")
    if n >= 50:
        return Fine(f"{n} validation images")
    return Found(
        subject=f"Validation has {n} images: its accuracy is known to about "
        f"{100 / n**0.5:.0f} points at best.",
        remedy="Validate on more images, or by k-fold.",
        grade="fact",
    )


def outputs_collapsed(signals: Signals) -> Answered:
    """The network says the same for every image."""
    outputs = outputs_of(signals, "validation") or outputs_of(signals)
    if outputs is None or not signals.steps:
        return Unchecked("no outputs were seen")
    if outputs.constant < 0.99:
        return Fine("outputs differ between images")
    return Found(
        subject=f"All {outputs.part} images of a batch get exactly the same outputs.",
        remedy="Look for dead units, inputs that are all alike, or an activation over one single output.",
        grade="measured",
        where=(outputs.part,),
    )
