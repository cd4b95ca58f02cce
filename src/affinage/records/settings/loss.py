"""Settings of what training makes small."""

from typing import Literal

from pydantic import Field

from affinage.records.pairings import BalanceName, LabelForm, LossName, OutputName
from affinage.records.section import Section


class LossSettings(Section):
    """What training makes small, and what stands before it; see the page on losses."""

    name: LossName | None = Field(
        None, description="Loss; null = cross_entropy, bce or poisson, as the task is."
    )
    output: OutputName | None = Field(
        None, description="What makes predictions of the last layer; null = what suits the loss."
    )
    labels: LabelForm | None = Field(
        None, description="Form of a class label in the loss; null = what the loss takes."
    )
    gamma: float = Field(
        2.0, ge=0, le=10, description="For focal: how much less sure and right answers count."
    )
    distribution: Literal["poisson", "negative_binomial"] = Field(
        "poisson", description="For zero_inflated and hurdle: what counts follow beside the zeros."
    )
    balance: BalanceName = Field(
        "none", description="How rare classes, or rare counts, are made up for."
    )
    beta: float = Field(
        0.999, ge=0, lt=1, description="For effective: nearer 1 is nearer to inverse frequency."
    )
    tau: float = Field(
        1.0, ge=0, le=5, description="For logit_adjustment: strength; 1 aims at equal classes."
    )
