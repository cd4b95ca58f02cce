"""Whether a window of images differs from the baseline, and in what."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affinage.errors import DataError
from affinage.monitoring.baselines import Compared
from affinage.monitoring.permuting import Memberships, Statistic, judge, memberships
from affinage.monitoring.two_samples import (
    area,
    held_out,
    largest_gap,
    mean_discrepancy,
    principal,
    shares_apart,
    told_apart,
)
from affinage.records.seen import LOOKS, Seen

Kind = Literal["look", "features", "predictions", "confidence"]

FEWEST = 30
"""Images below which a window is not judged: only the grossest shift would show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Least:
    """What is smaller is not told, however sure.

    A baseline of some hundred images is itself as far from the place it was drawn from.

    Attributes:
        gap: Between two distributions.
        area: Under the classifier's curve.
        share: Of the answers that move to other classes.
    """

    gap: float
    area: float
    share: float


OF_WINDOW = Least(gap=0.15, area=0.6, share=0.1)
OF_MANY = Least(gap=0.1, area=0.56, share=0.07)
"""Of one window, and of many together: there chance moves less."""

LABELS = 20
"""Labels that may stand together, the most frequent ones, whose numbers are compared one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing in which a window was compared with the baseline.

    Attributes:
        name: A measure, `kernel` (maximum mean discrepancy), `classifier`, `classes`, `confidence`, or
            `label N`.
        kind: What it speaks of.
        size: How large it is: a gap between distributions or a share that moved, 0 to 1; of
            the classifier the area under its curve, 0.5 for none; of the kernel the deviation
            from what shuffles give, in their standard deviations.
        p: Chance of any such deviation in the window without shift, over all that was compared.
        here: Median in the window; None where there is none.
        there: Median in the baseline; None where there is none.
    """

    name: str
    kind: Kind
    size: float
    p: float
    here: float | None = None
    there: float | None = None

    def slight(self, least: "Least") -> bool:
        """Return whether it is too small to be told, however sure."""
        if self.name == "kernel":
            return False
        sizes = {"classifier": least.area, "classes": least.share}
        return self.size < sizes.get(self.name, least.gap)


def differences(
    compared: Compared, window: Seen, *, seed: int, shuffles: int = 1999
) -> tuple[Difference, ...]:
    """Return how a window differs from the baseline in everything that both have, the surest first.

    Two families are judged by shuffles: inputs (looks and features) and answers (classes and
    confidence). Within each, p holds for the largest of all; between the two it is doubled. So the
    smallest p of the result is below any `rate` in at most a share `rate` of windows without shift.

    Args:
        compared: The baseline.
        window: At least `FEWEST` images.
        seed: Of the shuffles.
        shuffles: How many.

    Raises:
        DataError: If the window is too small.

    Source:
        Bonferroni between the families; within, see `permuting`.
    """
    if len(window) < FEWEST:
        raise DataError(
            f"A window of {len(window)} images is too small to be judged; {FEWEST} is the least.",
            remedy="Wait for more images, or give a larger --window.",
        )
    inputs = _family(compared.inputs, window, seed=seed, shuffles=shuffles)
    answers = _answers(compared.answers, window, seed=seed, shuffles=shuffles)
    families = bool(inputs) + bool(answers)
    found = [_times(one, families) for one in (*inputs, *answers)]
    return tuple(sorted(found, key=lambda one: (one.p, one.slight(OF_WINDOW), one.name)))


def alarming(
    found: tuple[Difference, ...], rate: float, least: Least = OF_WINDOW
) -> tuple[Difference, ...]:
    """Return the differences that raise an alarm.

    Args:
        found: From `differences`.
        rate: Share of windows without shift in which there may be an alarm, in (0, 1).
        least: What is smaller raises none.
    """
    return tuple(one for one in found if one.p <= rate and not one.slight(least))


