"""Settings of changes to training images."""

from typing import Literal, Self

from pydantic import Field, model_validator

from affinage.records.section import Section


class AugmentSettings(Section):
    """Changes to training images that keep their label."""

    horizontal_flip: bool = Field(default=True, description="Off where left and right matter.")
    vertical_flip: bool = Field(default=False, description="On for images without an up.")
    crop: float = Field(
        0.5, gt=0, le=1, description="Smallest share of the area a crop keeps; 1 = off."
    )
    exact: bool = Field(
        default=False,
        description="Random crops by Pillow's anti-aliased resize, as evaluation and timm do it, from every "
        "pixel; slower than the warp, and not with a rotation.",
    )
    rotation: float = Field(0.0, ge=0, le=180, description="Largest rotation, degrees.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Largest relative change.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Largest relative change.")
    saturation: float = Field(
        0.0, ge=0, le=1, description="Largest relative change of the distance from grey."
    )
    hue: float = Field(
        0.0, ge=0, le=0.5, description="Largest turn of the colours, share of the colour circle."
    )
    grey: float = Field(0.0, ge=0, le=1, description="Share of views without colour.")
    blur: float = Field(
        0.0, ge=0, le=20, description="Largest Gaussian blur: standard deviation, px of the input."
    )
    noise: float = Field(
        0.0, ge=0, le=0.5, description="Strongest Gaussian noise: deviation, share of the range."
    )
    erase: float = Field(
        0.0, ge=0, le=1, description="Share of views with a rectangle of their mean colour on them."
    )
    policy: Literal["none", "randaugment", "trivialaugment"] = Field(
        "none", description="Changes drawn from a list of fourteen, after the crop."
    )
    policy_changes: int = Field(2, ge=1, le=5, description="For randaugment: changes a view.")
    policy_magnitude: int = Field(9, ge=0, le=30, description="For randaugment: their strength.")
    mixup: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Alpha of mixup: two images are blended, and their labels; 0 = off.",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Alpha of cutmix: a box of one image lies on another; 0 = off.",
    )

    views: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Different views of each image, shown in turn: 4 = the fifth epoch repeats the first; "
        "null = new ones in every epoch. Where they repeat, the output of frozen layers is kept.",
    )

    @property
    def draws(self) -> bool:
        """Whether two views of an image can differ; mixing works on views and is no part of it."""
        switches = self.horizontal_flip or self.vertical_flip or self.policy != "none"
        colours = self.brightness or self.contrast or self.saturation or self.hue or self.grey
        others = self.rotation or self.blur or self.noise or self.erase
        return self.crop < 1 or bool(switches or colours or others)

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        unused = sorted({"policy_changes", "policy_magnitude"} & self.altered)
        if unused and self.policy != "randaugment":
            msg = (
                f"{' and '.join(unused)} means nothing to policy={self.policy}: set "
                "augment.policy=randaugment, or leave it out"
            )
            raise ValueError(msg)
        return self
