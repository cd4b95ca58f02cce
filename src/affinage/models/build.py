"""Build a backbone by its name, with weights that are verified and loaded strictly."""

import difflib
import logging
import warnings
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import nn

from affinage.errors import ModelError
from affinage.models.classifier import Classifier
from affinage.models.heads import MapsOf, make_pool
from affinage.models.middle import FITTING, MiddleMaps
from affinage.models.small_networks import SMALL, small_network
from affinage.models.weights import Weights, find_weights, offline_backbones
from affinage.records.networks import HeadSettings, ModelSettings
from affinage.records.preprocessing import Interpolation, Preprocessing

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
        name: timm name, or that of a small network.
        module: Images (n, 3, height, width), normalised → features (n, `features`), or what `pool`
            makes them of.
        preprocessing: What it wants to see.
        features: Length of a feature vector.
        weights: What it starts from.
        timm_version: Version of timm that built it.
        pool: What pools its maps; None where it does it itself.
        head: What stands on it.
        identity: Whatever determines its features, the images and their preprocessing left aside;
            of random weights the seed and the settings too.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    features: int
    weights: Weights
    timm_version: str = timm.__version__
    pool: nn.Module | None = None
    head: HeadSettings = field(default_factory=HeadSettings)
    identity: str = ""


def check_name(name: str) -> None:
    """Raise if there is no backbone of this name.

    Raises:
        ModelError: With the nearest names that there are.
    """
    if small_network(name) or timm.is_model(name.split(".", maxsplit=1)[0]):
        return
    known = [*(network.name for network in SMALL), *timm.list_models()]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    raise ModelError(
        f"timm has no backbone '{name}'"
        + (f"; the nearest are {', '.join(near)}." if near else "."),
        remedy=f"See `affinage models`; usable offline now: {', '.join(offline_backbones())}.",
    )


