"""Section: what every group of a recipe's settings has in common."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """Settings that belong together: nothing unknown is taken, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _be_no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse yes and no, which YAML reads in many words and Python as 1 and 0, for a number."""
        wanted = kinds_of(cls.model_fields[info.field_name or ""].annotation)
        found = value if isinstance(value, list | tuple) else (value,)
        if (
            any(isinstance(one, bool) for one in found)
            and wanted & {int, float}
            and bool not in wanted
        ):
            msg = "Is a number"
            raise ValueError(msg)
        return value

    @property
    def altered(self) -> frozenset[str]:
        """Names of the settings that are not as they come."""
        fields = type(self).model_fields
        return frozenset(name for name in fields if getattr(self, name) != fields[name].default)


def kinds_of(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation is made of."""
    inner = get_args(annotation)
    return {annotation} if not inner else set().union(*map(kinds_of, inner))
