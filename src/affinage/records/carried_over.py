"""CarriedOver: what a training that goes on from a trained model took from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOver:
    """What was taken from a trained model, what begins anew, what was left behind.

    Attributes:
        kept: Labels whose part of the head was kept.
        new: Labels that the trained model did not know; their part of the head begins at 0.
        dropped: Labels that it knew and that are not asked for any more.
        weights: How many of the new model's weights were taken from it.
        of: How many weights the new model has.
        fresh: Names of tensors that begin anew, whole: it had none of this name and shape.
        left: Names of its tensors that found no place.
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    dropped: tuple[str, ...]
    weights: int
    of: int
    fresh: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def summary(self) -> str:
        """All of it in a sentence or two."""
        parts = [f"{len(self.kept)} labels kept what was learnt of them"]
        if self.new:
            parts.append(f"{len(self.new)} begin at 0 ({_some(self.new)})")
        if self.dropped:
            parts.append(f"{len(self.dropped)} were dropped ({_some(self.dropped)})")
        text = f"{self.weights:,} of {self.of:,} weights were carried over; {', '.join(parts)}."
        if self.fresh:
            text += f" Not carried over: {_some(self.fresh)}."
        if self.left:
            text += f" Left behind: {_some(self.left)}."
        return text


def _some(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