def preprocessing_of(
    name: str, *, width: int | None = None, height: int | None = None
) -> Preprocessing:
    """Return the preprocessing that a backbone was trained with, or is to be.

    Args:
        name: timm name, or that of a small network.
        width: Input width in pixels instead of the backbone's own.
        height: Input height in pixels instead of the backbone's own.

    Raises:
        ModelError: If there is no such backbone.
    """
    check_name(name)
    small = small_network(name)
    if small is not None:
        return small.preprocessing(width=width, height=height)
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
        settings: Name, weights, input size, drop path and pooling.
        seed: For random weights.

    Raises:
        ModelError: If the name is unknown, its weights cannot be had or do not fit, or it cannot be
            pooled as asked.
    """
    check_name(settings.backbone)
    weights = _weights(settings)
    preprocessing = preprocessing_of(
        settings.backbone, width=settings.width, height=settings.height
    )
    pool = make_pool(settings.head)
    small = small_network(settings.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if small is not None:
            module = small.build(settings, preprocessing.height, preprocessing.width, pool)
            pool = None  # It is within.
        else:
            module = _create(settings, weights, pooled=pool is None)
    if pool is not None and settings.head.layers:
        module, features = _middle(module, pool, preprocessing, settings)
        pool = None  # It is within.
    else:
        features = _feature_length(module)
    if pool is not None:
        pool, features = _pooling(module, pool, preprocessing, settings)
    return Backbone(
        name=settings.backbone,
        module=module.to(memory_format=torch.channels_last),
        preprocessing=preprocessing,
        features=features,
        weights=weights,
        pool=pool,
        head=settings.head,
        identity=_identity(settings, weights, seed),
    )


def _weights(settings: ModelSettings) -> Weights:
    if not settings.pretrained:
        return Weights(
            origin="random", path=None, sha256="", description="random weights", licence="none"
        )
    config = _config(settings.backbone)
    return find_weights(
        settings.backbone,
        hub_id=config.get("hf_hub_id") or None,
        licence=config.get("license") or "unknown",
    )


def _identity(settings: ModelSettings, weights: Weights, seed: int) -> str:
    power = f" {settings.head.gem_power:g}" if settings.head.pooling == "gem" else ""
    layers = f" of {settings.head.layers}" if settings.head.layers else ""
    known = f"{settings.backbone}, {settings.head.pooling}{power}{layers}"
    if weights.sha256:
        return f"{known}, {weights.sha256}"
    size = f"{settings.width} × {settings.height}"
    network = getattr(settings, settings.backbone, "")
    return f"{known}, random, seed {seed}, {size}, {network}"


def _pooling(
    module: nn.Module, pool: nn.Module, preprocessing: Preprocessing, settings: ModelSettings
) -> tuple[nn.Module, int]:
    """Return what pools a backbone's unpooled output, and how long the result is.

    Raises:
        ModelError: If the backbone gives neither maps nor tokens.
    """
    with torch.inference_mode():
        blank = torch.zeros((1, 3, preprocessing.height, preprocessing.width))
        output = module.eval()(blank)
    channels = _feature_length(module)
    if output.ndim == 4 and channels not in (output.shape[1], output.shape[3]):
        channels = output.shape[1]
    if output.ndim not in (3, 4):
        raise _cannot_pool(settings, f"it gives numbers of shape {tuple(output.shape[1:])}")
    prefix = int(getattr(module, "num_prefix_tokens", 0) or 0)
    maps = MapsOf(pool, channels=channels, prefix_tokens=prefix)
    with torch.inference_mode():
        return maps, int(maps(output).shape[1])


def _middle(
    module: nn.Module, pool: nn.Module, preprocessing: Preprocessing, settings: ModelSettings
) -> tuple[nn.Module, int]:
    """Return what pools the maps of several depths, and how long the result is.

    Raises:
        ModelError: If the backbone cannot give them.
    """
    middle = MiddleMaps(module, pool, layers=settings.head.layers, name=settings.backbone).eval()
    blank = torch.zeros((1, 3, preprocessing.height, preprocessing.width))
    try:
        with torch.inference_mode():
            return middle, int(middle(blank).shape[1])
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        why = str(error).splitlines()[0].strip(" .") if str(error) else type(error).__name__
        raise ModelError(
            f"'{settings.backbone}' cannot give the maps of its layers: {why}.", remedy=FITTING
        ) from None


def _cannot_pool(settings: ModelSettings, why: str) -> ModelError:
    return ModelError(
        f"'{settings.backbone}' cannot be pooled by '{settings.head.pooling}': {why}.",
        remedy="Leave model.head.pooling=backbone, or choose another backbone: affinage models",
    )


def build_empty(
    settings: ModelSettings, preprocessing: Preprocessing, *, classes: int
) -> Classifier:
    """Return a classifier whose weights are about to be loaded from a run's checkpoint.

    Args:
        settings: Of the run's recipe.
        preprocessing: Of the run's model.
        classes: As `stack` takes it.
    """
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
    """Return backbone and a fresh head as one module.

    Args:
        backbone: With what pools its maps, and the settings of the head.
        classes: Numbers that the head gives per image: one for each class, or as many as the
            objective asks.
        preprocessing: Instead of the backbone's own.
        dropout: Before the head.
    """
    model = Classifier(
        backbone.module,
        preprocessing or backbone.preprocessing,
        features=backbone.features,
        outputs=classes,
        dropout=dropout,
        head=backbone.head,
        pool=backbone.pool,
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


def _create(settings: ModelSettings, weights: Weights, *, pooled: bool = True) -> nn.Module:
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
            raise _cannot_pool(settings, why) from None
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


def _feature_length(module: nn.Module) -> int:
    """Return the length of the pooled features, as timm states it."""
    length = getattr(module, "head_hidden_size", None) or getattr(module, "num_features", None)
    if not isinstance(length, int):
        raise ModelError(
            "This backbone does not say how long its features are.",
            remedy="Choose another backbone: affinage models",
        )
    return length
