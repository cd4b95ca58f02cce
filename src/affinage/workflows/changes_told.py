"""Changes of a training in words."""

from affinage.watching.changes import Change

_WORDS = {
    "zero": "gradients set to zero before each step", "dropout": "no dropout",
    "resting": "frozen BatchNorm in evaluation mode", "open_output": "no activation at the output",
    "scale": "images scaled anew", "between": "a ReLU between layers with weights",
    "fresh": "first weights by He's initialisation", "balance": "every class drawn equally often",
    "aligned": "outputs in the shape of the targets", "clip": "gradients clipped at a norm of 1",
    "normed": "BatchNorm behind every layer with weights but the last", "shuffle": "images in random order",
}  # fmt: skip
_PLAIN = "another network, two dense layers of 256 units"
_TRAINED = {"all": "every weight trained", "last": "the last layer trained"}
_RESET = {
    "all": "first weights as PyTorch begins them",
    "last": "the last layer's first weights as PyTorch begins them",
}
_ACTIVATION = {"leaky": "leaky ReLU inside", "relu": "ReLU inside"}


def told(change: Change, faulty: Change) -> str:
    """Return what is different from the faulty training, as one phrase of parts.

    Args:
        change: That mends it.
        faulty: The training as it was.
    """
    parts = [
        words
        for name, words in _WORDS.items()
        if getattr(change, name) != getattr(faulty, name) and getattr(change, name)
    ]
    if change.plain:
        return ", ".join((_PLAIN, *_numbers(change, faulty)))
    if not change.dropout:
        parts.append(_WORDS["dropout"])
    parts += [
        _TRAINED.get(change.trained, ""), _RESET.get(change.reset, ""),
        _ACTIVATION.get(change.activation, ""), *_numbers(change, faulty),
    ]  # fmt: skip
    return ", ".join(part for part in parts if part) or "nothing else"


def _numbers(change: Change, faulty: Change) -> list[str]:
    parts = []
    if change.decay != faulty.decay:
        parts.append(f"weight decay times {change.decay:g}" if change.decay else "no weight decay")
    if change.head != faulty.head:
        parts.append(f"first weights of the last layer times {change.head:.2g}")
    if change.chunk != faulty.chunk:
        parts.append(f"BatchNorm on batches of {change.batch}")
    if change.rates != faulty.rates:
        parts.append("its highest learning rate held")
    if change.set_rate:
        parts.append(f"a learning rate of {change.set_rate:.2g}")
    elif change.rate != faulty.rate:
        parts.append(f"learning rates times {change.rate:.2g}")
    return parts
