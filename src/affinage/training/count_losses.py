"""Losses of counts: what each distribution charges for a count, and the count that it expects.

A last layer gives `parts` raw numbers for each class: shape (n, parts, K), the one that the mean is
made of first. Losses of distributions are -ln p(count), constants included, so they compare with
each other, and are never negative.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from affinage.records.pairings import LossName, OutputName
from affinage.training.outputs import OUTPUTS, log_of, log_softplus

LARGEST_LOG_DISPERSION = 7.0
"""Dispersions lie between e^-7 (almost Poisson) and e^7."""

_NEGLIGIBLE = 1e-4
"""Below it, ln(1 - e^-t) is taken as ln t - t / 2, which is then right to 1e-9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLoss:
    """One way to learn counts.

    Attributes:
        parts: Raw numbers for each class.
        losses: Raw numbers (n, parts, K) and counts (n, K) to losses (n, K).
        expected: Raw numbers (n, parts, K) to mean counts (n, K); below 0 only where the output is.
    """

    parts: int
    losses: Callable[[Tensor, Tensor], Tensor]
    expected: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charge:
    """What a distribution charges for some counts, and for none.

    Attributes:
        losses: -ln p(count), shape (n, K).
        log_zero: ln p(0).
        log_minus: ln(-ln p(0)), exact where p(0) is almost 1.
    """

    losses: Tensor
    log_zero: Tensor
    log_minus: Tensor


def make_count_loss(
    name: LossName,
    *,
    output: OutputName,
    distribution: Literal["poisson", "negative_binomial"],
    largest: Tensor,
) -> CountLoss:
    """Return the loss of a name.

    Args:
        name: Any loss of counts.
        output: What makes a mean of the first raw number.
        distribution: Of `zero_inflated` and `hurdle`, beside the zeros.
        largest: Largest count of each class, at least 1, shape (K,): for `ordinal` and `sigmoid_max`.

    Source:
        `zero_inflated`: Lambert, Zero-Inflated Poisson Regression, 1992. `hurdle`: Mullahy,
        Specification and Testing of Some Modified Count Data Models, 1986. `negative_binomial`:
        variance m + d m², Cameron & Trivedi, Regression Analysis of Count Data, 2013, 3.3.
        `ordinal`: McCullagh, Regression Models for Ordinal Data, 1980, each image with its own cuts.
    """
    follows = distribution if name in ("zero_inflated", "hurdle") else name
    base = _Base(dispersed=follows == "negative_binomial", output=output, largest=largest)
    makers: dict[str, Callable[[], CountLoss]] = {
        "zero_inflated": lambda: _zero_inflated(base),
        "hurdle": lambda: _hurdle(base),
        "ordinal": lambda: _ordinal(int(largest.max())),
        "mse": lambda: _distance(output, largest, squared=True),
        "mae": lambda: _distance(output, largest, squared=False),
    }
    return makers.get(name, base.alone)()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """Poisson, or negative binomial where `dispersed`: the second raw number is its dispersion."""

    dispersed: bool
    output: OutputName
    largest: Tensor

    @property
    def parts(self) -> int:
        return 2 if self.dispersed else 1

    def mean(self, raw: Tensor) -> Tensor:
        return OUTPUTS[self.output](raw[:, 0], self.largest.to(raw))

    def log_mean(self, raw: Tensor) -> Tensor:
        return log_of(self.output, raw[:, 0], self.largest.to(raw))

    def alone(self) -> CountLoss:
        return CountLoss(
            parts=self.parts,
            losses=lambda raw, counts: self.at(raw, counts).losses,
            expected=self.mean,
        )

    def at(self, raw: Tensor, counts: Tensor) -> _Charge:
        log_mean = self.log_mean(raw)
        if self.dispersed:
            return _negative_binomial(log_mean, log_dispersion(raw[:, 1]), counts)
        mean = self.mean(raw).clamp(min=0)
        losses = mean - counts * log_mean + torch.lgamma(counts + 1)
        return _Charge(losses=losses, log_zero=-mean, log_minus=log_mean)


def log_dispersion(raw: Tensor) -> Tensor:
    """Return the logarithm of a dispersion, smoothly kept between -7 and 7; 0 at 0."""
    return LARGEST_LOG_DISPERSION * torch.tanh(raw / LARGEST_LOG_DISPERSION)


