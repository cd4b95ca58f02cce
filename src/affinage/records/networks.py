"""Settings of the model: backbone, head, networks from scratch; and what of them cannot be."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from affinage.records.section import Section

MINI_XCEPTION, THREE_CONV = "mini_xception", "three_conv"

SMALL_NETWORKS = (MINI_XCEPTION, THREE_CONV)
"""Backbones that settings describe; there are no pretrained weights of them."""

SIFT_WORDS = "sift_words"
"""The backbone without weights: how often each visual word occurs where in the image."""

Units = Annotated[int, Field(ge=1, le=16384)]


class HeadSettings(Section):
    """What stands between the backbone's last maps and the outputs."""

    pooling: Literal["backbone", "avg", "max", "gem", "mean_deviation", "flatten"] = Field(
        "backbone", description="How maps become one vector; backbone = as it was built."
    )
    layers: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        (),
        max_length=8,
        description="Depths whose maps are pooled side by side, counted from the last, which is 1.",
    )
    gem_power: float = Field(
        3.0, ge=1, le=20, description="For gem: 1 is the mean, more comes nearer to the maximum."
    )
    hidden: tuple[Units, ...] = Field(
        (), max_length=4, description="Units of each hidden layer; empty = a linear head."
    )
    activation: Literal["relu", "gelu", "silu", "tanh", "selu", "prelu"] = Field(
        "relu", description="After each hidden layer."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="After each hidden layer's activation.")
    bias: bool = Field(default=True, description="Biases of the head's layers.")

    @property
    def beyond_linear(self) -> str:
        """What it has that a linear layer with biases has not, in words; empty for nothing."""
        if self.hidden:
            return "hidden layers"
        return "" if self.bias else "no biases"


class MiniXceptionSettings(Section):
    """A small Xception, trained from scratch (backbone `mini_xception`)."""

    stem: Literal["plain", "inception"] = Field(
        "plain", description="Entry: one convolution, or branches of several sizes side by side."
    )
    modules: int = Field(3, ge=1, le=16, description="Residual modules of two convolutions each.")
    filters: tuple[Units, ...] = Field(
        (128, 256, 512, 728, 1024),
        min_length=3,
        max_length=20,
        description="Of the stem, of the modules in turn (the last of them repeats), of the exit.",
    )
    convolution: Literal["separable", "plain"] = Field(
        "separable", description="In the modules and the exit."
    )
    kernel: Literal[2, 3] = Field(3, description="Side of these convolutions, px.")
    activation: Literal["relu", "prelu", "selu"] = Field("relu", description="Everywhere.")
    batch_norm: bool = Field(default=True, description="BatchNorm after every convolution.")
    bias: bool = Field(default=False, description="Biases of the convolutions.")


class ThreeConvSettings(Section):
    """Convolutions, each with pooling, and a dense layer, from scratch (backbone `three_conv`)."""

    filters: tuple[Units, ...] = Field(
        (32, 64, 64), min_length=1, max_length=6, description="Of each convolution."
    )
    kernel: Literal[3, 5, 7] = Field(5, description="Side of the convolutions, px.")
    dense: Units = Field(1000, description="Units of the dense layer.")
    batch_norm: bool = Field(default=False, description="BatchNorm after every convolution.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="After each pooling; before the classifier: model.dropout."
    )


class SiftWordsSettings(Section):
    """Bags of visual words on SIFT, for a classical baseline (backbone `sift_words`)."""

    words: int = Field(
        500, ge=2, le=5000, description="Size of the vocabulary, learnt from the training part."
    )


class WhiteningSettings(Section):
    """How `model.normalise=pca` and `zca` take correlations out of the pixels."""

    patch: Literal[1, 3, 5, 7] = Field(
        5, description="For zca: side of the neighbourhood, px; 1 = colours only, as pca always is."
    )
    epsilon: float = Field(
        0.01, gt=0, le=1, description="Added to each variance, as a share of their mean."
    )


