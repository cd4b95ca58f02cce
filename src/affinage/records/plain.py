"""Records to and from plain JSON values: one way for all of them."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from affinage.errors import RunError

Record = TypeVar("Record")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_plain(record: Any) -> Any:
    """Return a record as dictionaries, lists, strings, numbers, booleans and None."""
    return _adapter(type(record)).dump_python(record, mode="json")


def from_plain(kind: type[Record], value: Any) -> Record:
    """Return the record of a type that `to_plain` made plain.

    Raises:
        RunError: If the value is not one.
    """
    try:
        record: Record = _adapter(kind).validate_python(value, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RunError(
            f"A saved {kind.__name__} is not as it should be at '{place}': {first['msg']}.",
            remedy="It was changed by hand or written by another version: run the command again.",
        ) from None
    return record
