"""How well the training fits: too little, too much, not yet, or not at all."""

from statistics import median

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import (
    finite,
    ignoring_loss,
    images_in,
    last_histogram,
    majority,
    surely_above,
    surely_below,
    tail,
    trace,
    train_accuracy,
    validation_accuracy,
    with_interval,
)
from affinage.diagnosis.standing import (
    MARGIN,
    chance_missed,
    is_poor_on_training,
    training_baseline,
)
from affinage.metrics.trend import trend
from affinage.records.signals import Point, Signals

_LONG = 4


def no_better_than_baseline(signals: Signals) -> Answered:
    """Validation accuracy is that of ignoring the image."""
    score, base, n = (
        validation_accuracy(signals),
        majority(signals, "validation"),
        images_in(signals, "validation"),
    )
    if score is None or base is None or n < 20:
        return _loss_no_better(signals)
    if surely_above(score, n, base[0]):
        return Fine(
            f"validation accuracy {with_interval(score, n)} is above {base[0]:.3f} of ignoring the image"
        )
    if (signals.steps or 0) < 30 or (signals.epochs or 0) < 2:
        return Unchecked("the training is too young to be judged")
    excuse = _excuse(signals, score, n, base[0])
    return Found(
        subject=f"Validation accuracy {with_interval(score, n)} is no better than always "
        "saying the most frequent "
        f"class ({base[0]:.3f}).",
        remedy="Look at the other findings first. Then train on one batch of 16 images alone, again and "
        "again: its loss must come near 0, or the program has a fault.",
        grade="measured",
        evidence=(f"only noted: {excuse}",) if excuse else (),
        where=("validation",),
        severity="note" if excuse else None,
        alternatives=otherwise("a task that images cannot answer", "look whether a person could"),
        traces=(trace(signals.curve("accuracy", "validation"), "validation accuracy"),),
    )


def _excuse(signals: Signals, score: float, n: int, base: float) -> str:
    """Return why a score like the baseline's may come from a healthy training; empty where nothing does."""
    bound = base + MARGIN * (1 - base)
    if not surely_below(score, n, bound):
        return f"with {n} images a score up to {bound:.3f} cannot be told from this one"
    if not is_poor_on_training(signals):
        return "training images are learnt, so it may be that there are too few of them"
    return chance_missed(signals)


def _loss_no_better(signals: Signals) -> Answered:
    floor, losses = ignoring_loss(signals), finite(signals.series_of("loss"))
    if floor is None or len(losses) < 30 or signals.task == "classify":
        return Unchecked("no score of ignoring the image is known to compare with")
    end = tail(losses) or 0.0
    if end < 0.9 * floor:
        return Fine(f"the loss {end:.3g} is below {floor:.3g} of always saying the mean")
    return Found(
        subject=f"The loss {end:.3g} is no better than always saying the mean ({floor:.3g}).",
        remedy="Look at the other findings first. Then train on one batch of 16 images alone, again and "
        "again: its loss must come near 0, or the program has a fault.",
        grade="measured",
        where=("train",),
    )


