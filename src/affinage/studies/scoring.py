"""What a trial can be scored by: a number for each image, and how it reads."""

from dataclasses import dataclass


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


def default_metric(task: str) -> str:
    """Return the metric of a task where nobody names one."""
    return next(name for name, metric in METRICS.items() if task in metric.tasks)
