"""Nothing that goes wrong in watching reaches the training that is watched."""

import functools
from collections.abc import Callable
from typing import Any, Protocol


class Troubled(Protocol):
    """Who keeps what went wrong.

    Attributes:
        troubles: Kinds of errors, each once.
    """

    troubles: dict[str, int]


def unharmed(method: Callable[..., None]) -> Callable[..., None]:
    """Let a method note its own errors instead of raising them; what it would have seen is missing."""

    @functools.wraps(method)
    def called(self: Troubled, *args: Any, **settings: Any) -> None:
        try:
            method(self, *args, **settings)
        except Exception as error:  # noqa: BLE001 - tensors of anyone's raise anything.
            kind = f"{method.__name__}: {type(error).__name__}: {error}".splitlines()[0][:200]
            self.troubles[kind] = self.troubles.get(kind, 0) + 1

    return called