def _negative_binomial(log_mean: Tensor, log_spread: Tensor, counts: Tensor) -> _Charge:
    """Return the distribution with variance mean + dispersion · mean².

    The difference of two lgamma of about 1 / dispersion needs double precision.
    """
    wide = torch.float32 if log_mean.device.type == "mps" else torch.float64
    mean, spread, count = log_mean.to(wide), log_spread.to(wide), counts.to(wide)
    size = torch.exp(-spread)
    odds = spread + mean
    rest = functional.softplus(odds)
    ways = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
    losses = (count + size) * rest - count * odds - ways
    return _Charge(
        losses=losses.to(log_mean.dtype),
        log_zero=(-size * rest).to(log_mean.dtype),
        log_minus=(log_softplus(odds) - spread).to(log_mean.dtype),
    )


def _zero_inflated(base: _Base) -> CountLoss:
    """Return the mixture of certain zeros, by a gate of its own, and the base distribution."""

    def losses(raw: Tensor, counts: Tensor) -> Tensor:
        gate = raw[:, -1]
        here = base.at(raw, counts)
        never, maybe = functional.logsigmoid(gate), functional.logsigmoid(-gate)
        zero = -torch.logaddexp(never, maybe + here.log_zero)
        return torch.where(counts > 0, here.losses - maybe, zero)

    return CountLoss(
        parts=base.parts + 1,
        losses=losses,
        expected=lambda raw: torch.sigmoid(-raw[:, -1]) * base.mean(raw),
    )


def _hurdle(base: _Base) -> CountLoss:
    """Return a gate that decides whether there is any, and the base without its zeros."""

    def losses(raw: Tensor, counts: Tensor) -> Tensor:
        gate = raw[:, -1]
        here = base.at(raw, counts)
        some = here.losses + log_some(here.log_zero, here.log_minus) - functional.logsigmoid(gate)
        return torch.where(counts > 0, some, -functional.logsigmoid(-gate))

    def expected(raw: Tensor) -> Tensor:
        here = base.at(raw, torch.zeros_like(raw[:, 0]))
        some = log_some(here.log_zero, here.log_minus)
        return torch.exp(functional.logsigmoid(raw[:, -1]) + base.log_mean(raw) - some)

    return CountLoss(parts=base.parts + 1, losses=losses, expected=expected)


def log_some(log_zero: Tensor, log_minus: Tensor) -> Tensor:
    """Return ln(1 - p(0)) from ln p(0) and ln(-ln p(0)), finite however near p(0) is to 1."""
    near = log_zero > -_NEGLIGIBLE
    far = torch.log(-torch.expm1(log_zero.masked_fill(near, -1.0)))
    return torch.where(near, log_minus + log_zero / 2, far)


def _ordinal(largest: int) -> CountLoss:
    """Return the cumulative link: P(count > j) is a sigmoid of a score less the j-th cut.

    The first raw number is the score at the first cut; the others are the gaps between cuts, made
    positive, so the probabilities fall with j whatever the layer says. Larger counts than
    `largest` count as that.
    """

    def scores(raw: Tensor) -> Tensor:
        gaps = torch.cumsum(functional.softplus(raw[:, 1:]), dim=1)
        return torch.cat([raw[:, :1], raw[:, :1] - gaps], dim=1)

    def losses(raw: Tensor, counts: Tensor) -> Tensor:
        count = counts.round().clamp(0, largest).long().unsqueeze(1)
        above = scores(raw)
        last = largest - 1
        over = functional.logsigmoid(above.gather(1, (count - 1).clamp(min=0)))
        under = functional.logsigmoid(-above.gather(1, count.clamp(max=last)))
        gap = raw.gather(1, count.clamp(max=last))
        between = log_some(-functional.softplus(gap), log_softplus(gap))
        first, final = count == 0, count == largest
        total = over.masked_fill(first, 0.0) + under.masked_fill(final, 0.0)
        return -(total + between.masked_fill(first | final, 0.0)).squeeze(1)

    return CountLoss(
        parts=largest, losses=losses, expected=lambda raw: scores(raw).sigmoid().sum(dim=1)
    )


def _distance(output: OutputName, largest: Tensor, *, squared: bool) -> CountLoss:
    def expected(raw: Tensor) -> Tensor:
        return OUTPUTS[output](raw[:, 0], largest.to(raw))

    def losses(raw: Tensor, counts: Tensor) -> Tensor:
        gap = expected(raw) - counts
        return gap.square() if squared else gap.abs()

    return CountLoss(parts=1, losses=losses, expected=expected)
