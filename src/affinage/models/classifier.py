"""Classifier: preprocessing, backbone and head as one module, so that they cannot part."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from affinage.imaging.levels import LEVELS, normalised
from affinage.models.heads import HiddenHead, last_layer, make_head
from affinage.models.nearest_head import NearestLayer
from affinage.records.networks import HeadSettings
from affinage.records.preprocessing import Preprocessing


class Classifier(nn.Module):
    """From a batch of uint8 pixels to the outputs of the head.

    Attributes:
        backbone: A network without its own classifier: images → features, or maps to be pooled.
        pool: Pools the backbone's maps; the identity where the backbone does it. It has no weights.
        head: features → outputs: a linear layer, or hidden layers and then one.
        drop: Dropout before the head, active in training mode only.
    """

    head: nn.Linear | HiddenHead | NearestLayer
    whitening: Tensor | None

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing,
        *,
        features: int,
        outputs: int,
        dropout: float = 0.0,
        head: HeadSettings | None = None,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool or nn.Identity()
        self.head = make_head(features, outputs, head or HeadSettings())
        self.drop = nn.Dropout(dropout)
        self.preprocessing = preprocessing
        mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1) * 255.0
        std = torch.tensor(preprocessing.std).view(1, 3, 1, 1) * 255.0
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        whitening = torch.tensor(preprocessing.whitening) if preprocessing.whitening else None
        self.register_buffer("whitening", whitening, persistent=False)

    @property
    def last(self) -> nn.Linear:
        """The layer that gives the outputs: all of a linear head, the end of a deeper one."""
        return last_layer(self.head)

    def normalise(self, images: Tensor) -> Tensor:
        """Return what the backbone sees of uint8 images of shape (n, height, width, 3)."""
        shown = self._by_table(images) if _in_memory(images) else self._normalised(images)
        if self.whitening is None:
            return shown
        around = self.whitening.shape[-1] // 2
        padded = nn.functional.pad(shown, (around,) * 4, mode="replicate")
        return nn.functional.conv2d(padded, self.whitening)

    def _normalised(self, images: Tensor) -> Tensor:
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        channels_first = images.permute(0, 3, 1, 2)  # A view: the memory stays channels-last.
        return (channels_first.to(mean.dtype) - mean) / std

    def _by_table(self, images: Tensor) -> Tensor:
        """Return the same bits in a fifth of the time: each level is normalised once."""
        levels = torch.arange(LEVELS, dtype=torch.uint8).view(1, LEVELS, 1, 1).expand(-1, -1, -1, 3)
        table = self._normalised(levels)[0, :, :, 0].T
        if table.dtype != torch.float32:
            return self._normalised(images)
        found = normalised(images.contiguous().numpy(), table.contiguous().numpy())
        return torch.from_numpy(found).permute(0, 3, 1, 2)

    def features(self, images: Tensor) -> Tensor:
        """Return pooled features, shape (n, features), of uint8 images (n, height, width, 3)."""
        features: Tensor = self.pool(self.backbone(self.normalise(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Return raw outputs, shape (n, outputs), of uint8 images (n, height, width, 3)."""
        outputs: Tensor = self.head(self.drop(self.features(images)))
        return outputs


def _in_memory(images: Tensor) -> bool:
    """Return whether these are grey levels that NumPy can see, and nobody records what is computed."""
    plain = type(images) is Tensor and images.dtype == torch.uint8 and images.device.type == "cpu"
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return plain and not recorded


def batchnorms(module: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """Yield every layer that keeps running statistics of batches."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            yield layer
