"""Settings of how the learning rate moves."""

from typing import Literal

from pydantic import Field

from affinage.records.section import Section

OF_PLATEAU = ("factor", "patience", "threshold", "cooldown", "minimum")


class ScheduleSettings(Section):
    """How the learning rate moves over the planned steps."""

    name: Literal["one_cycle", "cosine", "constant", "exponential", "step", "plateau"] = Field(
        "one_cycle", description="Shape."
    )
    warmup: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the steps that rise to `lr`; null = 0.25 for one_cycle, else 0.05.",
    )
    gamma: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Factor per epoch (exponential; null = 0.95) or per drop (step; null = 0.1).",
    )
    every: float = Field(10, gt=0, description="Epochs from drop to drop; for step.")
    factor: float = Field(0.3, gt=0, lt=1, description="Of each cut; for plateau.")
    patience: int = Field(
        2, ge=1, description="Looks at validation without a better one before a cut; for plateau."
    )
    threshold: float = Field(
        1e-4, ge=0, lt=1, description="Relative gain that counts as better; for plateau."
    )
    cooldown: int = Field(0, ge=0, description="Looks after a cut that do not count; for plateau.")
    minimum: float = Field(
        0.0, ge=0, lt=1, description="Share of `lr` below which no cut goes; for plateau."
    )
