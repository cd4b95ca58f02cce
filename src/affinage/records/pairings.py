"""Which loss, output, labels and balance go together, and why the others do not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

TaskName = Literal["classify", "multilabel", "count"]
LossName = Literal[
    "cross_entropy",
    "focal",
    "bce",
    "mse",
    "mae",
    "poisson",
    "negative_binomial",
    "zero_inflated",
    "hurdle",
    "ordinal",
]
OutputName = Literal["linear", "relu", "softplus", "exp", "sigmoid", "sigmoid_max", "softmax"]
LabelForm = Literal["index", "one_hot"]
CountTarget = Literal["count", "frequency"]
BalanceName = Literal["none", "weight", "effective", "logit_adjustment", "sampler", "rarity"]

BALANCES: dict[TaskName, tuple[BalanceName, ...]] = {
    "classify": ("none", "weight", "effective", "logit_adjustment", "sampler"),
    "multilabel": ("none", "weight", "effective", "logit_adjustment", "sampler"),
    "count": ("none", "weight", "effective", "sampler", "rarity"),
}

_GIVES: dict[OutputName, str] = {
    "linear": "any number, also below 0",
    "relu": "exactly 0 for half of what it may get, where nothing is learnt any more",
    "softplus": "any number above 0",
    "exp": "any number above 0",
    "sigmoid": "a number between 0 and 1 for each class on its own",
    "sigmoid_max": "a number between 0 and the largest count for each class on its own",
    "softmax": "shares that sum to 1 over the classes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """One loss for one kind of target.

    Attributes:
        loss: Its name, as in `loss.name`.
        task: The task it is for.
        target: For counts, the target it is for, as in `count.target`.
        outputs: What may stand before it, as in `loss.output`; the first is the default.
        wants: What it needs there, in words.
        labels: For `classify`, the forms of label it takes; the first is the default.
    """

    loss: LossName
    task: TaskName
    target: CountTarget = "count"
    outputs: tuple[OutputName, ...]
    wants: str
    labels: tuple[LabelForm, ...] = ()


_SHARES = "probabilities that sum to 1 over the classes"
_EACH = "a probability for each label on its own"
_RATE = "a mean count above 0, since it takes the logarithm of it"
_RATES: tuple[OutputName, ...] = ("exp", "softplus", "sigmoid_max")
_ANY: tuple[OutputName, ...] = ("linear", "relu", "softplus", "exp", "sigmoid_max")
_COUNT = "a number for each class that can reach its counts"
_SHARE = "a share for each class, and does not learn through a softmax that is sure and wrong"

PAIRINGS: tuple[Pairing, ...] = (
    Pairing(loss="cross_entropy", task="classify", outputs=("softmax",), wants=_SHARES,
            labels=("index", "one_hot")),
    Pairing(loss="focal", task="classify", outputs=("softmax",), wants=_SHARES,
            labels=("index", "one_hot")),
    Pairing(loss="mse", task="classify", outputs=("softmax",), wants=_SHARES, labels=("one_hot",)),
    Pairing(loss="bce", task="multilabel", outputs=("sigmoid",), wants=_EACH),
    Pairing(loss="focal", task="multilabel", outputs=("sigmoid",), wants=_EACH),
    Pairing(loss="poisson", task="count", outputs=_RATES, wants=_RATE),
    Pairing(loss="negative_binomial", task="count", outputs=_RATES, wants=_RATE),
    Pairing(loss="zero_inflated", task="count", outputs=_RATES, wants=_RATE),
    Pairing(loss="hurdle", task="count", outputs=_RATES, wants=_RATE),
    Pairing(loss="ordinal", task="count", outputs=("linear",), wants="plain scores, since it "
            "holds its own sigmoids"),
    Pairing(loss="mse", task="count", outputs=_ANY, wants=_COUNT),
    Pairing(loss="mae", task="count", outputs=_ANY, wants=_COUNT),
    Pairing(loss="cross_entropy", task="count", target="frequency", outputs=("softmax",),
            wants=_SHARES),
    Pairing(loss="mse", task="count", target="frequency",
            outputs=("linear", "relu", "softplus", "sigmoid"), wants=_SHARE),
    Pairing(loss="mae", task="count", target="frequency",
            outputs=("linear", "relu", "softplus", "sigmoid"), wants=_SHARE),
)  # fmt: skip
"""Every legal pairing; the first of a task (and target) holds its default loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a recipe asks of its loss; None where it leaves the choice.

    Attributes:
        task: The task.
        target: What counts are learnt as.
        loss: The loss.
        output: What stands before it.
        labels: The form of the labels.
        balance: How rare classes or counts are made up for.
        soft: True where training images are mixed, so that their labels are no whole ones.
    """

    task: TaskName
    target: CountTarget
    loss: LossName | None
    output: OutputName | None
    labels: LabelForm | None
    balance: BalanceName
    soft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A loss and what goes with it, nothing left open.

    Attributes:
        loss: The loss.
        output: What stands before it.
        labels: For `classify`, the form of label it gets.
    """

    loss: LossName
    output: OutputName
    labels: LabelForm


def pairings_of(task: TaskName, target: CountTarget = "count") -> tuple[Pairing, ...]:
    """Return the legal pairings of a task, and for counts of a target, the default one first."""
    wanted: CountTarget = target if task == "count" else "count"
    return tuple(pair for pair in PAIRINGS if (pair.task, pair.target) == (task, wanted))


