"""Build a backbone by its name, with weights that are verified and loaded strictly."""

import difflib
from dataclasses import dataclass, field

import timm
import torch
from torch import nn

from affinage.errors import ModelError
from affinage.models.classifier import Classifier
from affinage.models.from_timm import cannot_pool, config_of, create, feature_length
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
    config = config_of(name)
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
            module = create(settings, weights, pooled=pool is None)
    if pool is not None and settings.head.layers:
        module, features = _middle(module, pool, preprocessing, settings)
        pool = None  # It is within.
    else:
        features = feature_length(module)
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
    config = config_of(settings.backbone)
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
    channels = feature_length(module)
    if output.ndim == 4 and channels not in (output.shape[1], output.shape[3]):
        channels = output.shape[1]
    if output.ndim not in (3, 4):
        raise cannot_pool(settings, f"it gives numbers of shape {tuple(output.shape[1:])}")
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
