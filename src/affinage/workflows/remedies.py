"""The best of several ways to mend what was proved, chosen on images that no copy was trained on."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import fmean, variance

import torch
from torch import nn

from affinage.records.verdict import Remedy, Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import live_is_pretrained, weighted
from affinage.watching.live import Live
from affinage.watching.pools import Pool
from affinage.watching.trials import accuracy_after
from affinage.workflows.changes_told import told
from affinage.workflows.experiments import BALANCED, changes_for
from affinage.workflows.measuring import Bench

RATES = (0.1, 0.3, 3.0, 10.0)
"""Factors on the learning rate: what suited the fault need not suit the training without it."""
REPEATS = 3
"""Trainings, with seeds of their own, whose mean decides between the best."""
FINALISTS = 3
_MOST_STEPS = 400
_DEEP = 6
"""Dense layers from which on fewer are tried."""
_OF_DEPTH = frozenset({"exploding-gradient", "first-loss-too-high", "vanishing-gradient"})
_FEWEST = 8
"""Images to choose on."""


@dataclass(slots=True)
class Contest:
    """Changes and how well they do, each on seeds 0, 1, …: a training that was run is not run again.

    Attributes:
        live: The watched training.
        train: Images to train on.
        judged: Images to score.
        steps: Of each training.
        deadline: On the monotonic clock, after which no training counts.
        balanced: Whether every class counts alike.
        scores: By change, one per seed.
    """

    live: Live
    train: Pool
    judged: Pool
    steps: int
    deadline: float
    balanced: bool = False
    scores: dict[Change, list[float]] = field(default_factory=dict)

    @property
    def trainings(self) -> int:
        """How many copies were trained."""
        return sum(map(len, self.scores.values()))

    def score(self, change: Change, repeats: int = 1) -> float | None:
        """Return the mean score on so many seeds; None where the time ended before."""
        known = self.scores.setdefault(change, [])
        while len(known) < repeats:
            value = accuracy_after(
                self.live, self.train, change, seed=len(known), steps=self.steps,
                deadline=self.deadline, on=self.judged, balanced=self.balanced,
            )  # fmt: skip
            if time.monotonic() > self.deadline:
                return None
            known.append(value)
        return fmean(known[:repeats])

    def best(self, changes: list[Change], repeats: int = 1) -> list[Change]:
        """Return those that could be scored, the best first; of equals the earlier."""
        scored = [(self.score(change, repeats), change) for change in dict.fromkeys(changes)]
        known = [pair for pair in scored if pair[0] is not None]
        return [change for _, change in sorted(known, key=lambda pair: -(pair[0] or 0.0))]

    def settle(self, ranked: list[Change], *, always: Change | None = None) -> Change | None:
        """Return the best by repeated trainings of the first few, and of one that is always among them."""
        kept = ranked[:FINALISTS]
        if always is not None and always not in kept:
            kept.append(always)
        return next(iter(self.best(kept, REPEATS)), None)


def contest_of(bench: Bench, code: str) -> Contest | None:
    """Return a contest on every second image of validation, or on every fourth that training gives up."""
    train, judged = bench.train, bench.validation
    if judged is not None:
        judged = judged.rows(chosen_on(len(judged.images)))
    else:
        fourth = torch.arange(len(train.images)) % 4 == 0
        train, judged = train.rows(~fourth), train.rows(fourth)
    steps = min(bench.signals.steps or 0, _MOST_STEPS)
    if len(judged.images) < _FEWEST or not steps or bench.live.criterion is None:
        return None
    return Contest(bench.live, train, judged, steps, bench.deadline, code in BALANCED)


def chosen_on(images: int) -> torch.Tensor:
    """Return which images of validation a change is chosen on: a mask."""
    return torch.arange(images) % 2 == 0


def mend(verdict: Verdict, bench: Bench) -> Remedy | None:
    """Return the best of several ways to mend a cause; None where there is none or no time to tell.

    First the change that proved it and its variants, then the best of them with other learning rates (a
    rate that suited the fault need not suit the training without it), each once; then the best three and
    the plain change, three times each. What is not clearly better than the plain change gives way to it.

    Args:
        verdict: Of a proved finding.
        bench: With the time that it may take.
    """
    found = mended(verdict, bench)
    if found is None:
        return None
    change, faulty, contest = found
    before, after = contest.score(faulty, REPEATS), contest.score(change, REPEATS)
    if before is None or after is None:
        return None
    return Remedy(
        said=told(change, faulty), before=before, after=after, images=len(contest.judged.images),
        on="validation" if bench.validation is not None else "held out",
        ways=len(contest.scores) - 1, trainings=contest.trainings, repeats=REPEATS, steps=contest.steps,
    )  # fmt: skip


def mended(verdict: Verdict, bench: Bench) -> tuple[Change, Change, Contest] | None:
    """Return the change that mends a cause best, the training as it was, and how they were told apart."""
    pair, contest = changes_for(verdict, bench.live, bench.signals), contest_of(bench, verdict.code)
    if pair is None or contest is None:
        return None
    faulty, plain = pair
    ways = contest.best([plain, *variants(verdict.code, plain, bench.live)])
    if not ways:
        return None
    rated = [with_rate(ways[0], factor) for factor in RATES]
    best = contest.settle(contest.best([*ways, *rated]), always=plain)
    if best is None:
        return None
    return (best if _is_clearly_better(best, plain, contest) else plain), faulty, contest


def _is_clearly_better(change: Change, plain: Change, contest: Contest) -> bool:
    """Return whether a change gains more over the plain one than the gain's own standard error.

    The error is that of the trainings and that of the images together.

    Source: the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984.
    """
    pairs = zip(contest.scores[change][:REPEATS], contest.scores[plain][:REPEATS], strict=True)
    gains = [after - before for after, before in pairs]
    mean = min(max(fmean(contest.scores[plain][:REPEATS]), 0.0), 1.0)
    by_images = mean * (1 - mean) / len(contest.judged.images)
    return fmean(gains) > math.sqrt(variance(gains) / len(gains) + by_images)


def with_rate(change: Change, factor: float) -> Change:
    """Return a change with its learning rates times a factor."""
    if change.set_rate:
        return replace(change, set_rate=change.set_rate * factor)
    return replace(change, rate=change.rate * factor)


def variants(code: str, plain: Change, live: Live) -> list[Change]:
    """Return other ways to mend a cause than the one that proved it."""
    made = _VARIANTS.get(code)
    if made is None or live_is_pretrained(live) or live.main is None:
        return []
    shallow = code in _OF_DEPTH and _is_a_deep_stack(live.main)
    return [*made(plain), *([Change(plain=True)] if shallow else [])]


def _is_a_deep_stack(network: nn.Module) -> bool:
    """Return whether a network is many dense layers in a row: fewer may do better than any start."""
    layers = weighted(network)
    return len(layers) >= _DEEP and all(isinstance(layer, nn.Linear) for layer in layers)


def _other_starts(plain: Change) -> list[Change]:
    """Begin as PyTorch does, without clipping; or with BatchNorm in between, which bears any start."""
    own = replace(plain, fresh=False, reset="all", clip=0.0)
    return [own, replace(plain, normed=True, clip=0.0)]


def _other_units(plain: Change) -> list[Change]:
    return [replace(plain, fresh=False, reset="all"), Change(reset="all"), Change(fresh=True)]


def _other_heads(plain: Change) -> list[Change]:
    """Begin the last layer anew, and every layer: a loud head may only pass on what came to it."""
    wider = replace(plain, head=min(10 * plain.head, 1.0))
    return [Change(reset="last"), wider, Change(reset="all"), Change(fresh=True, normed=True)]


_VARIANTS: dict[str, Callable[[Change], list[Change]]] = {
    "dead-units": _other_units,
    "exploding-gradient": _other_starts,
    "first-loss-too-high": _other_heads,
    "saturated-units": _other_starts,
    "vanishing-gradient": _other_starts,
    "weights-begin-equal": lambda _: [Change(reset="all")],
}
