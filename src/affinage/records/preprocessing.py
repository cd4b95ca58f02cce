"""Preprocessing: what a backbone wants to see, which travels with the run."""

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From decoded RGB pixels to the tensor that a backbone was trained on.

    The shorter side is resized to `round_down(size / crop)` with anti-aliasing, the centre is cropped
    to `width` × `height`, values are divided by 255, then `(x - mean) / std` per channel, then
    whitened where `whitening` is given.

    Attributes:
        width: Width of the network's input, pixels.
        height: Height of the network's input, pixels.
        crop: Part of the resized image that the centre crop keeps, in (0, 1].
        interpolation: Filter of the resize.
        mean: Mean per channel R, G, B, on the scale 0..1.
        std: Standard deviation per channel R, G, B, on the scale 0..1.
        whole: Squeeze the whole frame to `width` × `height` instead of cutting its centre out: nothing at
            the border is lost, where objects are to be counted.
        whitening: Weights of a convolution that follows, by output channel, input channel, row and
            column (3 × 3 × k × k, k odd; beyond the edges the pixels repeat); empty = none.
    """

    width: int = 224
    height: int = 224
    crop: float = 0.875
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    whole: bool = False
    whitening: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...] = ()
