"""Weights and optimizer state in one safetensors file: no pickled code, all of it or none."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from affinage.errors import RunError
from affinage.store.files import write_bytes
from affinage.store.run_folder import read_metadata


def save_model(path: Path, model: torch.nn.Module, **facts: Any) -> None:
    """Write a model's weights and some JSON facts."""
    tensors = {name: _own(tensor) for name, tensor in model.state_dict().items()}
    _save(path, tensors, facts)


def load_model(path: Path, model: torch.nn.Module) -> dict[str, Any]:
    """Load weights strictly into a model and return the facts that were saved with them.

    Raises:
        RunError: If the file is damaged or of another model.
    """
    facts = read_metadata(path, "model")
    _into(model, load_file(path), path)
    return facts


def save_training(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, **facts: Any
) -> None:
    """Write all that a training needs to go on as if it had never stopped."""
    tensors = {f"model.{name}": _own(tensor) for name, tensor in model.state_dict().items()}
    scalars: dict[str, dict[str, Any]] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{key}"] = _own(value)
            else:
                scalars.setdefault(str(index), {})[key] = value
    _save(path, tensors, {"scalars": scalars, **facts})


def load_training(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Load what `save_training` wrote and return its facts.

    Raises:
        RunError: If the file is damaged or of another training.
    """
    facts = read_metadata(path, "checkpoint")
    tensors = load_file(path)
    own = {key[6:]: value for key, value in tensors.items() if key.startswith("model.")}
    _into(model, own, path)
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    for index_text, values in facts["scalars"].items():
        state.setdefault(int(index_text), {}).update(values)
    whole = optimizer.state_dict()
    try:
        optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    except (ValueError, KeyError) as error:
        raise _foreign(path, str(error)) from None
    return facts


def _own(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().clone()


def _save(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    metadata = {"affinage": json.dumps(facts)}
    write_bytes(path, save(tensors, metadata))


def _into(model: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise _foreign(path, str(error)) from None


def _foreign(path: Path, detail: str) -> RunError:
    return RunError(
        f"'{path.name}' holds the weights of another model: {detail.splitlines()[-1].strip()}",
        remedy="The run's recipe and checkpoints must belong together: restore them from a copy.",
    )
