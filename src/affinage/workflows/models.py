"""The verb `models`: which backbones can be used, and which of them offline now."""

from affinage.models.catalogue import Entry, catalogue
from affinage.records.networks import ModelSettings


def list_models(pattern: str = "*") -> tuple[Entry, ...]:
    """Return the backbones whose name matches, those that work offline now first.

    Args:
        pattern: A shell pattern such as `*lite*`, or a part of the name.
    """
    return catalogue(pattern, default=ModelSettings.model_fields["backbone"].default)
