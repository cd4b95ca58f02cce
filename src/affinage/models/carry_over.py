"""Going on from a trained model: its weights into a new one, the head's rows by the labels' names."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from affinage.errors import ModelError
from affinage.models.classifier import Classifier
from affinage.records.carried_over import CarriedOver

CUT = "backbone.network."
"""Where a backbone's tensors stand if its maps are taken from the middle (`model.head.layers`)."""

LAST = ("head.weight", "head.bias", "head.last.weight", "head.last.bias")


def carry_over(
    old_state: Mapping[str, Tensor],
    old_classes: Sequence[str],
    model: Classifier,
    new_classes: Sequence[str],
) -> CarriedOver:
    """Put a trained model's weights into a new one, in place, and return what was carried over.

    A tensor is carried where name and shape are the same; a backbone that is cut for maps of its middle, and
    the whole one, are the same network as far as both go. Of the head's last layer, the rows of
    labels that both know are carried to where the new model has them; rows of new labels are 0.
    Where the head gives several numbers for each label, those of number k stand at k * labels + label.

    Args:
        old_state: The trained model's tensors by name, as `state_dict` gives them.
        old_classes: Its labels, in the order of its outputs.
        model: Freshly built; whatever is not carried stays as it is.
        new_classes: Labels of the new model, in the order of its outputs.

    Raises:
        ModelError: If nothing of the backbone fits: it is another network.
    """
    state = model.state_dict()
    cut = any(name.startswith(CUT) for name in state)
    old_state = {_named(name, cut=cut): tensor for name, tensor in old_state.items()}
    last = [name for name in state if name in LAST]
    taken = {
        name: tensor
        for name, tensor in old_state.items()
        if name in state and name not in last and tensor.shape == state[name].shape
    }
    if not any(name.startswith("backbone.") and tensor.ndim > 1 for name, tensor in taken.items()):
        raise ModelError(
            "No layer of the trained model fits this backbone.",
            remedy="Go on with the run's own model.backbone, or leave --from out.",
        )
    rows = _rows(old_classes, new_classes)
    kept = {
        name: _carried_rows(old_state[name], state[name], rows, len(old_classes), len(new_classes))
        for name in last
        if _fits(old_state.get(name), state[name], len(old_classes), len(new_classes))
    }
    if len(kept) < len(last):  # Weights without their biases would be another layer.
        kept = {}
    model.load_state_dict({**state, **taken, **kept}, strict=True)
    return _report(model, old_state, old_classes, new_classes, set(taken), set(kept))


def _named(name: str, *, cut: bool) -> str:
    """Return where a tensor of a backbone stands in a model that is cut, or in one that is not."""
    if cut and name.startswith("backbone.") and not name.startswith(CUT):
        return name.replace("backbone.", CUT, 1)
    return name if cut else name.replace(CUT, "backbone.", 1)


def _rows(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Return the old place of each label by its new one, of those that both know."""
    place = {label: number for number, label in enumerate(old)}
    return {number: place[label] for number, label in enumerate(new) if label in place}


def _fits(old: Tensor | None, new: Tensor, old_classes: int, new_classes: int) -> bool:
    if old is None or old.shape[1:] != new.shape[1:] or len(old) % old_classes:
        return False
    return len(old) // old_classes * new_classes == len(new)


def _carried_rows(
    old: Tensor, new: Tensor, rows: Mapping[int, int], old_classes: int, new_classes: int
) -> Tensor:
    carried = torch.zeros_like(new)
    for part in range(len(new) // new_classes):
        for place, before in rows.items():
            carried[part * new_classes + place] = old[part * old_classes + before].to(new)
    return carried


def _report(
    model: Classifier,
    old_state: Mapping[str, Tensor],
    old_classes: Sequence[str],
    new_classes: Sequence[str],
    taken: set[str],
    kept: set[str],
) -> CarriedOver:
    known = set(old_classes) if kept else set()
    both = [label for label in new_classes if label in known]
    weights = {name: parameter.numel() for name, parameter in model.named_parameters()}
    of_rows = {name: weights[name] * len(both) // len(new_classes) for name in kept}
    return CarriedOver(
        kept=tuple(both),
        new=tuple(label for label in new_classes if label not in known),
        dropped=tuple(label for label in old_classes if label not in set(new_classes)),
        weights=sum(of_rows.get(name, weights[name]) for name in weights if name in taken | kept),
        of=sum(weights.values()),
        fresh=tuple(name for name in model.state_dict() if name not in taken | kept),
        left=tuple(name for name in old_state if name not in taken | kept),
    )
