"""What the change that a proof ends with is worth, beside a healthy twin and a random search."""

import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from affinage.metrics.intervals import wilson
from affinage.metrics.paired_runs import paired_mean
from affinage.records.verdict import Verdict
from affinage.watching.changes import Change
from affinage.watching.copies import can_be_opened
from affinage.watching.live import Live
from affinage.watching.pools import Pool, pool_of
from affinage.watching.trials import accuracy_after
from affinage.watching.watch import Watched
from affinage.workflows.changes_told import told
from affinage.workflows.experiments import changes_for
from affinage.workflows.measuring import Bench
from affinage.workflows.remedies import FINALISTS, REPEATS, chosen_on, contest_of, mended
from benchmarks.doctor.cases import Case
from benchmarks.doctor.running import watched

_SECONDS = 600.0
_PROOF = 10
"""Trainings of the proof itself, which the random search gets too."""
_DRAWS = 1000
"""At most: what was drawn before costs no training and is drawn again."""
_SEEDS = 5
"""Trainings whose mean is a score: of one, 200 images tell no better than to 4 points."""
_FEW = 2
"""For the faulty training, which nothing is decided by."""
_FIRST = 100
"""First of these seeds: none of those that chose."""
_OWN_TWINS = {"deep_sigmoid": "mlp", "deep_wild": "mlp", "bottleneck": "mlp", "linear_stack": "mlp"}
_COUNT_TWINS = {
    "stretched in the loss": "accuracy on counts",
    "softmax under squared error on counts": "softmax left out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What a proved finding's change is worth.

    Attributes:
        code: Of the finding.
        said: The change that was chosen, in words; and what the random search found.
        trainings: Copies that were trained to choose: as many as the random search trained, less the proof's.
        images: On which the scores were taken; none of them was trained or chosen on.
        healthy: Score of the healthy twin: here and below the mean of the same seeds, none of which chose.
        before: Of the faulty training.
        plain: With the change that proved the finding.
        after: With the change that was chosen.
        searched: With what the random search chose.
        searched_same: With what it chose among changes that keep the network.
        noise: Standard error of `healthy`, by its trainings.
    """

    code: str
    said: tuple[str, str]
    trainings: int
    images: int
    healthy: float
    before: float
    plain: float
    after: float
    searched: float
    searched_same: float
    noise: float


def mended_case(
    case: Case, seen: Watched, verdict: Verdict, samples: Path, cache: Path
) -> Mended | None:
    """Choose a change as the product does and one at random, and score both on other images and seeds."""
    bench = _bench(seen)
    pair = changes_for(verdict, bench.live, seen.signals) if bench is not None else None
    found = mended(verdict, bench) if bench is not None else None
    twin = _twin(case, samples, cache)
    assert twin.live is not None
    own, judged = pool_of(twin.live), pool_of(twin.live, "validation")
    if bench is None or pair is None or found is None or own is None or judged is None:
        return None
    change, faulty, contest = found
    spent = contest.trainings
    search, same = _random_search(bench, verdict.code, faulty, spent + _PROOF, case.seed)
    judged = _unseen(judged, contest.judged)
    steps = seen.signals.steps or 0

    def scores(live: Live | None, pool: Pool, change: Change, seeds: int = _SEEDS) -> list[float]:
        assert live is not None
        return [
            accuracy_after(
                live, pool, change, seed=_FIRST + k, steps=steps,
                deadline=time.monotonic() + _SECONDS, on=judged,
            )
            for k in range(seeds)
        ]  # fmt: skip

    healthy = scores(twin.live, own, Change())
    table = {
        c: scores(seen.live, bench.train, c) for c in {pair[1], change, search, same} - {faulty}
    }
    table[faulty] = scores(
        seen.live, bench.train, faulty, _SEEDS if faulty in {search, same} else _FEW
    )
    return Mended(
        code=verdict.code, said=(told(change, faulty), told(search, faulty)), trainings=spent,
        images=len(judged.images), healthy=fmean(healthy), before=fmean(table[faulty]),
        plain=fmean(table[pair[1]]), after=fmean(table[change]), searched=fmean(table[search]),
        searched_same=fmean(table[same]),
        noise=float(torch.tensor(healthy).std() / len(healthy) ** 0.5),
    )  # fmt: skip


def _bench(seen: Watched) -> Bench | None:
    assert seen.live is not None
    train = pool_of(seen.live)
    if train is None or seen.live.main is None or not seen.signals.steps:
        return None
    return Bench(
        live=seen.live, train=train, validation=pool_of(seen.live, "validation"), signals=seen.signals,
        deadline=time.monotonic() + _SECONDS, pairs=5,
    )  # fmt: skip


def _twin(case: Case, samples: Path, cache: Path) -> Watched:
    return watched(
        replace(
            case, fault=_COUNT_TWINS.get(case.fault, ""),
            network=_OWN_TWINS.get(case.network, case.network),
        ),
        samples, cache,
    )  # fmt: skip


def _unseen(judged: Pool, chosen: Pool) -> Pool:
    """Return the images of validation that no change was chosen on, be it in another order."""
    known = {image.numpy().tobytes() for image in chosen.images}
    mask = ~chosen_on(len(judged.images))
    mask &= torch.tensor([image.numpy().tobytes() not in known for image in judged.images])
    return judged.rows(mask)


def _random_search(
    bench: Bench, code: str, faulty: Change, trainings: int, seed: int
) -> tuple[Change, Change]:
    """Return the best of random changes of one thing each, and of those that keep the network.

    They are chosen on the same images as the product's; the second choice has a few trainings more.
    """
    bench = replace(bench, deadline=time.monotonic() + _SECONDS)
    contest = contest_of(bench, code)
    assert contest is not None
    generator = random.Random(seed)
    openable = can_be_opened(bench.live, bench.train)
    changes: dict[Change, None] = {}
    for _ in range(_DRAWS):
        if len(changes) < trainings - FINALISTS * (REPEATS - 1):
            changes.setdefault(replace(faulty, **_draw(generator, openable=openable)))
    ranked = contest.best(list(changes))
    same = [change for change in ranked if not change.plain]
    return contest.settle(ranked) or faulty, contest.settle(same) or faulty


def _draw(generator: random.Random, *, openable: bool) -> dict[str, Any]:
    """Return one of the changes that proofs make, at random."""
    choices: list[dict[str, Any]] = [
        {"rate": 10 ** generator.uniform(-3, 3)}, {"shuffle": True}, {"zero": True}, {"decay": 0.0},
        {"dropout": False}, {"clip": 1.0}, {"trained": "all"}, {"rates": ()}, {"aligned": True},
        {"activation": "leaky", "fresh": True}, {"activation": "relu", "fresh": True},
        {"between": True}, {"head": 10 ** generator.uniform(-3, 0)}, {"balance": True},
        {"batch": 32, "chunk": 0}, {"plain": True},
    ]  # fmt: skip
    return generator.choice([*choices, {"open_output": True}] if openable else choices)


def mending_figures(found: list[Mended]) -> list[str]:
    """Return what changes restore, as lines."""
    gain = paired_mean([one.after - one.searched for one in found])
    lines = [
        f"proved changes that restore 95 % of the healthy twin, chosen "
        f"{share_of([m.after >= 0.95 * m.healthy for m in found])}",
        f"the same by the change that proved it, as it is         "
        f"{share_of([m.plain >= 0.95 * m.healthy for m in found])}",
        f"the same by a random search with as many trainings      "
        f"{share_of([m.searched >= 0.95 * m.healthy for m in found])}",
    ]
    same = paired_mean([one.after - one.searched_same for one in found])
    lines.insert(
        3,
        f"the same by such a search that keeps the network        "
        f"{share_of([m.searched_same >= 0.95 * m.healthy for m in found])}",
    )
    if gain.low is not None and gain.high is not None:
        lines.append(
            f"change against search, in accuracy {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        )
    if same.low is not None and same.high is not None:
        lines.append(
            f"against the one that keeps the network {same.value:+.3f} ({same.low:+.3f} to {same.high:+.3f})"
        )
    return lines + [
        f"  {m.code}: healthy {m.healthy:.3f} (± {m.noise:.3f}), as it was {m.before:.3f}, plain "
        f"{m.plain:.3f}, chosen {m.after:.3f} ({m.said[0]}), searched {m.searched:.3f} ({m.said[1]}), "
        f"with its network {m.searched_same:.3f}"
        for m in sorted(found, key=lambda m: (m.code, m.healthy))
    ]


def share_of(hits: list[bool]) -> str:
    """Return a share with its interval."""
    estimate = wilson(sum(hits), len(hits))
    if estimate.value is None:
        return "none yet"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}, n = {len(hits)})"
