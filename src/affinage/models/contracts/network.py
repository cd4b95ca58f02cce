"""What a training relies on in a user's own network."""

import copy

import torch
from torch import Tensor, nn

from affinage.models.contracts.trial import IMAGES, Check, Trial


def _evaluated(module: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        output: Tensor = module.eval()(images)
    return output


def _gives_features(trial: Trial) -> str | None:
    """Images (n, 3, height, width) give a float tensor with n rows."""
    if not isinstance(trial.part, nn.Module):
        return f"it is a {type(trial.part).__name__}, not an nn.Module"
    output = _evaluated(trial.part, trial.images())
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return f"it gives a {type(output).__name__}, not a float tensor"
    if output.ndim not in (2, 3, 4) or len(output) != IMAGES:
        return f"{IMAGES} images give the shape {tuple(output.shape)}"
    return None


def _is_finite(trial: Trial) -> str | None:
    """Every number that it gives is finite."""
    output = _evaluated(trial.part, trial.images())
    return None if torch.isfinite(output).all() else "it gives infinite or undefined numbers"


def _repeats_itself(trial: Trial) -> str | None:
    """In evaluation mode, the same images give the same features."""
    first, second = (_evaluated(trial.part, trial.images()) for _ in range(2))
    return (
        None
        if torch.equal(first, second)
        else "in evaluation mode it gives something else each time"
    )


def _sees_images_one_by_one(trial: Trial) -> str | None:
    """In evaluation mode, an image's features do not depend on its neighbours in the batch."""
    images = trial.images()
    together = _evaluated(trial.part, images)
    alone = torch.cat([_evaluated(trial.part, images[i : i + 1]) for i in range(IMAGES)])
    if torch.allclose(together, alone, rtol=1e-3, atol=1e-4):
        return None
    return "in evaluation mode an image's features change with the other images of its batch"


def _leaves_its_input(trial: Trial) -> str | None:
    """It does not write into the images that it is given."""
    images = trial.images()
    _evaluated(trial.part, images)
    return None if torch.equal(images, trial.images()) else "it writes into its input"


def _can_learn(trial: Trial) -> str | None:
    """In training mode, gradients reach its weights and are finite."""
    module = copy.deepcopy(trial.part).train()
    weights = [parameter.requires_grad_() for parameter in module.parameters()]
    module(trial.images()).square().sum().backward()
    slopes = [weight.grad for weight in weights if weight.grad is not None]
    if not any(slope.any() for slope in slopes):
        return "no gradient reaches any weight of it"
    finite = all(torch.isfinite(slope).all() for slope in slopes)
    return None if finite else "its gradients are not finite"


def _keeps_tensors_as_state(trial: Trial) -> str | None:
    """Its tensors are parameters or buffers, so that copies, devices and checkpoints know them."""
    loose = [
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in trial.part.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor)
    ]
    return f"'{loose[0]}' is a plain tensor: register_buffer it" if loose else None


def _is_its_state(trial: Trial) -> str | None:
    """Its state_dict is tensors, and loads into a copy that then gives the same."""
    state = trial.part.state_dict()
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        return f"'{odd[0]}' in its state_dict is not a tensor, so a checkpoint cannot hold it"
    twin = copy.deepcopy(trial.part)
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            tensor.zero_()
    twin.load_state_dict(state)
    images = trial.images()
    same = torch.equal(_evaluated(twin, images), _evaluated(trial.part, images))
    return None if same else "a copy with the same state_dict gives other features"


CONTRACT: tuple[Check, ...] = (
    _gives_features,
    _is_finite,
    _repeats_itself,
    _sees_images_one_by_one,
    _leaves_its_input,
    _can_learn,
    _keeps_tensors_as_state,
    _is_its_state,
)
