"""Which backbones there are, and which of them work here and now."""

import fnmatch
import json
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import timm

from affinage.models.build import build_backbone
from affinage.models.small_networks import SMALL, SmallNetwork
from affinage.models.weights import cached_on_disk, packaged, packaged_path
from affinage.records.networks import ModelSettings

Availability = Literal["package", "cache", "hub", "install", "random only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One backbone of the catalogue.

    Attributes:
        name: timm name, or that of a small network, which settings describe.
        parameters: Number of weights without a classifier; None where it was not counted.
        width: Input width, pixels.
        height: Input height, pixels.
        licence: Of the pretrained weights.
        available: `package` or `cache`: works offline now; `install`: a package has the weights;
            `hub`: needs the network once; `random only`: no pretrained weights are known.
        default: True for the backbone that a recipe starts with.
    """

    name: str
    parameters: int | None
    width: int
    height: int
    licence: str
    available: Availability
    default: bool


def catalogue(pattern: str = "*", *, default: str = "tf_efficientnet_lite0") -> tuple[Entry, ...]:
    """Return the backbones whose name matches, those that work offline first.

    Args:
        pattern: A shell pattern or a part of the name.
        default: The name to mark as the default.
    """
    if not any(sign in pattern for sign in "*?["):
        pattern = f"*{pattern}*"
    counts = parameter_counts()
    entries = [
        _entry(name, counts.get(name), default=default)
        for name in timm.list_models()
        if fnmatch.fnmatch(name, pattern)
    ]
    entries += [_small(one, default) for one in SMALL if fnmatch.fnmatch(one.name, pattern)]
    ranks = ("package", "cache", "install", "hub", "random only")
    return tuple(sorted(entries, key=lambda entry: (ranks.index(entry.available), entry.name)))


def parameter_counts() -> dict[str, int]:
    """Return the number of weights of timm's backbones without classifier, as counted beforehand."""
    text = resources.files("affinage.models").joinpath("parameters.json").read_text()
    counts: dict[str, int] = json.loads(text)
    return counts


def _small(network: SmallNetwork, default: str) -> Entry:
    module = build_backbone(ModelSettings(backbone=network.name, pretrained=False)).module
    return Entry(
        name=network.name,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        width=network.size,
        height=network.size,
        licence="not stated",
        available="random only",
        default=network.name == default,
    )


def _entry(name: str, parameters: int | None, *, default: str) -> Entry:
    config = timm.get_pretrained_cfg(name)
    size = config.input_size if config is not None else (3, 224, 224)
    hub_id = config.hf_hub_id if config is not None else None
    known = packaged(name)
    available: Availability = "random only"
    if known is not None:
        available = "package" if packaged_path(known) is not None else "install"
    elif hub_id:
        available = "cache" if cached_on_disk(hub_id) is not None else "hub"
    licence = known.licence if known else (config.license if config is not None else None)
    return Entry(
        name=name,
        parameters=parameters,
        width=size[2],
        height=size[1],
        licence=str(licence or "not stated"),
        available=available,
        default=name == default,
    )
