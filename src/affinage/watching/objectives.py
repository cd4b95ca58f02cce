"""Which losses a training uses, and what stands before them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from affinage.records.training_facts import Objective
from affinage.watching.graph import activation_of
from affinage.watching.passes import LossCall, Pass

FROM_LOGITS = {
    "cross_entropy": True, "binary_cross_entropy_with_logits": True, "multi_margin_loss": True,
    "multilabel_soft_margin_loss": True, "soft_margin_loss": True,
    "nll_loss": False, "binary_cross_entropy": False,
}  # fmt: skip


@dataclass(slots=True)
class ObjectiveTally:
    """Every kind of loss that was seen, once."""

    seen: dict[tuple[str, str, str], Objective] = field(default_factory=dict)

    def add(self, call: LossCall, part: str) -> None:
        """Enter a call of a loss function."""
        activation = activation_of(call.outputs)
        phase = "training" if part == "train" else "validation"
        key = (call.name, activation, phase)
        stretched = _stretched(call)
        if key in self.seen and (self.seen[key].shapes_differ or not stretched):
            return
        self.seen[key] = Objective(
            name=call.name,
            activation=activation,
            outputs=_width(call.outputs),
            from_logits=FROM_LOGITS.get(call.name),
            class_weights=isinstance(call.settings.get("weight"), Tensor),
            smoothing=float(call.settings.get("label_smoothing") or 0.0),
            part_of="training" if part == "train" else "validation",
            shapes_differ=stretched,
            shapes=(tuple(call.outputs.shape), tuple(call.targets.shape)),
        )

    def add_unknown(self, name: str, activation: str, each: Pass) -> None:
        """Enter a loss that was written by hand, as its graph shows it."""
        width = _width(each.outputs) if each.outputs is not None else None
        self.seen.setdefault(
            (name, activation, "training"),
            Objective(
                name=name, activation=activation, outputs=width, from_logits=FROM_LOGITS.get(name)
            ),
        )

    def usual(self) -> str:
        """Return the name of the first loss that gradients came from."""
        return next((o.name for o in self.seen.values() if o.part_of == "training"), "unknown")

    def from_logits(self) -> bool:
        """Return whether outputs are to be read as logits."""
        first = next((o for o in self.seen.values() if o.part_of == "training"), None)
        return first is None or (first.from_logits is not False and first.activation != "sigmoid")

    def criterion(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """Return the loss as a function of outputs and targets; None where it is not torch's own."""
        name = self.usual()
        function = getattr(nn.functional, name, None)
        smooth = next((o.smoothing for o in self.seen.values() if o.name == name), 0.0)
        if function is None or name in {"gaussian_nll_loss", "kl_div"}:
            return None
        settings = {"label_smoothing": smooth} if name == "cross_entropy" else {}

        def mean_loss(outputs: Tensor, targets: Tensor) -> Tensor:
            result: Tensor = function(outputs, targets, **settings)
            return result

        return mean_loss

    def facts(self) -> tuple[Objective, ...]:
        """Return all that were seen; what evaluation could not tell is taken from training."""
        training = [o for o in self.seen.values() if o.part_of == "training"]
        known = {o.name: o.activation for o in training if o.activation != "unknown"}
        return tuple(
            replace(o, activation=known.get(o.name, "unknown")) if o.activation == "unknown" else o
            for o in self.seen.values()
        )


def _width(outputs: Tensor) -> int | None:
    return int(outputs.shape[1]) if outputs.ndim > 1 else 1 if outputs.ndim == 1 else None


def _stretched(call: LossCall) -> bool:
    """Return whether the loss compares every output with every target by mistake."""
    if call.name in {"cross_entropy", "nll_loss", "multi_margin_loss"}:
        return False
    return call.outputs.shape != call.targets.shape and call.outputs.ndim > 0
