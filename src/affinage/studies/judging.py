"""From differences to verdicts: helps, hurts, no difference that matters, cannot tell yet."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from affinage.metrics.looks import level_at
from affinage.metrics.paired import (
    Crossed,
    crossed,
    paired_bootstrap,
    planned_variance,
    quantile,
)
from affinage.records.answer import Difference, Says
from affinage.records.estimate import Estimate
from affinage.records.question import Question
from affinage.records.study import Announced
from affinage.studies.scoring import METRICS, Metric
from affinage.studies.tuning_luck import tuning_variance

FEW = 3
"""Repeats to begin with, where there are none."""

MOST_REPEATS = 1000
MOST_IMAGES = 10_000_000


def judge(
    table: NDArray[np.float64] | None,
    question: Question,
    announced: Announced,
    pair: tuple[int, int],
    *,
    look: int,
    ran: bool = False,
    explored: Sequence[NDArray[np.float64]] = (),
) -> Difference:
    """Return the verdict on one comparison at one look.

    Args:
        table: Gains, shape (repeats, images); None where trials failed.
        question: What was asked.
        announced: With the smallest difference that matters, and the looks.
        pair: Arm, and the arm that it is compared with.
        look: After how many repeats this is.
        ran: Whether both have trials that came to their end, though none on the same fresh seed.
        explored: Of each of the two that was tuned, the gains of its settings in exploration.
    """
    metric, names = METRICS[question.metric], [question.arms[arm].name for arm in pair]
    level = level_at(look, announced.looks, comparisons=len(question.arms) - 1)
    if table is None:
        nothing = Estimate(value=None, low=None, high=None, n=0)
        return Difference(
            arm=pair[0], against=pair[1], says="cannot tell yet", effect=nothing, level=level,
            sentence=_not_compared(names, ran=ran),
            repeats=0, bootstrap=nothing, more_repeats=FEW if ran else None,
        )  # fmt: skip
    found = crossed(table, unit=metric.unit)
    low, high = _with_luck(found, level, explored, seed=question.seed)
    if metric.share and math.isfinite(low):
        low, high = max(low, -1.0), min(high, 1.0)  # No share differs by more than all.
    says = _verdict(low, high, announced.smallest)
    repeats, images = (
        _still_needed(found, level, announced.smallest)
        if says == "cannot tell yet"
        else (None, None)
    )
    bounded = math.isfinite(low)
    effect = Estimate(
        value=found.mean,
        low=low if bounded else None,
        high=high if bounded else None,
        n=found.images,
    )
    return Difference(
        arm=pair[0], against=pair[1], says=says, effect=effect, level=level, repeats=found.repeats,
        bootstrap=paired_bootstrap(table, seed=question.seed), more_repeats=repeats,
        more_images=images,
        sentence=_sentence(
            says, names, effect, question, announced, (found.repeats, repeats, images)
        ),
    )  # fmt: skip


def _with_luck(
    found: Crossed, level: float, explored: Sequence[NDArray[np.float64]], *, seed: int
) -> tuple[float, float]:
    """Return the interval of a difference, wider by what another tuning of both might have chosen.

    Parts of the variance are weighted as squares of their quantiles, as images and seeds are.
    """
    low, high = found.interval(level)
    if not explored or not math.isfinite(low):
        return low, high
    luck = sum(tuning_variance(gains, noise=found.trial_noise, seed=seed) for gains in explored)
    half = math.hypot((high - low) / 2, float(ndtri((1 + level) / 2)) * math.sqrt(luck))
    return found.mean - half, found.mean + half


def _not_compared(names: list[str], *, ran: bool) -> str:
    if not ran:
        return f"'{names[0]}' cannot be compared with '{names[1]}': its trials failed."
    return (
        f"'{names[0]}' against '{names[1]}': cannot tell yet: the best of each was not run again; "
        f"about {FEW} repeats needed."
    )


def _verdict(low: float, high: float, smallest: float) -> Says:
    """Return what an interval says.

    No difference that matters is claimed only where the whole interval lies within it, as in the two
    one-sided tests of Schuirmann, A Comparison of the Two One-Sided Tests Procedure, 1987.
    """
    if low > 0:
        return "helps"
    if high < 0:
        return "hurts"
    return "no difference" if -smallest < low and high < smallest else "cannot tell yet"


def _still_needed(found: Crossed, level: float, smallest: float) -> tuple[int | None, int | None]:
    """Return how many more repeats, or else how many more images, would probably do."""
    gap = max(abs(found.mean), smallest - abs(found.mean))
    if found.repeats == 1:
        return 2, None
    if gap <= 0:
        return None, None

    def enough(repeats: int, images: int) -> bool:
        half = quantile((1 + level) / 2, repeats - 1) * math.sqrt(
            planned_variance(found, repeats=repeats, images=images)
        )
        return half < gap

    for repeats in range(found.repeats + 1, MOST_REPEATS + 1):
        if enough(repeats, found.images):
            return repeats - found.repeats, None
    images = found.images
    while images < MOST_IMAGES:
        images = math.ceil(images * 1.1)
        if enough(max(10, found.repeats), images):
            return None, images - found.images
    return None, None


def _sentence(
    says: Says,
    names: list[str],
    effect: Estimate,
    question: Question,
    announced: Announced,
    counts: tuple[int, int | None, int | None],
) -> str:
    """Return a verdict with its figures; `counts` are repeats, and how many more or images would do."""
    (name, against), (repeats, *needed), metric = names, counts, METRICS[question.metric]
    images = f", n = {effect.n:,}" if effect.n > 1 else ""
    figures = f"{shown(effect, metric)}, {repeats} seed{'s' if repeats > 1 else ''}{images}"
    match says:
        case "helps" | "hurts":
            asked = question.smallest
            small = asked is not None and effect.value is not None and abs(effect.value) < asked
            less = (
                f"; less than the {amount(asked or 0.0, metric)} that were to matter"
                if small
                else ""
            )
            return f"'{name}' {says} against '{against}': {figures}{less}."
        case "no difference":
            size = amount(equal_within(question, announced, effect), metric)
            return f"'{name}' against '{against}': no difference larger than {size} ({figures})."
        case "cannot tell yet":
            more = _more(*needed)
            return f"'{name}' against '{against}': cannot tell yet: {more} ({figures})."


def equal_within(question: Question, announced: Announced, effect: Estimate) -> float:
    """Return within what two arms are alike: what was asked about, or else all that the interval leaves."""
    ends = [abs(end) for end in (effect.low, effect.high) if end is not None]
    if question.smallest is not None or not ends:
        return announced.smallest
    return min(announced.smallest, _rounded_up(max(ends)))


def _rounded_up(size: float) -> float:
    """Return a size with two digits, not below what it is."""
    if size <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(size)) - 1)
    return math.ceil(size / step - 1e-9) * step


def _more(repeats: int | None, images: int | None) -> str:
    if repeats is not None:
        return f"about {repeats:,} more repeat{'s' if repeats > 1 else ''} needed"
    if images is not None:
        return f"more repeats alone will not tell, about {_roughly(images):,} more images would"
    return "neither repeats nor images within reach would tell"


def _roughly(count: int) -> int:
    """Return a count to two digits: more would be known better than they are."""
    return int(float(f"{count:.2g}"))


def amount(size: float, metric: Metric) -> str:
    """Return a difference in words, such as `0.8 points` or `0.031`."""
    if not metric.share:
        return f"{size:.2g}"
    told = f"{100 * size:.2g}"
    return f"{told} point{'' if told == '1' else 's'}"


def scored(one: Estimate, metric: Metric) -> str:
    """Return a score with its interval, such as `93.1 % [91.8, 94.4]`."""
    scale, unit = (100, " %") if metric.share else (1, "")
    digits = 1 if metric.share else one.decimals()
    value = f"{scale * (one.value or 0.0):.{digits}f}{unit}"
    if one.low is None or one.high is None:
        return value
    return f"{value} [{scale * one.low:.{digits}f}, {scale * one.high:.{digits}f}]"


def brief(effect: Estimate, metric: Metric) -> str:
    """Return a gain in a few signs, such as `+1.2 points`; nothing where there is none."""
    if effect.value is None:
        return ""
    value = f"{100 * effect.value:+.1f} points" if metric.share else f"{effect.value:+.2g}"
    return value.replace("-", "−")


def shown(effect: Estimate, metric: Metric) -> str:
    """Return a gain with its interval, such as `+1.2 points [+0.3, +2.1]`."""
    if effect.value is None:
        return "no figure"
    scale, unit = (100, " points") if metric.share else (1, "")
    digits = effect.decimals(scale=scale, least=1 if metric.share else 0)
    if metric.share:
        digits = min(digits, 2 if effect.n >= 1000 else 1)
    value = f"{scale * effect.value:+.{digits}f}{unit}"
    if effect.low is None or effect.high is None:
        return f"{value}, no interval from one seed".replace("-", "−")
    ends = f"{scale * effect.low:+.{digits}f}, {scale * effect.high:+.{digits}f}"
    return f"{value} [{ends}]".replace("-", "−")
