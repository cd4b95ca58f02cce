"""How weights and their changes are spread, by layer and epoch."""

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.records.layer_histogram import LayerHistogram

BINS = 21
"""Odd, so that weights near 0 have a bin of their own."""

MOST_LAYERS = 12
"""Layers that are looked at: spread evenly from the first to the last that is trained."""

MOST_WEIGHTS = 20_000
"""Weights of a layer that are looked at, evenly spaced: a look costs milliseconds."""


class LayerHistograms:
    """Looks at the trained layers of a model, time and again.

    Args:
        model: Whose tensors of two or more dimensions are looked at, where they are trained.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
        places = np.unique(np.linspace(0, len(named) - 1, min(MOST_LAYERS, len(named))).round())
        self._layers = [named[int(place)] for place in places]
        self._before: dict[str, NDArray[np.float32]] = {}

    def look(self, epoch: float) -> tuple[LayerHistogram, ...]:
        """Return a histogram for each layer, and of what has changed since the look before."""
        found = []
        for name, parameter in self._layers:
            flat = parameter.detach().reshape(-1)
            now = flat[:: -(-len(flat) // MOST_WEIGHTS)].float().cpu().numpy().copy()
            found.append(_histogram(name, epoch, now, self._before.get(name)))
            self._before[name] = now
        return tuple(found)


def _histogram(
    layer: str, epoch: float, now: NDArray[np.float32], before: NDArray[np.float32] | None
) -> LayerHistogram:
    reach, weights = shares(now)
    if before is None:
        return LayerHistogram(layer=layer, epoch=epoch, reach=reach, weights=weights)
    moved = now - before
    step_reach, updates = shares(moved)
    change = float(np.std(moved, dtype=np.float64))  # Of weights that blow up, squares overflow.
    return LayerHistogram(
        layer=layer, epoch=epoch, reach=reach, weights=weights, step_reach=step_reach, updates=updates,
        change=change if np.isfinite(change) else None,
    )  # fmt: skip


def shares(values: NDArray[np.float32]) -> tuple[float, tuple[float, ...]]:
    """Return the greatest size of any value, and the share of values in each of `BINS` bins within it.

    Values that are no numbers are in no bin.
    """
    known = values[np.isfinite(values)].astype(np.float64)
    reach = float(np.abs(known).max()) if len(known) else 0.0
    if not reach:
        return 0.0, ()
    counts, _ = np.histogram(known, bins=BINS, range=(-reach, reach))
    return reach, tuple(round(float(n) / len(values), 5) for n in counts)
