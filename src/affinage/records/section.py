"""Section: what every group of a recipe's settings has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Settings that belong together: nothing unknown is taken, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @property
    def changed(self) -> bool:
        """True where a setting is not as it comes."""
        return self != type(self)()

    @property
    def altered(self) -> frozenset[str]:
        """Names of the settings that are not as they come."""
        fields = type(self).model_fields
        return frozenset(name for name in fields if getattr(self, name) != fields[name].default)
