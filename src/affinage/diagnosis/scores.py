"""Scores that do not say what they seem to."""

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import last
from affinage.records.signals import Signals


def rounded_too_late(signals: Signals) -> Answered:
    """Outputs are compared for equality before they are rounded."""
    raw = [c for c in signals.comparisons or () if c.of == "raw" and c.whole < 0.9]
    if not raw:
        return Fine("no unrounded outputs are compared for equality")
    where = raw[0]
    after = ", and rounding comes on a later line" if where.rounded_after else ""
    return Found(
        subject=f"{where.where} compares unrounded outputs with targets for equality{after}: "
        "the score can hardly be anything but 0.",
        evidence=(
            f"{where.whole:.0%} of the compared numbers were whole, in {where.times} comparisons",
        ),
        remedy="Round first: (outputs.round() == targets).float().mean(); or use the mean "
        "absolute error.",
        grade="fact",
        where=(where.where,),
    )


def accuracy_on_counts(signals: Signals) -> Answered:
    """Counts are judged by how often they are exactly right."""
    if signals.task not in {"count", "regress"}:
        return Fine("targets are classes") if signals.task else Unchecked("the task is not known")
    places = [c.where for c in signals.comparisons or () if c.of != "class indices"]
    named = any(p.series in {"accuracy", "acc"} for p in signals.points)
    if not places and not named:
        return Fine("no accuracy is computed of numbers")
    return Found(
        subject="Accuracy is computed of counts: it does not tell a count that is off by 1 "
        "from one that is off by 50.",
        evidence=tuple(places[:3]),
        remedy="Use the mean absolute error and the share within one, beside the error of "
        "always saying the mean.",
        grade="fact",
        where=tuple(places[:3]),
    )


def chosen_on_test(signals: Signals) -> Answered:
    """The best epoch was chosen by test images."""
    chosen = signals.best_chosen_on
    if chosen is None:
        return Unchecked("by what the best epoch was chosen is not known")
    if chosen == "validation":
        return Fine("the best epoch was chosen on validation")
    return Found(
        subject=f"The best epoch was chosen on the {chosen} images: their score is too good.",
        remedy="Choose on validation and look at test once, at the end.",
        grade="fact",
        where=(chosen,),
    )


def modes_differ(signals: Signals) -> Answered:
    """The gap between training and validation is one of modes."""
    trained, evaluated = (
        last(signals.curve("accuracy", f"train ({mode} mode)"))
        for mode in ("training", "evaluation")
    )
    if trained is None or evaluated is None:
        return Unchecked("the same training images were not measured in both modes")
    if abs(trained - evaluated) < 0.15:
        return Fine(
            f"the same images score {trained:.2f} in training mode and {evaluated:.2f} in evaluation mode"
        )
    return Found(
        subject=f"The same training images score {trained:.2f} in training mode and "
        f"{evaluated:.2f} in evaluation "
        "mode: training and validation curves cannot be compared.",
        evidence=(f"gap explained by the mode: {abs(trained - evaluated):.2f}",),
        remedy="Compare curves that were both measured in evaluation mode.",
        grade="measured",
        alternatives=otherwise("overfitting", "both scores are of the same images"),
    )
