"""How the weights of a study's best training were spread, by layer and epoch, as a section of its page."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from affinage.records.layer_histogram import LayerHistogram
from affinage.records.report import Block, Chart, Line, Section, Table, Text
from affinage.reporting.words import NOTHING, number

T = TypeVar("T")

MOST_LAYERS = 3
"""That are drawn: the first, the last and one between them."""

MOST_EPOCHS = 5
"""Lines of a histogram: more cannot be told apart."""


def layers_section(run: str, found: Sequence[LayerHistogram]) -> list[Section]:
    """Return the section of weights and updates; none where no training kept them.

    Args:
        run: Name of the run in the study's folder.
        found: Of that run, by layer and epoch.
    """
    layers = list(dict.fromkeys(one.layer for one in found))
    epochs = sorted({one.epoch for one in found})
    if not layers or len(epochs) < 2:
        return []
    told = (
        f"Of the best training, runs/{run}. A layer whose updates are far smaller than those of the others "
        "hardly learns; weights that spread wider with every epoch ask for a smaller rate or for weight "
        "decay."
    )
    blocks: list[Block] = [Text(paragraphs=(told,)), _changes(layers, epochs, found)]
    for layer in _evenly(layers, MOST_LAYERS):
        blocks += _drawn(layer, [one for one in found if one.layer == layer])
    return [
        Section(title="Weights and updates by layer and epoch", blocks=tuple(blocks), folded=True)
    ]


def _changes(
    layers: Sequence[str], epochs: Sequence[float], found: Sequence[LayerHistogram]
) -> Table:
    known = {(one.layer, one.epoch): one.change for one in found}
    shown = _evenly([e for e in epochs if any(known.get((n, e)) for n in layers)], MOST_EPOCHS)
    return Table(
        columns=("layer", *(f"epoch {number(epoch)}" for epoch in shown)),
        rows=tuple((name, *(_size(known.get((name, epoch))) for epoch in shown)) for name in layers),
        caption="Standard deviation of what a layer's weights have changed by since the look before.",
        numeric=tuple(range(1, len(shown) + 1)),
    )  # fmt: skip


def _drawn(layer: str, found: Sequence[LayerHistogram]) -> Iterator[Chart]:
    ordered = sorted(found, key=lambda one: one.epoch)
    for what, title, told in (
        (
            [(one.epoch, one.reach, one.weights) for one in ordered],
            "Weights",
            "Share of the layer's weights around each value, after some epochs.",
        ),
        (
            [(one.epoch, one.step_reach, one.updates) for one in ordered],
            "Updates",
            "Share of the changes since the look before around each value.",
        ),
    ):
        lines = tuple(
            Line(name=f"epoch {number(epoch)}", points=_points(reach, shares))
            for epoch, reach, shares in _evenly([one for one in what if one[2]], MOST_EPOCHS)
        )
        if lines:
            yield Chart(
                title=f"{title}: {layer}", x="value", y="share, %", lines=lines, caption=told
            )


def _points(reach: float, shares: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Return the middle of each bin with its share in percent."""
    width = 2 * reach / len(shares)
    return tuple((-reach + (i + 0.5) * width, 100 * share) for i, share in enumerate(shares))


def _evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _size(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}"