def underfitting(signals: Signals) -> Answered:
    """Training itself stands still at a poor score."""
    learnt, base = train_accuracy(signals), training_baseline(signals)
    curve = signals.curve("loss", "train (running)")
    if learnt is None or len(curve) < _LONG:
        return Unchecked(f"fewer than {_LONG} epochs of training accuracy were seen")
    if base is None:
        return _by_curves_alone(curve, learnt)
    late = [p.value for p in curve[-max(2, len(curve) // 3) :]]
    flat = max(late) - min(late) < 0.03 * max(abs(curve[0].value), 1e-9)
    excuse = chance_missed(signals)
    if learnt >= base + 0.5 * (1 - base) or (excuse and not flat):
        return Fine(f"training accuracy is {learnt:.2f}" + ("" if flat else "; it is still moving"))
    if not excuse and not is_poor_on_training(signals):
        excuse = "too few training images were measured to tell a poor score from a middling one"
    return Found(
        subject=f"Training stands still at an accuracy of {learnt:.2f} on its own images "
        f"(ignoring the image gives {base:.2f}).",
        evidence=(
            f"last losses {', '.join(f'{v:.3g}' for v in late[-3:])}",
            *((f"only noted: {excuse}",) if excuse else ()),
        ),
        remedy="Unfreeze more layers, use a larger network, less dropout and decay, or a "
        "higher learning rate.",
        grade="pattern",
        where=("train",),
        severity="note" if excuse else None,
        alternatives=otherwise(
            "labels that contradict each other", "an audit lists doubtful labels, if there are any"
        ),
        traces=(trace(curve, "training loss"),),
    )


def _by_curves_alone(curve: tuple[Point, ...], learnt: float) -> Answered:
    """Note a training whose loss never fell much, where a log tells neither labels nor steps."""
    first, last = curve[1].value, min(point.value for point in curve[-3:])
    if learnt >= _HALF or last < _HARDLY * first:
        return Unchecked("a log tells not what ignoring the image would score")
    return Found(
        subject=f"Training has learnt next to nothing: its loss was {first:.3g} in its second epoch and "
        f"{last:.3g} at best in its last ones of {len(curve)}, and its accuracy is {learnt:.2f}.",
        evidence=(
            "only noted: a log does not show the labels, the learning rate's effect or the steps",
        ),
        remedy="Run the script itself to hear why (affinage doctor train.py); else try a learning rate ten "
        "times as high, and one a tenth as high.",
        grade="pattern",
        where=("train",),
        severity="note",
        alternatives=otherwise("labels that belong to other images", "no log can tell"),
        traces=(trace(curve, "training loss"),),
    )


_HALF, _HARDLY = 0.5, 0.9
"""Accuracy below which, and share of the second epoch's loss above which, nothing was learnt; assumed."""


def not_converged(signals: Signals) -> Answered:
    """The end came while the loss was still falling.

    As many epochs again, at the least speed that the last half of the losses allows (95 % interval of their
    slope), would lower it by at least a tenth.
    """
    curve = signals.curve("loss", "validation") or signals.curve("loss", "train (running)")
    if len(curve) < 2 * _LONG - 2:
        return _still_falling(signals)
    values = [p.value for p in curve]
    late = values[len(values) // 2 :] if len(values) > 2 * _LONG else values[-_LONG:]
    slope = trend(late)
    least = max(0.0, -(slope.high or 0.0)) * len(values)
    if least < 0.1 * abs(values[-1]) or 0 <= values[-1] < _NOTHING * values[0]:
        return Fine(f"the loss moved by {slope.value or 0.0:.2g} per epoch at the end")
    return Found(
        subject=f"The loss was still falling at the end: by {-(slope.value or 0.0):.2g} per epoch "
        f"({-(slope.high or 0.0):.2g} to {-(slope.low or 0.0):.2g}, {slope.n} epochs), "
        f"and stands at {values[-1]:.3g}.",
        remedy="Train longer, or with a higher learning rate and a schedule that ends at the last epoch.",
        grade="pattern",
        where=(f"epoch {curve[-1].epoch:g}",),
        traces=(trace(curve, "loss"),),
        changes=(("finetune.epochs", "x2"),),
    )


def _still_falling(signals: Signals) -> Answered:
    """A training of few epochs, judged by the losses of its steps: their last half against its own trend."""
    losses, learnt = finite(signals.series_of("loss")), train_accuracy(signals)
    late = losses[len(losses) // 2 :]
    if len(late) < _STEPS or signals.ended in {"failed", "cut"}:
        return Unchecked(f"fewer than {2 * _LONG - 2} epochs were seen")
    slope, end = trend(late), median(late[-len(late) // 4 :])
    least = max(0.0, -(slope.high or 0.0)) * len(losses)
    done = 0 <= end < _NOTHING * median(losses[:3]) or (learnt is not None and learnt > _BY_HEART)
    if least < 0.1 * abs(end) or done:
        return Fine(f"the loss of a step moved by {slope.value or 0.0:.2g} per step at the end")
    return Found(
        subject=f"The training ended after {signals.steps or len(losses)} steps while its loss was still "
        f"falling: it stands at {end:.3g}, from {median(losses[:3]):.3g} at the start.",
        remedy="Train for more epochs: until validation has not improved for five of them.",
        grade="pattern",
        where=("end",),
        changes=(("finetune.epochs", "x2"),),
    )


_NOTHING = 0.02
"""Of its first value, below which a loss has nothing left that is worth to fall."""
_STEPS, _BY_HEART = 20, 0.98
"""Losses in the last half from which on their slope is believed; an accuracy with little left to learn."""


def rare_classes_lost(signals: Signals) -> Answered:
    """A good accuracy hides classes that are never right."""
    histogram = last_histogram(signals, "validation")
    if histogram is None or not histogram.hits:
        return Unchecked("predictions by class were not seen")
    total, hits = sum(histogram.true), sum(histogram.hits)
    if total < 30 or hits < 0.7 * total:
        return Fine("accuracy is not so good as to hide a class")
    lost = [
        i
        for i, (n, h) in enumerate(zip(histogram.true, histogram.hits, strict=True))
        if n >= 5
        and n < 0.3 * total / max(sum(1 for t in histogram.true if t), 1)
        and surely_below(h / n, n, 0.35)
    ]
    if not lost:
        return Fine(f"no rare class is lost behind the accuracy {hits / total:.2f}")
    n, h = sum(histogram.true[i] for i in lost), sum(histogram.hits[i] for i in lost)
    return Found(
        subject=f"Accuracy {hits / total:.2f} hides {len(lost)} rare classes that are hardly ever right: "
        f"{with_interval(h / n, n)}.",
        evidence=(f"classes by index: {', '.join(map(str, lost[:8]))}",),
        remedy="Draw rare classes more often (WeightedRandomSampler) or let them weigh more "
        "(CrossEntropyLoss(weight=...)), and watch the mean over classes (balanced accuracy).",
        grade="measured",
        where=tuple(f"class {i}" for i in lost),
        changes=(("loss.balance", "sampler"),),
    )


def loss_without_metric(signals: Signals) -> Answered:
    """The loss falls while accuracy stands."""
    losses, scores = signals.curve("loss", "validation"), signals.curve("accuracy", "validation")
    n = images_in(signals, "validation")
    if min(len(losses), len(scores)) < 6 or n < 30:
        return Unchecked("fewer than 6 epochs of loss and accuracy were seen")
    half = len(scores) // 2
    moved = abs(scores[-1].value - scores[half].value)
    fell = losses[half].value - losses[-1].value
    if fell < 0.15 * losses[half].value or moved > 2 / n or scores[-1].value > 0.95:
        return Fine("loss and accuracy move together")
    return Found(
        subject=f"Validation loss fell from {losses[half].value:.3g} to "
        f"{losses[-1].value:.3g} while accuracy stayed "
        f"at {with_interval(scores[-1].value, n)}.",
        remedy="The network only grows surer of the answers that it gives already. Judge by the score that "
        "you need, not by the loss, and stop where that score no longer rises.",
        grade="pattern",
    )
