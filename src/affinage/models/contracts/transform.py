"""What a training relies on in a user's own transform."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from affinage.models.contracts.trial import Check, Trial

SHAPES = ((64, 48), (17, 33), (8, 8))


def _pictures() -> Iterator[NDArray[np.uint8]]:
    for height, width in SHAPES:
        yield np.random.default_rng(4).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _transformed(trial: Trial, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    made: NDArray[np.uint8] = trial.part(pixels, np.random.default_rng(5))
    return made


def _gives_pixels(trial: Trial) -> str | None:
    """Pixels (height, width, 3) of any size, uint8, give such pixels."""
    for pixels in _pictures():
        made = _transformed(trial, pixels)
        if not isinstance(made, np.ndarray) or made.dtype != np.uint8:
            kind = made.dtype if isinstance(made, np.ndarray) else type(made).__name__
            return f"it gives {kind} instead of uint8 pixels"
        if made.ndim != 3 or made.shape[2] != 3 or not made.size:
            return f"from the shape {pixels.shape} it makes {made.shape}"
    return None


def _leaves_its_input(trial: Trial) -> str | None:
    """It does not write into the pixels that it is given."""
    for given, pixels in zip(_pictures(), _pictures(), strict=True):
        _transformed(trial, given)
        if not np.array_equal(given, pixels):
            return "it writes into its input"
    return None


def _draws_from_the_generator(trial: Trial) -> str | None:
    """The same pixels and the same generator give the same, in threads too."""
    pixels = next(_pictures())
    expected = _transformed(trial, pixels)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: _transformed(trial, pixels.copy()), range(16)))
    if all(np.array_equal(one, expected) for one in made):
        return None
    return "the same generator gives other pixels: take all random numbers from it"


CONTRACT: tuple[Check, ...] = (
    _gives_pixels,
    _leaves_its_input,
    _draws_from_the_generator,
)
