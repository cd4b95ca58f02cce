"""Section: what every group of a recipe's settings has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings that belong together: nothing unknown is taken, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @property
    def changed(self) -> bool:
        """True where a setting is not as it comes."""
        return self != type(self)()
