"""LayerHistogram: how a layer's weights, and their changes, were spread after an epoch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerHistogram:
    """One layer at one look.

    Attributes:
        layer: Path of its weights in the model, such as `backbone.stem.conv.weight`.
        epoch: When, in epochs.
        reach: Bins of `weights` go evenly from -reach to reach; 0 where all weights are 0.
        weights: Share of the weights in each bin.
        change: Standard deviation of what the weights have changed by since the look before.
        step_reach: As `reach`, for `updates`.
        updates: Share of those changes in each bin; empty at the first look of a sitting.
    """

    layer: str
    epoch: float
    reach: float
    weights: tuple[float, ...]
    change: float | None = None
    step_reach: float = 0.0
    updates: tuple[float, ...] = ()
