"""A loss that does not fit its input, in the words of Keras: there other names and switches do it."""

from affinage.records.training_facts import Objective

_CATEGORICAL = "Categorical cross-entropy (sparse or not)"
_TO_SOFTMAX = (
    'End the network in softmax: layers.Dense(classes, activation="softmax"); or leave its outputs raw and '
    "write from_logits=True in the loss."
)
_TO_SIGMOID = 'Yes or no: layers.Dense(1, activation="sigmoid") and loss="binary_crossentropy".'


def in_keras(objective: Objective) -> tuple[str, str] | None:
    """Return problem and remedy of a contradiction in the words of Keras; None where they are the same."""
    name, activation = objective.name, objective.activation
    given = "raw outputs" if activation == "none" else f"outputs of {activation}"
    if name == "nll_loss":
        remedy = _TO_SIGMOID if objective.outputs == 1 else _TO_SOFTMAX
        return f"{_CATEGORICAL} takes probabilities that sum to 1, and gets {given}.", remedy
    if name == "cross_entropy" and activation == "softmax":
        return (
            "Softmax is applied twice: once in the network, and once in the loss by from_logits=True, so "
            "gradients fade.",
            "Leave out from_logits=True; or take the softmax out of the network and keep it.",
        )
    if name == "cross_entropy":
        return (
            f"With from_logits=True the loss takes raw outputs of any size, and gets {given}.",
            f"Take the {activation} off the last layer.",
        )
    if name == "binary_cross_entropy_with_logits":
        return (
            f"With from_logits=True the loss applies a sigmoid of its own, and its input already went "
            f"through {activation}.",
            f"Leave out from_logits=True; or take the {activation} off the last layer.",
        )
    if name == "binary_cross_entropy" and activation in {"none", "relu"}:
        return (
            f"Binary cross-entropy takes probabilities from 0 to 1, and gets {given}.",
            'End the network in a sigmoid: layers.Dense(1, activation="sigmoid"); or leave its outputs raw '
            "and write from_logits=True in the loss.",
        )
    return None