class ModelSettings(Section):
    """Which backbone, where its weights come from, what it is shown, and the head on it."""

    backbone: str = Field(
        "tf_efficientnet_lite0",
        description="timm name of the backbone, or mini_xception, three_conv or sift_words.",
    )
    pretrained: bool = Field(
        default=True, description="Start from pretrained weights; false starts from random ones."
    )
    width: int | None = Field(
        None, ge=16, le=2048, description="Input width, px; null = backbone's."
    )
    height: int | None = Field(
        None, ge=16, le=2048, description="Input height, px; null = backbone's."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the head in fine-tuning.")
    drop_path: float = Field(0.0, ge=0, lt=1, description="Stochastic depth in fine-tuning.")
    normalise: Literal["backbone", "train", "minmax", "pca", "zca"] = Field(
        "backbone",
        description="Pixels: by the backbone's own mean and deviation, or by the training part's.",
    )
    whitening: WhiteningSettings = WhiteningSettings()
    head: HeadSettings = HeadSettings()
    mini_xception: MiniXceptionSettings = MiniXceptionSettings()
    three_conv: ThreeConvSettings = ThreeConvSettings()
    sift_words: SiftWordsSettings = SiftWordsSettings()

    @model_validator(mode="after")
    def _be_possible(self) -> Self:
        said = (
            *_of_small_networks(self),
            *_of_visual_words(self),
            *_of_layers(self),
        )
        problem = "; ".join(said)
        if problem:
            raise ValueError(problem)
        return self


FINETUNE_FROM_SCRATCH: dict[str, Any] = {
    "unfreeze": "all",
    "batchnorm": "adapt",
    "layer_decay": 1.0,
    "patience": 10,
}

EPOCHS = 20
_LENGTHS = frozenset(("epochs", "steps", "images", "minutes"))

RATE_SMALL, RATE = 2e-3, 1e-3
"""Highest rates of AdamW and its like. After 4-6 epochs on 5,000 CIFAR images in batches of 32, 2e-3
gave accuracies of .57, .61 and .50 (three_conv, with batch norm, mini_xception) on 1,000 others,
within .03 of the best of 1e-3, 2e-3 and 3e-3; 3e-4 was .05 behind at batches of 64. Large networks from
timm are given less: an assumption, for their own recipes differ by a factor of ten."""


def with_defaults_from_scratch(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's document with the defaults that random weights need, where none was given.

    Nothing pretrained is there to be kept: all layers are trained at one rate, larger and for longer,
    and BatchNorm's statistics are those of the images.
    """
    model = _fields(document.get("model"))
    if model.get("backbone") == SIFT_WORDS:
        compute = {"engine": "torch", **_fields(document.get("compute"))}  # OpenCV does the work.
        filled = {"stages": ("features",), **document, "compute": compute}
        return {**filled, "model": {"pretrained": False, **model}}
    small = model.get("backbone") in SMALL_NETWORKS
    sections = [document.get(name, {}) for name in ("model", "finetune", "optimizer")]
    if not all(isinstance(section, Section | Mapping) for section in sections):
        return dict(document)  # It will be refused.
    if not small and model.get("pretrained", True) not in (False, "false"):
        return dict(document)
    filled = {"stages": ("finetune",), **document}
    if small:
        filled["model"] = {"pretrained": False, "normalise": "train", **model}
    finetune, optimizer = _fields(document.get("finetune")), _fields(document.get("optimizer"))
    length = {} if _LENGTHS & finetune.keys() else {"epochs": EPOCHS}
    filled["finetune"] = {**FINETUNE_FROM_SCRATCH, **length, **finetune}
    if optimizer.get("name", "adamw") in ("adamw", "adam", "nadam"):
        filled["optimizer"] = {"lr": RATE_SMALL if small else RATE, **optimizer}
    return filled


def _of_small_networks(model: ModelSettings) -> Iterator[str]:
    """Yield what a network from scratch cannot have, with what it can."""
    if model.backbone not in SMALL_NETWORKS:
        return
    if model.pretrained:
        yield (
            f"there are no pretrained weights of {model.backbone}: set model.pretrained=false "
            "and stages=finetune"
        )
    if model.drop_path:
        yield f"{model.backbone} has no stochastic depth: use model.dropout instead of drop_path"


def _of_visual_words(model: ModelSettings) -> Iterator[str]:
    """Yield what a bag of visual words cannot have, with what it can."""
    if model.backbone != SIFT_WORDS:
        return
    if model.pretrained:
        yield "there are no pretrained weights of sift_words: set model.pretrained=false"
    if model.normalise != "backbone":
        yield "sift_words looks at plain pixels: set model.normalise=backbone"
    if model.dropout or model.drop_path:
        yield "sift_words has no layers that are trained: leave model.dropout and drop_path at 0"
    if model.head.pooling != "backbone":
        yield "sift_words counts words, and has no maps to pool: set model.head.pooling=backbone"


def _of_layers(model: ModelSettings) -> Iterator[str]:
    """Yield why the maps of several depths cannot be pooled, with what can."""
    head = model.head
    if not head.layers:
        return
    if model.backbone in (*SMALL_NETWORKS, SIFT_WORDS):
        yield f"{model.backbone} gives its last maps alone: leave model.head.layers out"
    if head.pooling == "backbone":
        yield (
            "model.head.layers takes maps before the backbone pools them: set "
            "model.head.pooling=mean_deviation, or avg, max, gem, flatten"
        )
    if len(set(head.layers)) < len(head.layers):
        yield "model.head.layers names a depth twice: name each once"


def _fields(section: Any) -> dict[str, Any]:
    """Return what was given of a section, whether as a mapping or as a record."""
    if isinstance(section, Section):
        return {name: getattr(section, name) for name in section.model_fields_set}
    return dict(section) if isinstance(section, Mapping) else {}