def _family(baseline: Seen, window: Seen, *, seed: int, shuffles: int) -> list[Difference]:
    """Return what looks and features say."""
    members = memberships(len(baseline), len(window), seed=seed, shuffles=shuffles)
    statistics: dict[str, Statistic] = {}
    sizes: dict[str, float] = {}
    looks = _joined(baseline.looks, window.looks)
    if looks is not None:
        statistics |= {name: largest_gap(looks[:, k]) for k, name in enumerate(LOOKS)}
    features = _joined(baseline.features, window.features)
    if features is not None:
        rows = principal(features)
        statistics["kernel"] = mean_discrepancy(rows)
        statistics["classifier"] = told_apart(rows, seed=seed)
        sizes["classifier"] = _area(rows, members, seed)
    judged = judge(statistics, members)
    if "kernel" in judged:
        sizes["kernel"] = judged["kernel"].deviation
    return [
        Difference(
            name=name,
            kind="look" if name in LOOKS else "features",
            size=sizes.get(name, found.value),
            p=found.p,
            **_medians(looks, len(baseline), name),
        )
        for name, found in judged.items()
    ]


def _answers(baseline: Seen, window: Seen, *, seed: int, shuffles: int) -> list[Difference]:
    """Return what the model's answers say."""
    answers = _joined(baseline.probabilities, window.probabilities)
    if answers is None:
        return []
    members = memberships(len(baseline), len(window), seed=seed + 1, shuffles=shuffles)
    if not window.exclusive or answers.shape[1] < 2:
        return _each_label(answers, members)
    sure = answers.max(axis=1).round(4)  # Its last digits depend on how many are computed together.
    statistics = {"classes": shares_apart(answers.argmax(axis=1)), "confidence": largest_gap(sure)}
    judged = judge(statistics, members)
    n = len(baseline)
    here, there = float(np.median(sure[n:])), float(np.median(sure[:n]))
    classes, confidence = judged["classes"], judged["confidence"]
    return [
        Difference(name="classes", kind="predictions", size=classes.value, p=classes.p),
        Difference(
            name="confidence", kind="confidence", size=confidence.value, p=confidence.p,
            here=here, there=there,
        ),
    ]  # fmt: skip


def _each_label(answers: NDArray[np.float64], members: Memberships) -> list[Difference]:
    """Return what counts, or the probabilities of labels that may stand together, say: one by one."""
    most = np.argsort(-answers.mean(axis=0), kind="stable")[:LABELS].tolist()
    judged = judge({str(k): largest_gap(answers[:, k]) for k in most}, members)
    inside = members[:, 0] > 0
    return [
        Difference(
            name=f"label {k}", kind="predictions", size=found.value, p=found.p,
            here=float(np.median(answers[inside, int(k)])),
            there=float(np.median(answers[~inside, int(k)])),
        )
        for k, found in judged.items()
    ]  # fmt: skip


def _times(one: Difference, families: int) -> Difference:
    return Difference(
        name=one.name, kind=one.kind, size=one.size, p=min(1.0, one.p * families),
        here=one.here, there=one.there,
    )  # fmt: skip


def _area(rows: NDArray[np.float64], members: Memberships, seed: int) -> float:
    of_window = members[:, 0] > 0
    share = of_window.mean()
    return area(held_out(rows, seed=seed) @ (of_window - share), of_window)


def _medians(
    looks: NDArray[np.float64] | None, baseline: int, name: str
) -> dict[str, float | None]:
    if looks is None or name not in LOOKS:
        return {"here": None, "there": None}
    column = looks[:, LOOKS.index(name)]
    return {
        "here": float(np.median(column[baseline:])),
        "there": float(np.median(column[:baseline])),
    }


def _joined(
    baseline: NDArray[np.floating] | None, window: NDArray[np.floating] | None
) -> NDArray[np.float64] | None:
    if baseline is None or window is None or not len(baseline):
        return None
    return np.concatenate([baseline, window]).astype(np.float64)
