"""What an experiment's numbers say of a finding."""

from affinage.records.estimate import Estimate
from affinage.records.verdict import Mark, Outcome

SECONDS = 120.0
"""For all experiments on one training."""

WORTHWHILE = 0.05
"""A gain of 5 points of accuracy; assumed to be what an owner would act on."""

_WORDS = {
    "proved": "this is a cause",
    "refuted": "this is not the cause",
    "undecided": "this cannot be told yet",
}


def marked(effect: Estimate, worthwhile: float, said: str) -> Outcome:
    """Return what an effect with its interval says of a cause that would matter from `worthwhile` on."""
    low, high = effect.low, effect.high
    mark: Mark = "undecided"
    if low is not None and low > worthwhile:
        mark = "proved"
    elif high is not None and high < worthwhile:
        mark = "refuted"
    reach = f" ({low:+.3f} to {high:+.3f})" if low is not None and high is not None else ""
    return Outcome(
        mark=mark,
        said=f"{said}: {effect.value:+.3f}{reach}, where {worthwhile:.3f} would count; {_WORDS[mark]}.",
        effect=effect,
        worthwhile=worthwhile,
    )


def shown(said: str, *, holds: bool) -> Outcome:
    """Return that it is so, or is not so, as was looked at again; no effect is claimed."""
    end = "so it is as the finding says" if holds else "so it is not as the finding says"
    return Outcome(
        mark="proved" if holds else "refuted",
        said=f"{said[:1].upper()}{said[1:]}; {end}.",
        by_showing=True,
    )


def unconfirmed(reason: str) -> Outcome:
    """Return that nothing could be tried, and why."""
    return Outcome(mark="unconfirmed", said=f"{reason[:1].upper()}{reason[1:]}.")
