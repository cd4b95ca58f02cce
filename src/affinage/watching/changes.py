"""What may be different in a copy of a watched training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different in the changed training; by default nothing is, and images come in random order.

    Attributes:
        rate: Factor on all learning rates.
        set_rate: Learning rate of all groups, in place of their own; 0 = their own.
        rates: Factor on all learning rates by step, the last one standing for all later steps.
        shuffle: Whether images are drawn in random order; else they come as the loader gave them.
        zero: Whether gradients are set to zero before each step.
        decay: Factor on weight decay.
        dropout: Whether dropout acts.
        clip: Largest norm of the gradient; 0 = none.
        resting: Layers that are kept in evaluation mode, with the statistics that they had at first.
        open_output: Whether an activation at the very end is left out.
        scale: What every image goes through first.
        trained: Whether every weight (`all`), or only the last layer (`last`), takes a gradient and is
            held by the optimizer whatever was so before.
        activation: What stands in the place of inner activations: a `leaky` ReLU for ReLU, `relu` for
            sigmoid and tanh.
        between: Whether a ReLU is put between layers with weights.
        normed: Whether outputs of layers with weights, save the last one's, are normalised by their batch.
        fresh: Whether layers with weights begin with He's initialisation.
        reset: Which layers begin as PyTorch itself would begin them: `all`, or the `last` one.
        head: Factor on the weights of the last layer at the start.
        batch: Images in a step; 0 = as in the training.
        chunk: Images that pass the network together, the gradients of a batch being added up; 0 = all.
        balance: Whether every class is drawn equally often.
        aligned: Whether outputs are given the shape of the targets before the loss.
        onward: Whether the training goes on from where it ended, and does not begin anew.
        plain: Whether another network, two dense layers of 256 units, is trained in place of this one.
    """

    rate: float = 1.0
    set_rate: float = 0.0
    rates: tuple[float, ...] = ()
    shuffle: bool = True
    zero: bool = True
    decay: float = 1.0
    dropout: bool = True
    clip: float = 0.0
    resting: tuple[str, ...] = ()
    open_output: bool = False
    scale: Callable[[Tensor], Tensor] | None = None
    trained: Literal["", "all", "last"] = ""
    activation: Literal["", "leaky", "relu"] = ""
    between: bool = False
    normed: bool = False
    fresh: bool = False
    reset: Literal["", "all", "last"] = ""
    head: float = 1.0
    batch: int = 0
    chunk: int = 0
    balance: bool = False
    aligned: bool = False
    onward: bool = False
    plain: bool = False