def resolve(chosen: Chosen) -> Resolved:
    """Return what is used: where the recipe leaves a choice open, the task's first pairing."""
    there = pairings_of(chosen.task, chosen.target)
    loss = chosen.loss or there[0].loss
    first = next(pair for pair in (*there, *PAIRINGS) if pair.loss == loss)
    soft: LabelForm = "one_hot" if chosen.soft else "index"
    forms = first.labels or ("index",)
    return Resolved(
        loss=loss,
        output=chosen.output or first.outputs[0],
        labels=chosen.labels or (soft if soft in forms else forms[0]),
    )


def problems(chosen: Chosen) -> tuple[str, ...]:
    """Return what does not go together, each with the reason and the right pairing; none if all does."""
    return tuple(_problems(chosen))


def impossible(chosen: Chosen) -> bool:
    """Return True where not even `force` can train: one class each cannot be several numbers a class."""
    if chosen.task != "classify":
        return False
    mixed_index = chosen.labels == "index" and chosen.soft and resolve(chosen).loss != "mse"
    return resolve(chosen).loss in ("negative_binomial", "zero_inflated", "hurdle") or mixed_index


def _problems(chosen: Chosen) -> Iterator[str]:
    there = pairings_of(chosen.task, chosen.target)
    what = chosen.task if chosen.task != "count" else f"count with count.target={chosen.target}"
    known = {pair.loss: pair for pair in there}
    if chosen.target == "frequency" and chosen.task != "count":
        yield (
            f"count.target=frequency is for task=count, not {chosen.task}. "
            "Right: leave it at `count`."
        )
    resolved = resolve(chosen)
    if resolved.loss not in known:
        yield _wrong_loss(resolved.loss, what, there, chosen)
    elif resolved.output not in known[resolved.loss].outputs:
        yield _wrong_output(known[resolved.loss], resolved.output, chosen)
    yield from _wrong_labels(known.get(resolved.loss), chosen)
    yield from _wrong_balance(chosen, resolved)


def _wrong_loss(loss: LossName, what: str, there: tuple[Pairing, ...], chosen: Chosen) -> str:
    names = ", ".join(pair.loss for pair in there)
    why = {
        "cross_entropy": "it takes exactly one right class per image",
        "bce": "it takes yes or no for each label",
        "focal": "it takes yes or no for a class or label",
        "mse": "it measures how far a number is off",
        "mae": "it measures how far a number is off",
    }.get(loss, "it takes counts, 0 or more of each class")
    hint = ""
    if loss == "cross_entropy" and chosen.task == "count":
        hint = "; shares of the counts with count.target=frequency go with cross_entropy"
    return f"loss.name={loss} does not fit task={what}: {why}. Right: one of {names}{hint}."


def _wrong_output(pairing: Pairing, output: OutputName, chosen: Chosen) -> str:
    elsewhere = [
        pair.loss + (" on count.target=frequency" if pair.target != pairing.target else "")
        for pair in PAIRINGS
        if pair.task == chosen.task and output in pair.outputs and pair.loss != pairing.loss
    ]
    other = f"; {output} goes with {', '.join(elsewhere)}" if elsewhere else ""
    right = " or ".join(pairing.outputs)
    return (
        f"loss.output={output} under loss.name={pairing.loss} cannot be right for "
        f"task={chosen.task}: {output} gives {_GIVES[output]}, but {pairing.loss} wants "
        f"{pairing.wants}. Right: loss.output={right}{other}."
    )


def _wrong_labels(pairing: Pairing | None, chosen: Chosen) -> Iterator[str]:
    if chosen.labels is None or pairing is None:
        return
    if chosen.task != "classify":
        yield (
            f"loss.labels={chosen.labels} is for task=classify; {chosen.task} has a number for "
            "each class and image. Right: leave loss.labels out."
        )
    elif chosen.labels not in pairing.labels:
        yield (
            f"loss.labels={chosen.labels} under loss.name={pairing.loss}: it compares a whole row "
            "of outputs with a whole row of 0s and a 1, but an index is one number, which would be "
            "compared with every output. Right: loss.labels=one_hot, or loss.name=cross_entropy."
        )
    elif chosen.labels == "index" and chosen.soft:
        yield (
            "loss.labels=index with augment.mixup or augment.cutmix: a mixture of two images is "
            "partly one class and partly the other, which an index cannot say. "
            "Right: loss.labels=one_hot, or leave it out."
        )


def _wrong_balance(chosen: Chosen, resolved: Resolved) -> Iterator[str]:
    legal = BALANCES[chosen.task]
    if chosen.balance not in legal:
        why = {
            "rarity": "it weighs by how rare a count is",
            "logit_adjustment": "it shifts scores by the log of class shares, which counts have not",
        }.get(chosen.balance, "it is for other tasks")
        yield (
            f"loss.balance={chosen.balance} does not fit task={chosen.task}: {why}. "
            f"Right: one of {', '.join(legal)}."
        )
    elif chosen.balance == "rarity" and chosen.target == "frequency":
        yield (
            "loss.balance=rarity with count.target=frequency: shares have no count that could be "
            "rare. Right: loss.balance=weight, or count.target=count."
        )
    elif chosen.balance == "logit_adjustment" and resolved.loss == "mse":
        yield (
            "loss.balance=logit_adjustment under loss.name=mse: it is derived for a log loss. "
            "Right: loss.name=cross_entropy, or loss.balance=weight."
        )


LOSS_NAMES: tuple[str, ...] = get_args(LossName)
OUTPUT_NAMES: tuple[str, ...] = get_args(OutputName)
