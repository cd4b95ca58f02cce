"""Settings of how parts are cut."""

from pydantic import Field

from affinage.records.section import Section


class SplitSettings(Section):
    """How parts are cut where the source does not give them."""

    validation: float = Field(0.2, gt=0, lt=0.9, description="Share of the training images.")
    test: float = Field(0.2, ge=0, lt=0.9, description="Share of all images; 0 = no test part.")
    closed_set: bool = Field(
        default=False, description="Validation is the training images, on purpose (memory test)."
    )
    group: str | None = Field(None, description="Column whose values must not straddle parts.")
    given: bool = Field(
        default=True, description="Respect the parts that the source gives; false cuts all anew."
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="Another cut of the same data; not the seed of the training."
    )
