"""How the figures of a study read: as percent and points, or as numbers."""

from affinage.records.estimate import Estimate
from affinage.reporting.words import NOTHING


class Figures:
    """How a metric's figures read.

    Args:
        share: As percent and points.
    """

    def __init__(self, *, share: bool) -> None:
        self.share = share

    @property
    def rising(self) -> bool:
        """Whether a greater score is better: shares are gains, all else is an error."""
        return self.share

    def plain(self, value: float | None) -> float:
        """Return a score in the unit that its axis names."""
        return 0.0 if value is None else 100 * value if self.share else value

    def axis(self, metric: str) -> str:
        """Return the name of a metric's axis."""
        return f"{metric}, %" if self.share else metric

    def brief(self, value: float) -> str:
        """Return a score in a few signs."""
        return f"{100 * value:.1f}" if self.share else f"{value:.3g}"

    def score(self, value: float | None) -> str:
        """Return a score."""
        if value is None:
            return NOTHING
        return f"{100 * value:.1f} %" if self.share else f"{value:.4g}"

    def estimate(self, one: Estimate) -> str:
        """Return a score with its interval."""
        if one.value is None or one.low is None or one.high is None:
            return self.score(one.value)
        if self.share:
            low, high = (f"{100 * end:.1f}" for end in (one.low, one.high))
            return f"{self.score(one.value)} [{low}, {high}]"
        digits = one.decimals()
        return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"

    def gain(self, one: Estimate) -> str:
        """Return a difference with its interval."""
        if one.value is None:
            return NOTHING
        digits = one.decimals(scale=100 if self.share else 1, least=1 if self.share else 0)
        if self.share:
            digits = min(digits, 2)
        if one.low is None or one.high is None:
            return self._signed(one.value, digits)
        low, high = (self._signed(end, digits) for end in (one.low, one.high))
        return f"{self._signed(one.value, digits)} [{low}, {high}]"

    def size(self, value: float | None) -> str:
        """Return the size of a difference."""
        if value is None:
            return "cannot be said"
        if not self.share:
            return f"{value:.2g}"
        told = f"{100 * value:.2g}"
        return f"{told} point{'' if told == '1' else 's'}"

    def _signed(self, value: float, digits: int) -> str:
        return f"{100 * value if self.share else value:+.{digits}f}".replace("-", "−")
