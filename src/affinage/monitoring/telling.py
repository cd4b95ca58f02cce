"""Findings of a monitored model, from judged windows."""

from collections.abc import Iterator, Sequence

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding
from affinage.records.monitored import Changed, ToLabel, WindowJudged

FALLEN = 0.05
"""Loss of accuracy, against validation, from which it is told."""

UNKNOWABLE = 0.1
"""Share of images unlike anything from which no estimate is given to rely on: at 24 % of images of something
else it was 13 points off, at 9 % 3 points (docs/log.md)."""

_WORDS = {
    "kernel": "features, by the kernel two-sample test",
    "classes": "shares of the labels given",
    "brightness": "brightness, 0 black to 1 white",
    "contrast": "contrast, 0 none to 0.5",
    "dark": "share of nearly black pixels",
    "bright": "share of nearly white pixels",
    "sharpness": "sharpness of edges",
    "colour": "colour, 0 for grey",
    "entropy": "variety of grey levels, bits",
    "focus": "focus, 0 blurred to 2 sharp",
    "flat": "share of pixels without any texture",
    "palette": "variety of colours, bits",
}


def tell(
    windows: Sequence[WindowJudged],
    together: WindowJudged | None = None,
    *,
    rate: float,
    validation: Estimate,
    accuracy: Estimate,
    unlike: Estimate,
    strange: Sequence[ToLabel],
    known: bool = True,
) -> Iterator[Finding]:
    """Yield what the owner should know.

    Args:
        windows: Judged.
        together: The windows as one, where there are several.
        rate: Of false alarms.
        validation: Accuracy there; empty for other tasks.
        accuracy: Estimated without labels.
        unlike: Share of all images that resembles nothing in the baseline.
        strange: Images that do.
        known: Whether the estimated accuracy can be relied on; else nothing is claimed of it.
    """
    yield from _drift(windows, together, rate)
    if known:
        yield from _fallen(validation, accuracy)
    yield from _unlike(unlike, strange, asked=validation.n > 0)


def described(changed: Changed) -> str:
    """Return a difference in words, with its values."""
    if changed.name == "classifier":
        return (
            "a classifier puts an image of the window above one of the baseline in"
            f" {100 * changed.size:.0f} % of cases; 50 % is chance"
        )
    if changed.name == "classes":
        return f"{100 * changed.size:.0f} % of the answers would have to change label to have the old shares"
    if changed.name == "kernel":
        return f"{_WORDS['kernel']}: {changed.size:.0f} standard deviations from chance"
    medians = ""
    if changed.here is not None and changed.there is not None:
        medians = f": median {changed.here:.3g} here, {changed.there:.3g} in the baseline"
    name = _WORDS.get(changed.name, changed.name)
    return f"{name}{medians} (the distributions are {changed.size:.2f} of 1 apart)"


def _drift(
    windows: Sequence[WindowJudged], together: WindowJudged | None, rate: float
) -> Iterator[Finding]:
    loud = [window for window in windows if window.alarm]
    if loud:
        spoken = (
            f"{len(loud)} of {_counted(len(windows))} {_differ(len(loud))} from the baseline; without any"
            f" shift {rate * len(windows):.2g} would, on average"
        )
    elif together is not None and together.alarm:
        loud = [together]
        spoken = (
            f"too little for any of {len(windows)} windows to show, but their last"
            f" {together.images} images together differ from the baseline; without any shift that has"
            f" a chance of {together.p:.2g}"
        )
    else:
        return
    inputs = [one for window in loud for one in window.changed if one.kind in ("look", "features")]
    answers = [
        one for window in loud for one in window.changed if one.kind not in ("look", "features")
    ]
    last = loud[-1]
    where = "the images" if last is together else f"the last one: window {last.number}"
    where += f", {_moment(last.since)} to {_moment(last.until)}, {last.images} images"
    if inputs:
        yield Finding(
            code="input-drift",
            severity="warning",
            subject=f"The images changed: {spoken}.",
            evidence=(where, *_lines(inputs)),
            remedy="Look at the images to label below; if such images are meant, label them and bring them"
            " back: affinage feedback add",
        )
    if answers:
        yield Finding(
            code="prediction-drift",
            severity="warning",
            subject=f"The answers changed: {spoken}.",
            evidence=(where, *_lines(answers)),
            remedy="Label the images below: only labels tell other objects from more mistakes.",
        )


def _moment(at: str) -> str:
    """Return a time of the log to the second, for people."""
    return at[:19].replace("T", " ")


def _counted(windows: int) -> str:
    return "1 window" if windows == 1 else f"{windows} windows"


def _differ(windows: int) -> str:
    return "differs" if windows == 1 else "differ"


def _lines(changed: Sequence[Changed]) -> list[str]:
    """Return each kind of difference once, where it is largest; the surest first, of equals the largest."""
    largest: dict[str, Changed] = {}
    for one in changed:
        if one.name not in largest or one.size > largest[one.name].size:
            largest[one.name] = one
    ranked = sorted(largest.values(), key=lambda one: (one.p, -one.size, one.name))
    return [described(one) for one in ranked[:6]]


def _fallen(validation: Estimate, accuracy: Estimate) -> Iterator[Finding]:
    if validation.value is None or accuracy.value is None or accuracy.low is None:
        return
    if validation.value - accuracy.value < FALLEN:
        return
    yield Finding(
        code="accuracy-fallen",
        severity="warning",
        subject=f"The model is probably right less often: {_interval(accuracy)} by its confidence, without"
        f" labels, against {_interval(validation)} on validation.",
        remedy="Label the images below that were drawn by chance: they measure it.",
    )


def _unlike(unlike: Estimate, strange: Sequence[ToLabel], *, asked: bool) -> Iterator[Finding]:
    if unlike.low is None or unlike.value is None or unlike.low <= 0 or unlike.value < FALLEN:
        return
    yield Finding(
        code="images-unlike-baseline",
        severity="warning",
        subject=f"{_interval(unlike)} of the images resemble nothing in the baseline: a new class, another"
        " source, or damage.",
        evidence=tuple(
            f"{one.name or one.image[:12]}: called '{one.label}'" for one in strange[:5]
        ),
        remedy="Look at them first: of these no confidence tells how often the model is right."
        if asked
        else "Look at them first.",
        images=tuple(one.name or one.image for one in strange),
        ids=tuple(one.image for one in strange),
    )


def _interval(share: Estimate) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "not enough images to say"
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}; n = {share.n:,}]"
