"""One training of a script: from an optimizer's first step until another one takes over."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from affinage.watching.curves import Curves
from affinage.watching.inputs import InputTally
from affinage.watching.layers import NormTally
from affinage.watching.objectives import ObjectiveTally
from affinage.watching.outputs import OutputTally
from affinage.watching.series import SeriesBook
from affinage.watching.targets import LabelOrder, TargetTally
from affinage.watching.weights import OptimizerTally

_MOST_BYTES = 200_000_000
"""Of weights that are kept as they were at the start."""


@dataclass(slots=True)
class Stage:
    """All tallies of one training.

    Attributes:
        called: Networks that computed in it, by name.
        used: Those among them that computed in training steps.
        trained: Those among them through which gradients may flow.
        pretrained: Whether the networks had been trained before it.
        starts: Weights and buffers before the first step, by the network's name, where memory allows.
        modes: Mode of every module in its last training step.
        layer_order: Layers in the order in which they compute.
        backwards: How often gradients were computed.
    """

    called: dict[str, nn.Module] = field(default_factory=dict)
    used: dict[str, nn.Module] = field(default_factory=dict)
    trained: dict[str, nn.Module] = field(default_factory=dict)
    pretrained: bool | None = None
    starts: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    modes: dict[nn.Module, bool] = field(default_factory=dict)
    layer_order: list[str] = field(default_factory=list)
    backwards: int = 0
    curves: Curves = field(default_factory=Curves)
    book: SeriesBook = field(default_factory=SeriesBook)
    norms: NormTally = field(default_factory=NormTally)
    order: LabelOrder = field(default_factory=LabelOrder)
    objectives: ObjectiveTally = field(default_factory=ObjectiveTally)
    optimizers: dict[int, OptimizerTally] = field(default_factory=dict)
    inputs: dict[str, InputTally] = field(default_factory=dict)
    outputs: dict[str, OutputTally] = field(default_factory=dict)
    targets: dict[str, TargetTally] = field(default_factory=dict)

    def name_of(self, root: nn.Module) -> str:
        """Return the name under which a network is listed: none for the first."""
        for name, known in self.called.items():
            if known is root:
                return name
        name = type(root).__name__ if self.called else ""
        while name in self.called:
            name += "'"
        self.called[name] = root
        return name

    def keep_start(self, name: str, root: nn.Module) -> None:
        """Keep a network's weights as they are before the first step, for experiments from the same start."""
        state = root.state_dict() if name not in self.starts else {}
        if 0 < sum(value.nbytes for value in state.values()) <= _MOST_BYTES:
            self.starts[name] = {key: value.detach().clone() for key, value in state.items()}

    def modules(self) -> dict[str, nn.Module]:
        """Return all modules of the networks that computed in training steps, by path."""
        return {
            path: module
            for name, root in (self.used or self.called).items()
            for path, module in root.named_modules(prefix=name)
        }

    def asleep(self) -> set[str]:
        """Return the paths of modules in networks that compute beside training without gradients."""
        return {
            path
            for name, root in self.used.items()
            if name not in self.trained
            for path, _ in root.named_modules(prefix=name)
        }

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters of all trained networks by path."""
        return {
            path: parameter
            for name, root in self.trained.items()
            if name in self.used
            for path, parameter in root.named_parameters(prefix=name)
        }

    def held(self) -> set[int]:
        """Return the identities of all parameters that its optimizers hold."""
        return {id(p) for tally in self.optimizers.values() for p in tally.held()}
