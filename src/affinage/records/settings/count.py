"""Settings of how counts are learnt and judged."""

from typing import Literal

from pydantic import Field

from affinage.records.pairings import CountTarget
from affinage.records.section import Section


class CountSettings(Section):
    """How counts are learnt and judged (task `count`)."""

    columns: tuple[str, ...] = Field(
        (), description="Columns of counts; without any, all that are called count:NAME."
    )
    target: CountTarget = Field(
        "count", description="Learn the counts, or each class's share of the objects in its image."
    )
    recount: bool = Field(
        default=False,
        description="Count the boxes of the column `boxes` anew in every view of fine-tuning: then crop, "
        "rotation and erase are allowed.",
    )
    min_box: float = Field(
        0.0, ge=0, le=1000, description="For recount: least shorter side of a box, px of the input."
    )
    rounding: Literal["nearest", "floor"] = Field(
        "nearest",
        description="How a whole number is made of a prediction before it is compared; halves go up.",
    )
    max: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Largest count of ordinal and sigmoid_max; null = largest of the training part.",
    )
    interval: float = Field(
        0.9, ge=0.5, le=0.999, description="Share of new counts that their intervals shall hold."
    )
