"""In which order images come, and how long they are waited for."""

from itertools import pairwise

from affinage.diagnosis.answers import Answered, Fine, Found, Unchecked, otherwise
from affinage.diagnosis.reading import feeding_of, finite
from affinage.records.signals import Signals

_WORTH_SECONDS = 120.0
"""Waiting in all, from which on it is worth a warning: a training of a minute is none of anyone's worries."""


def unshuffled(signals: Signals) -> Answered:
    """Training images come sorted by class."""
    fed = feeding_of(signals)
    if fed is None:
        return Unchecked("how training images were fed is not known")
    if fed.neighbours_equal is None or fed.neighbours_expected is None:
        if fed.shuffled:
            return Fine("the sampler shuffles")
        return Unchecked("the order of the labels was not seen")
    excess = fed.neighbours_equal - fed.neighbours_expected
    room = 1.0 - fed.neighbours_expected
    noise = 3 * (fed.neighbours_expected * room / max(fed.n, 1)) ** 0.5
    if fed.shuffled or excess < max(0.4 * room, noise):
        return Fine(
            f"neighbours share a label in {fed.neighbours_equal:.0%} of {fed.n} pairs; "
            f"a random order gives {fed.neighbours_expected:.0%}"
        )
    batch = f", a batch holds {fed.batch_labels:.1f} classes on average" if fed.batch_labels else ""
    return Found(
        subject=f"Training images come sorted: {fed.neighbours_equal:.0%} of neighbours "
        "share a label, where a "
        f"random order gives {fed.neighbours_expected:.0%}{batch}.",
        evidence=(f"n = {fed.n} pairs", f"sampler: {fed.sampler or 'unknown'}"),
        remedy="Set shuffle=True in the training DataLoader (in Keras in model.fit).",
        grade="fact",
        where=("train",),
        alternatives=otherwise("luck", "the excess is more than three standard errors"),
    )


def same_order(signals: Signals) -> Answered:
    """Every epoch has the same order, though the order itself is mixed."""
    fed = feeding_of(signals)
    if fed is None or fed.same_order is None:
        return Unchecked("the order of two epochs was not seen")
    if not fed.same_order:
        return Fine("two epochs came in different orders")
    return Found(
        subject="Every epoch brings the training images in the same order.",
        remedy="Set shuffle=True; a fixed mixed order costs little, a fixed sorted one much.",
        grade="fact",
        where=("train",),
    )


def follows_seed(signals: Signals) -> Answered:
    """Images come otherwise though all seeds are the same."""
    fed = feeding_of(signals)
    if fed is None or fed.same_under_seed is None:
        return Unchecked("no batch was drawn twice under the same seeds")
    if fed.same_under_seed:
        return Fine("a batch drawn twice under the same seeds is the same")
    if not fed.seeded:
        return Fine("torch was given no seed: no two trainings are meant to be equal")
    return Found(
        subject="Torch was given a seed, but a batch drawn twice under the same seeds of torch, NumPy and "
        "Python differs: two trainings with one seed will not give the same model.",
        evidence=("two copies of the training loader, first batch, image by image",),
        remedy="Draw every random number of a transform or data set from torch, or from a generator that "
        "is made of the seed; sort lists of files.",
        grade="measured",
        where=("train",),
        alternatives=otherwise(
            "a generator of the script's own, made of the seed outside the data set",
            "it is not excluded: run the script twice and compare the first losses",
        ),
    )


def starved(signals: Signals) -> Answered:
    """The network waits for images."""
    waiting, computing = (
        finite(signals.series_of(f"{name}_seconds"))[1:] for name in ("waiting", "computing")
    )
    n = min(len(waiting), len(computing))
    if n < 10:
        return Unchecked("fewer than 10 steps were timed")
    waited, computed = sum(waiting[:n]), sum(computing[:n])
    share = waited / max(waited + computed, 1e-9)
    if share < 0.4:
        return Fine(f"waiting takes {share:.0%} of {n} steps")
    fed = feeding_of(signals)
    workers = fed.workers if fed else None
    gain = (waited + computed) / max(waited, computed)
    return Found(
        subject=f"The network waits for images {share:.0%} of the time ({waited:.1f} s of "
        f"{waited + computed:.1f} s "
        f"in {n} steps).",
        evidence=(
            f"workers: {workers if workers is not None else 'unknown'}",
            f"loading while the network computes would make an epoch {gain:.1f} times faster at most",
            f"images kept decoded in memory: up to {(waited + computed) / max(computed, 1e-9):.1f} times",
        ),
        remedy="Set num_workers to the number of cores, or decode and resize the images once.",
        grade="measured",
        where=("train",),
        severity="warning" if waited > _WORTH_SECONDS else "note",
    )


def memory_grows(signals: Signals) -> Answered:
    """Memory grows from step to step."""
    values = finite(signals.series_of("memory_mb"))
    if len(values) < 20:
        return Unchecked("memory was not recorded")
    half = values[len(values) // 4 :]
    grown = half[-1] - half[0]
    rising = sum(b > a for a, b in pairwise(half)) / (len(half) - 1)
    if grown < 0.3 * half[0] or grown < 200 or rising < 0.7:
        return Fine(f"memory went from {half[0]:.0f} to {half[-1]:.0f} MB")
    return Found(
        subject=f"Memory grew from {half[0]:.0f} to {half[-1]:.0f} MB, step by step.",
        remedy="Keep numbers, not tensors with their graph: loss.item() or loss.detach().",
        grade="measured",
    )
