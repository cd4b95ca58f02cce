"""What training showed while it ran, as charts."""

from collections.abc import Sequence

from affinage.records.report import Block, Chart, Line, Text
from affinage.records.signals import Point, Signals

STAGES = {
    "features": "Head on frozen features",
    "finetune": "Fine-tuning",
    "refit": "Refit on train and validation",
}
_ORDER = ("validation", "train (evaluation mode)", "train (running)", "cross-validation on train")
_SERIES = {
    "accuracy": ("accuracy", "accuracy, %", 100),
    "label_accuracy": ("right answers", "labels right, %", 100),
    "exact": ("exact counts", "counts exact once rounded, %", 100),
    "mae": ("mean error", "objects", 1),
}
_LOSSES = {"classify": "log loss, nats", "multilabel": "loss per label", "count": "loss per class"}


def curve_blocks(
    signals: Signals, *, penalties: Sequence[float] = (), task: str = "classify"
) -> tuple[Block, ...]:
    """Return loss, accuracy and learning rate of each stage.

    Args:
        signals: All points.
        penalties: Those that the stage `features` may have tried, in the order of their ranks: the last
            ones are missing where it surely only got worse. Where there are more ranks than penalties,
            the ranks themselves are the axis.
        task: Of the run: what the loss is depends on it.
    """
    blocks: list[Block] = []
    for stage in dict.fromkeys(point.stage for point in signals.points):
        points = [point for point in signals.points if point.stage == stage]
        ranks = sorted({point.epoch for point in points})
        tried = dict(zip(ranks, penalties, strict=False)) if len(ranks) <= len(penalties) else {}
        for series in dict.fromkeys(point.series for point in points):
            chosen = [point for point in points if point.series == series]
            shown = tried if stage == "features" else {}
            blocks.append(_chart(stage, series, chosen, shown, _LOSSES.get(task, "loss")))
        notes = [_NOTES[on] for on in dict.fromkeys(point.on for point in points) if on in _NOTES]
        if notes:
            blocks.append(Text(paragraphs=(" ".join(notes),)))
    return tuple(blocks) or (Text(paragraphs=("No curves were recorded.",)),)


_NOTES = {
    "cross-validation on train": "Each penalty is judged by training images that were held out in "
    "turn; validation had no say in it.",
    "train (running)": "“Train (running)” is the mean over each epoch while the weights still move, "
    "in training mode and on augmented images: not comparable with validation.",
    "train (evaluation mode)": "“Train (evaluation mode)” is measured on plain training images "
    "exactly as validation is: the gap between these two lines is the overfitting.",
}


def _chart(
    stage: str,
    series: str,
    points: list[Point],
    tried: dict[float, float],
    loss: str,
) -> Chart:
    plain = series.replace("_", " ")
    name, unit, factor = {**_SERIES, "loss": ("loss", loss, 1)}.get(series, (plain, plain, 1))
    where = STAGES.get(stage, stage)
    of_features = stage == "features"
    lines = tuple(
        Line(
            name=on or name,
            points=tuple(
                (tried.get(point.epoch, point.epoch), factor * point.value)
                for point in points
                if point.on == on
            ),
        )
        for on in sorted({point.on for point in points}, key=_rank)
    )
    return Chart(
        title=f"{where}: {name}",
        x=("L2 penalty" if tried else "penalty tried, by rank") if of_features else "epoch",
        y=unit,
        lines=tuple(Line(name=line.name, points=tuple(sorted(line.points))) for line in lines),
        log_x=bool(tried),
    )


def _rank(on: str) -> tuple[int, str]:
    return (_ORDER.index(on) if on in _ORDER else len(_ORDER), on)
