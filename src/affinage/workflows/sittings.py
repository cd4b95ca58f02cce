"""What two sittings of one training saw becomes one record."""

from dataclasses import replace

from affinage.records.signals import Series, Signals


def joined(before: Signals, now: Signals, *, start: int) -> Signals:
    """Return what both sittings saw, as of one training.

    Steps that the first sitting took after its last checkpoint were taken again, so they are the second's.

    Args:
        before: Of the sitting that was cut off.
        now: Of the one that went on; its steps count from 1 on.
        start: Steps that had been taken when it began.
    """
    kept = {(s.name, s.layer): _until(s, start) for s in before.series or ()}
    for series in now.series or ():
        key = (series.name, series.layer)
        old = kept.get(key, Series(name=series.name, layer=series.layer))
        kept[key] = replace(
            old,
            steps=(*old.steps, *(step + start for step in series.steps)),
            values=(*old.values, *series.values),
        )
    first = now if before.optimizers is None else before
    return replace(
        now,
        series=tuple(kept.values()) or None,
        steps=start + (now.steps or 0),
        pretrained=before.pretrained,
        optimizers=tuple(
            replace(late, learning_rates=early.learning_rates, steps=late.steps + start)
            for early, late in zip(first.optimizers or (), now.optimizers or (), strict=False)
        )
        or now.optimizers,
    )


def _until(series: Series, last: int) -> Series:
    """Return a series without what came after a step."""
    count = sum(step <= last for step in series.steps)
    return replace(series, steps=series.steps[:count], values=series.values[:count])
