"""What timm builds, at the size asked for, with weights loaded strictly."""

import logging
import warnings
from typing import Any

import timm
import torch
from torch import nn

from affinage.errors import ModelError
from affinage.models.weights import Weights
from affinage.records.networks import ModelSettings


def config_of(name: str) -> dict[str, Any]:
    """Return what timm knows of a backbone: input size, crop, mean, licence; ImageNet's usual otherwise."""
    config = timm.get_pretrained_cfg(name)
    if config is None:
        architecture = name.split(".", maxsplit=1)[0]
        config = timm.get_pretrained_cfg(architecture)
    if config is None:
        return {
            "input_size": (3, 224, 224),
            "crop_pct": 0.875,
            "interpolation": "bicubic",
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
        }
    return dict(config.to_dict())


def create(settings: ModelSettings, weights: Weights, *, pooled: bool = True) -> nn.Module:
    """Return a backbone of timm without a head.

    Args:
        settings: Name, input size and drop path.
        weights: Loaded where they come from a package, the cache or the hub.
        pooled: False for its maps as they are.

    Raises:
        ModelError: If it cannot be built or pooled so, or the weights do not fit.
    """
    options: dict[str, Any] = {"num_classes": 0}
    if not pooled:
        options["global_pool"] = ""
    if settings.drop_path:
        options["drop_path_rate"] = settings.drop_path
    if weights.origin in ("cache", "hub"):
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights.path)}}
    sized = (
        {"img_size": (settings.height, settings.width)}
        if settings.width and settings.height
        else {}
    )
    logging.getLogger("timm").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = _of_any_size(settings.backbone, options, sized)
        except (TypeError, AssertionError) as error:
            if pooled:
                raise
            why = str(error).splitlines()[0].strip(" .") if str(error) else "it pools by itself"
            raise cannot_pool(settings, why) from None
        except (RuntimeError, KeyError, OSError, ValueError) as error:
            raise ModelError(
                f"'{settings.backbone}' could not be built: {str(error).splitlines()[0]}",
                remedy="Choose another backbone: affinage models",
            ) from None
    if weights.origin == "package":
        _load_renamed(module, settings.backbone, weights)
    return module  # type: ignore[no-any-return]


def _of_any_size(name: str, options: dict[str, Any], sized: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, **options, **sized)
    except TypeError:
        return timm.create_model(name, **options)  # Any size fits this one.


def _load_renamed(module: nn.Module, name: str, weights: Weights) -> None:
    """Load a checkpoint with other key names but the same tensors in the same order, strictly."""
    assert weights.path is not None
    given = torch.load(weights.path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        whole = timm.create_model(name, pretrained=False).state_dict()
    if len(given) != len(whole):
        raise ModelError(
            f"The weights of '{name}' hold {len(given)} tensors, the backbone {len(whole)}.",
            remedy="Install the tested versions of timm and the weights package.",
        )
    renamed: dict[str, torch.Tensor] = {}
    for (key, own), (other, tensor) in zip(whole.items(), given.items(), strict=True):
        if own.shape != tensor.shape:
            raise ModelError(
                f"In the weights of '{name}', '{other}' has shape {tuple(tensor.shape)} where "
                f"'{key}' needs {tuple(own.shape)}.",
                remedy="Install the tested versions of timm and the weights package.",
            )
        renamed[key] = tensor
    wanted = module.state_dict()
    module.load_state_dict({key: renamed[key] for key in wanted}, strict=True)


def feature_length(module: nn.Module) -> int:
    """Return the length of the pooled features, as timm states it."""
    length = getattr(module, "head_hidden_size", None) or getattr(module, "num_features", None)
    if not isinstance(length, int):
        raise ModelError(
            "This backbone does not say how long its features are.",
            remedy="Choose another backbone: affinage models",
        )
    return length


def cannot_pool(settings: ModelSettings, why: str) -> ModelError:
    """Return the error that a backbone cannot be pooled as asked."""
    return ModelError(
        f"'{settings.backbone}' cannot be pooled by '{settings.head.pooling}': {why}.",
        remedy="Leave model.head.pooling=backbone, or choose another backbone: affinage models",
    )
