"""What a trial can be scored by: a number for each image, and how it reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affinage.metrics.paired import crossed
from affinage.records.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A score of single images.

    Attributes:
        name: As asked for.
        tasks: Tasks that have it.
        sign: 1 where more is better, -1 where less is.
        unit: By how much one image can differ where that is the only step; 0 for a smooth score.
        share: Shown as percent, differences as points.
        about: What it is.
    """

    name: str
    tasks: tuple[str, ...]
    sign: int
    unit: float
    share: bool
    about: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="accuracy", tasks=("classify",), sign=1, unit=1.0, share=True,
               about="share of images whose label is right"),
        Metric(name="log_loss", tasks=("classify",), sign=-1, unit=0.0, share=False,
               about="mean of -ln p of the true class, nats"),
        Metric(name="label_accuracy", tasks=("multilabel",), sign=1, unit=0.0, share=True,
               about="share of labels, given or not, that are right"),
        Metric(name="mae", tasks=("count",), sign=-1, unit=0.0, share=False,
               about="mean distance of a count from the truth, over classes"),
        Metric(name="score", tasks=(), sign=1, unit=0.0, share=False,
               about="a score of past results, more is better"),
        Metric(name="share", tasks=(), sign=1, unit=0.0, share=True,
               about="a share of past results, more is better"),
        Metric(name="loss", tasks=(), sign=-1, unit=0.0, share=False,
               about="an error of past results, less is better"),
    )
}  # fmt: skip


def mean_score(rows: Sequence[NDArray[np.float64]], metric: Metric) -> Estimate:
    """Return the mean score over seeds and images, with its 95 % interval where there are two seeds.

    Args:
        rows: Of each seed, the score of each image.
        metric: A share stays within 0 and 1.
    """
    if not rows:
        return Estimate(value=None, low=None, high=None, n=0)
    found = crossed(np.array(rows))
    if found.repeats == 1:
        return Estimate(value=found.mean, low=None, high=None, n=found.images)
    low, high = found.interval(0.95)
    if metric.share:
        low, high = max(low, 0.0), min(high, 1.0)
    return Estimate(value=found.mean, low=low, high=high, n=found.images)


def default_metric(task: str) -> str:
    """Return the metric of a task where nobody names one."""
    return next(name for name, metric in METRICS.items() if task in metric.tasks)
