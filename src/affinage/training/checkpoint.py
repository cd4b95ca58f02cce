"""Weights and optimizer state in one safetensors file: no pickled code, all of it or none."""

import json
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from affinage.errors import RunError
from affinage.models.nearest_head import NearestLayer
from affinage.store.files import write_atomically
from affinage.store.weights_file import damaged, read_metadata

FORMAT = 2


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
    _into(model, load_tensors(path, "model"), path)
    return facts


def load_tensors(path: Path, what: Literal["model", "checkpoint"]) -> dict[str, Tensor]:
    """Return the tensors of a file by name, if they are those that were written.

    Raises:
        RunError: If the file is damaged: one bit is enough, since numbers that are none of the
            training's would pass for weights.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        raise damaged(path, what) from None
    given = metadata.get("checksum")  # Files of earlier versions have none.
    if given is not None and given != _checksum(tensors, metadata.get("affinage", "")):
        raise damaged(path, what)
    return tensors


def room_for_images(path: Path, *, features: int, classes: int) -> NearestLayer:
    """Return a head with room for the images that a saved one knows.

    Raises:
        RunError: If the file is damaged or of a model with another head.
    """
    read_metadata(path, "model")
    with safe_open(path, framework="pt") as file:
        if "head.known" not in file.keys():  # noqa: SIM118 - it is no mapping.
            raise _foreign(path, "it knows no images")
        images = file.get_slice("head.known").get_shape()[0]
    return NearestLayer(images=images, features=features, outputs=classes)


def save_training(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    average: Mapping[str, Tensor] | None = None,
    **facts: Any,
) -> None:
    """Write all that a training needs to go on as if it had never stopped.

    Args:
        path: Of the file.
        model: Its weights and statistics are written.
        optimizer: Its state is written, and what it keeps in its groups.
        average: Moving average of the weights, where there is one.
        **facts: Whatever else JSON takes.
    """
    tensors = {f"model.{name}": _own(tensor) for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": _own(tensor) for name, tensor in (average or {}).items()}
    scalars: dict[str, dict[str, Any]] = {}
    state = optimizer.state_dict()
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = _own(value)
            else:
                scalars.setdefault(str(index), {})[key] = value
    groups: list[dict[str, Any]] = []
    for index, group in enumerate(state["param_groups"]):
        own = {key: value for key, value in group.items() if key != "params"}
        counted = {key: value for key, value in own.items() if isinstance(value, Tensor)}
        tensors |= {f"group.{index}.{key}": _own(value) for key, value in counted.items()}
        groups.append({key: value for key, value in own.items() if key not in counted})
    _save(path, tensors, {"format": FORMAT, "scalars": scalars, "groups": groups, **facts})


def load_training(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    average: dict[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Load what `save_training` wrote and return its facts.

    Args:
        path: Of the file.
        model: Gets the weights.
        optimizer: Gets its state; it must be over the same parameters.
        average: Gets the moving average, in place.

    Raises:
        RunError: If the file is damaged, of another training, or of another format.
    """
    facts = read_metadata(path, "checkpoint")
    if facts.get("format") != FORMAT:
        raise RunError(
            f"'{path.name}' has format {facts.get('format', 1)}; this version reads {FORMAT}.",
            remedy="Finish the run with the version of affinage that began it, or train again.",
        )
    tensors = load_tensors(path, "checkpoint")
    _into(model, _part(tensors, "model."), path)
    if average is not None:
        _average_into(average, _part(tensors, "average."), path)
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    for index_text, values in facts["scalars"].items():
        state.setdefault(int(index_text), {}).update(values)
    whole = optimizer.state_dict()["param_groups"]
    if len(whole) != len(facts["groups"]):
        raise _foreign(path, f"{len(facts['groups'])} parameter groups, not {len(whole)}")
    groups = [
        {**own, **_as_before(own, saved), **_part(tensors, f"group.{index}.")}
        for index, (own, saved) in enumerate(zip(whole, facts["groups"], strict=True))
    ]
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, KeyError) as error:
        raise _foreign(path, str(error)) from None
    _lay_out_as_weights(optimizer)
    return facts


@torch.no_grad()
def _lay_out_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Order the memory of the state as that of the weights: a norm is a sum, and rounds by its order."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _as_before(own: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the saved entries of a group; JSON made lists of its tuples."""
    return {
        key: tuple(value) if isinstance(own.get(key), tuple) else value
        for key, value in saved.items()
    }


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _average_into(average: dict[str, Tensor], saved: Mapping[str, Tensor], path: Path) -> None:
    if set(saved) != set(average):
        raise _foreign(path, "no moving average of these weights")
    for name, tensor in average.items():
        tensor.copy_(saved[name])


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _save(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors, and a copy of those that share memory with others, which the format refuses."""
    users = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors.values())
    alone = {
        name: tensor if _fills(tensor, users) else tensor.clone()
        for name, tensor in tensors.items()
    }
    text = json.dumps(facts)
    metadata = {"affinage": text, "checksum": _checksum(alone, text)}
    write_atomically(path, lambda aside: save_file(alone, aside, metadata))


def _fills(tensor: Tensor, users: Mapping[int, int]) -> bool:
    """Return whether the memory behind a tensor is its alone, and all of it."""
    storage = tensor.untyped_storage()
    return storage.nbytes() == tensor.nbytes and users[storage.data_ptr()] == 1


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return the CRC-32 of the facts, and of names and bytes in the order of the names."""
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def _into(model: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise _foreign(path, str(error)) from None


def _foreign(path: Path, detail: str) -> RunError:
    return RunError(
        f"'{path.name}' holds the weights of another model: {detail.splitlines()[-1].strip()}",
        remedy="The run's recipe and checkpoints must belong together: restore them from a copy.",
    )
