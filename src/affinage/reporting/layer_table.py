"""The table of layers as a report that fits 80 columns."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from affinage.records.layers import Layer, LayerTable
from affinage.records.report import Fact, Facts, Report, Section, Table, Text
from affinage.reporting.words import count

MOST_ROWS = 40
"""Of so many layers at most each has a row; of more, each block."""

BAR, NAME = 5, 18
"""Characters of the longest bar and of the longest name, of which the end is kept."""

_NAMED = re.compile(r"\d$")
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def layer_report(table: LayerTable, *, every: bool = False) -> Report:
    """Return the table with its totals.

    Args:
        table: What to show.
        every: A row for each layer, however many there are; else long tables have one for each block.
    """
    folded = len(table.layers) > MOST_ROWS and not every
    rows = _blocks(table.layers) if folded else list(table.layers)
    return Report(
        title=f"Layers of {table.backbone}",
        verdict=(
            f"{table.backbone} at {table.width} × {table.height} px has {_short(table.weights)} weights "
            f"and {_short(table.multiply_adds)} multiply-adds for an image; "
            f"{_short(table.trained_weights)} of the weights are trained."
        ),
        tone="neutral",
        sections=(
            Section(title="Layers", blocks=(_drawn(rows),)),
            Section(
                title="Together", blocks=(_totals(table), Text(paragraphs=_legend(table, folded)))
            ),
        ),
    )


def _drawn(rows: Sequence[Layer]) -> Table:
    most = max((row.multiply_adds for row in rows), default=0)
    return Table(
        columns=("layer", "output", "weights", "mult-adds", "", "sees", "learns", "BN"),
        rows=tuple(
            (
                _name(row.name),
                "×".join(map(str, row.output)) or "not used",
                _short(row.weights) if row.weights else "–",
                _short(row.multiply_adds) if row.multiply_adds else "–",
                "█" * _length(row.multiply_adds, most),
                _seen(row),
                _learns(row),
                row.batchnorm or "",
            )
            for row in rows
        ),
        numeric=(2, 3),
    )


def _length(value: int, most: int) -> int:
    return max(1, round(BAR * value / most)) if value else 0


def _blocks(layers: Sequence[Layer]) -> list[Layer]:
    """Return layers side by side within one block as one, which gives and sees what the last does."""
    return [_together(name, list(members)) for name, members in groupby(layers, key=_block)]


def _block(layer: Layer) -> str:
    """Return the name up to the last part with a number, the layer's own name left aside."""
    if not (layer.weights or layer.multiply_adds or layer.batchnorm):
        above = layer.name.rpartition(".")[0]  # Pooling, in its steps.
        return above if "." in above else layer.name
    parts = layer.name.split(".")
    numbered = [place for place, part in enumerate(parts[:-1]) if _NAMED.search(part)]
    return ".".join(parts[: numbered[-1] + 1]) if numbered else layer.name


def _together(name: str, members: Sequence[Layer]) -> Layer:
    used = [member for member in members if member.output] or members
    widest = max(used, key=_reach)
    trained = [member.trained for member in members if member.trained is not None]
    norms = [member.batchnorm for member in members if member.batchnorm is not None]
    rates = [member for member in members if member.rate is not None]
    return replace(
        used[-1],
        sees=widest.sees,
        receptive_field=widest.receptive_field,
        stride=widest.stride,
        name=name,
        kind="block" if len(members) > 1 else members[0].kind,
        weights=sum(member.weights for member in members),
        multiply_adds=sum(member.multiply_adds for member in members),
        trained=any(trained) if trained else None,
        batchnorm=norms[0] if norms else None,
        rate=rates[0].rate if rates else None,
        learning_rate=rates[0].learning_rate if rates else None,
    )


def _reach(layer: Layer) -> tuple[int, int]:
    """Return what orders layers by how much of the image they see."""
    height, width = layer.receptive_field or (0, 0)
    return ("part", "unknown", "whole").index(layer.sees), height * width


def _name(name: str) -> str:
    short = name.removeprefix("backbone.") if name != "backbone" else "(backbone)"
    return short if len(short) <= NAME else f"…{short[1 - NAME :]}"


def _seen(layer: Layer) -> str:
    if layer.receptive_field is None:
        return {"whole": "all", "unknown": "?", "part": "?"}[layer.sees]
    height, width = layer.receptive_field
    return f"{height}" if height == width else f"{width}×{height}"


def _learns(layer: Layer) -> str:
    if not layer.trained:
        return "" if layer.trained is None else "no"
    if layer.learning_rate is not None:
        return f"{layer.learning_rate:.1e}".replace("e-0", "e-")
    return f"{layer.rate:.2g} × lr" if layer.rate is not None else "optimum"


def _totals(table: LayerTable) -> Facts:
    return Facts(
        items=(
            Fact(name="Input", value=f"{table.width} × {table.height} px"),
            Fact(name="Weights", value=f"{table.weights:,}"),
            Fact(
                name="Trained",
                value=f"{table.trained_weights:,}",
                detail=f"{table.trained_groups} of {table.groups} groups, the head's included",
            ),
            Fact(name="Multiply-adds", value=f"{table.multiply_adds:,}", detail="for one image"),
            Fact(name="Head", value=count(table.classes, "class", "classes")),
        )
    )


def _legend(table: LayerTable, folded: bool) -> tuple[str, ...]:  # noqa: FBT001
    told = [
        "mult-adds: of convolutions, linear layers and attention, for one image.",
        "sees: side in px of the part of the image that a place depends on, edges not cut off; all: "
        "every pixel, by attention, squeeze-and-excitation or pooling; ?: windows not followed.",
        "learns: highest learning rate (optimum: fitted, not trained); BN: BatchNorm's statistics.",
    ]
    if folded:
        told.append(
            f"Each row is a block; {len(table.layers)} layers are in them: add --all to see each."
        )
    return tuple(told)


def _short(value: float) -> str:
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:g}"
