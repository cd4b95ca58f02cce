"""Training images that are known better than what they have in common with others."""

from statistics import median

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import (
    ignoring_loss,
    images_in,
    last,
    majority,
    surely_above,
    surely_below,
    trace,
    train_accuracy,
    validation_accuracy,
    with_interval,
)
from affinage.diagnosis.standing import MARGIN, training_baseline
from affinage.records.signals import Signals

_LONG = 4


def overfitting(signals: Signals) -> Answered:
    """Validation gets worse while training gets better.

    Source: Goodfellow et al., Deep Learning, 2016, section 5.2 and 7.8.
    """
    validation = signals.curve("loss", "validation")
    train = signals.curve("loss", "train (running)") or signals.curve(
        "loss", "train (evaluation mode)"
    )
    scores, n = signals.curve("accuracy", "validation"), images_in(signals, "validation")
    if len(validation) < _LONG or len(train) < _LONG:
        return _by_accuracy(signals)
    best = min(validation, key=lambda p: p.value)
    end = median([p.value for p in validation[-2:]])
    learnt, score = train_accuracy(signals), last(scores)
    gap = (learnt - score) if learnt is not None and score is not None else None
    rose = end > 1.25 * best.value + 0.02 and best.epoch <= 0.75 * validation[-1].epoch
    fell = train[-1].value < 0.7 * next(
        (p.value for p in train if p.epoch >= best.epoch), train[0].value
    )
    wide = (
        gap is not None
        and n
        and learnt is not None
        and gap > 0.15
        and surely_below(score or 0, n, learnt - 0.05)
    )
    if not (rose and fell):
        return Fine(f"validation loss ends at {end:.3g}, its best was {best.value:.3g}")
    floor = ignoring_loss(signals)
    fallen = bool(scores and n) and surely_below(
        score or 0.0, n, max(p.value for p in scores) - 0.05
    )
    grave = bool(wide) and (fallen or (floor is not None and end > floor))
    return Found(
        subject=f"Validation loss was best at epoch {best.epoch:g} ({best.value:.3g}) and "
        f"has risen to {end:.3g}, "
        "while training loss kept falling.",
        evidence=(f"training accuracy {learnt:.3f}, validation {with_interval(score, n)}",)
        if learnt is not None and score is not None and n
        else (),
        remedy="Keep the weights of the best epoch; then try more images, random changes of the images "
        "(augmentation), or more of the network frozen.",
        grade="pattern",
        where=(f"epoch {best.epoch:g}",),
        severity=None if grave else "note",
        alternatives=otherwise(
            "a few validation images that are judged ever more surely", "accuracy fell behind too"
        )
        if grave
        else otherwise(
            "growing sureness about the same mistakes",
            "accuracy shows no gap that the data can tell",
        ),
        traces=(trace(validation, "validation loss"), trace(train, "training loss")),
    )


def _by_accuracy(signals: Signals) -> Answered:
    """Training images are all but learnt, and validation is surely behind: told where losses are not."""
    learnt, score = train_accuracy(signals), validation_accuracy(signals)
    n = images_in(signals, "validation")
    if learnt is None or score is None or not n:
        return Unchecked(f"fewer than {_LONG} epochs of both losses were seen")
    if learnt < _BY_HEART or not surely_below(score, n, learnt - 0.1):
        return Fine(f"training accuracy is {learnt:.2f}, validation {score:.2f}")
    return Found(
        subject=f"{learnt:.0%} of the training images are right, and of validation images only "
        f"{with_interval(score, n)}.",
        evidence=("only noted: whether validation got worse on the way was not seen",),
        remedy="Try more images, random changes of the images (augmentation), or more of the network "
        "frozen; and keep the weights of the epoch that is best on validation.",
        grade="measured",
        where=("validation",),
        severity="note",
        alternatives=otherwise(
            "too few training images for what they should teach",
            "nothing: more images or augmentation mend both",
        ),
    )


_BY_HEART = 0.98


def memorising(signals: Signals) -> Answered:
    """Training images are known by heart and validation is not better than ignoring the image."""
    learnt, score, n = (
        train_accuracy(signals),
        validation_accuracy(signals),
        images_in(signals, "validation"),
    )
    base = majority(signals, "validation")
    if learnt is None or score is None or base is None or n < 30:
        return Unchecked("accuracies of both parts were not seen")
    bound = base[0] + MARGIN * (1 - base[0])
    if learnt < 0.9 and _is_under_way(signals, score, n, learnt, bound):
        return _under_way(signals, score, n, learnt, base[0])
    behind = surely_below(score, n, learnt - MARGIN)
    if learnt < 0.9 or not behind or surely_above(score, n, bound):
        return Fine(f"training accuracy {learnt:.2f}, validation {score:.2f}")
    nothing = not surely_above(score, n, base[0])
    return Found(
        subject=f"{learnt:.0%} of the training images are right and validation is "
        f"{with_interval(score, n)}, "
        f"near {base[0]:.3f} of ignoring the image: images are learnt by heart.",
        remedy="Look whether labels were shuffled apart from their images; then whether "
        "validation is of the same kind.",
        grade="measured",
        where=("train", "validation"),
        severity=None if nothing else "note",
        alternatives=otherwise(
            "too few images of a hard task",
            "then validation would be a little above the baseline"
            if nothing
            else "validation is a little above the baseline: something was learnt",
        ),
    )


def _is_under_way(signals: Signals, score: float, n: int, learnt: float, bound: float) -> bool:
    """Return whether training images are surely learnt better than any luck, and validation surely is not."""
    base, epochs = training_baseline(signals), signals.epochs or 0
    m = images_in(signals, "train")
    return (
        base is not None
        and epochs >= 2 * _LONG
        and surely_above(learnt, m, max(base + MARGIN * (1 - base), score + MARGIN))
        and surely_below(score, n, bound)
    )


def _under_way(signals: Signals, score: float, n: int, learnt: float, base: float) -> Found:
    return Found(
        subject=f"After {signals.epochs or 0:g} epochs {learnt:.0%} of the training images are right, and "
        f"validation is {with_interval(score, n)}, as if images were ignored ({base:.3f}): what is learnt "
        "holds for the training images only.",
        remedy="Look at 20 training images beside their labels: were labels shuffled apart from their "
        "images? Then look whether validation images and labels are of the same kind.",
        grade="measured",
        where=("train", "validation"),
        severity="note",
        alternatives=otherwise(
            "a hard task with few images", "then validation would rise a little above the baseline"
        ),
    )
