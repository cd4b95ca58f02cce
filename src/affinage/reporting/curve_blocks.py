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
_SERIES = {"loss": ("loss", "log loss, nats", 1), "accuracy": ("accuracy", "accuracy, %", 100)}


def curve_blocks(signals: Signals, *, penalties: Sequence[float] = ()) -> tuple[Block, ...]:
    """Return loss, accuracy and learning rate of each stage.

    Args:
        signals: All points.
        penalties: Those that the stage `features` tried, in the order of their ranks; where their
            number is not that of the ranks, the ranks themselves are the axis.
    """
    blocks: list[Block] = []
    modes = set()
    for stage in dict.fromkeys(point.stage for point in signals.points):
        points = [point for point in signals.points if point.stage == stage]
        modes |= {point.on for point in points}
        ranks = sorted({point.epoch for point in points})
        tried = dict(zip(ranks, penalties, strict=False)) if len(ranks) == len(penalties) else {}
        for series in dict.fromkeys(point.series for point in points):
            chosen = [point for point in points if point.series == series]
            blocks.append(_chart(stage, series, chosen, tried if stage == "features" else {}))
    if not blocks:
        return (Text(paragraphs=("No curves were recorded.",)),)
    if "train (running)" in modes:
        blocks.append(Text(paragraphs=(_MODES,)))
    return tuple(blocks)


_MODES = (
    "“Train (running)” is the mean over each epoch while the weights still move, on augmented "
    "images and in training mode; it cannot be compared with validation. “Train (evaluation mode)” "
    "is measured after the epoch on plain training images, exactly as validation is: the gap "
    "between these two is the overfitting."
)


def _chart(stage: str, series: str, points: list[Point], tried: dict[float, float]) -> Chart:
    name, unit, factor = _SERIES.get(series, (series.replace("_", " "), series.replace("_", " "), 1))
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
