"""Monitored: what a model saw since it was deployed, judged against what it was trained on."""

from dataclasses import dataclass

from affinage.records.estimate import Estimate
from affinage.records.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One thing in which a window differs from the baseline.

    Attributes:
        name: A measure, `kernel`, `classifier`, `classes`, `confidence`, or `label NAME`.
        kind: `look`, `features`, `predictions` or `confidence`.
        size: How large: a gap between distributions, or the share of answers that moved, 0 to 1; of
            `classifier` the area under its curve, 0.5 for none; of `kernel` deviations from chance.
        p: Chance of any such deviation in a window without shift, over all that was compared.
        here: Median in the window; None where there is none.
        there: Median in the baseline; None where there is none.
    """

    name: str
    kind: str
    size: float
    p: float
    here: float | None = None
    there: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowJudged:
    """Images in a row, judged together.

    Attributes:
        number: 1 for the first; of windows judged together that of the last.
        since: Time of its first image.
        until: Time of its last image.
        images: How many.
        alarm: Whether it differs from the baseline more than the false-alarm rate allows.
        p: Chance of a deviation as large without shift.
        changed: In what it differs, where it raises an alarm; the surest first.
        unlike: Share of its images that resemble nothing in the baseline, beyond the few that always do.
        accuracy: Estimated without labels; empty where it cannot be.
    """

    number: int
    since: str
    until: str
    images: int
    alarm: bool
    p: float
    changed: tuple[Changed, ...]
    unlike: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ToLabel:
    """An image whose label would teach most.

    Attributes:
        image: Id.
        name: As the client called it.
        label: What the model said.
        confidence: How sure it was; None where it says several labels or counts.
        why: `unlike` (resembles nothing it learnt), `unsure`, or `chance` (drawn at random: these
            alone measure an accuracy).
        reason: The same in a sentence.
    """

    image: str
    name: str
    label: str
    confidence: float | None
    why: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorResult:
    """What a log shows.

    Attributes:
        bundle: Name of the bundle.
        log: Name of the log's folder.
        images: Images in the log that this bundle answered.
        others: Images in the log that another bundle answered; not judged.
        repeats: Of `images`, how often the same image was answered again; judged once in each window.
        window: Images of a window.
        false_alarms: Share of windows without shift that may raise an alarm.
        compared: Images of the baseline, in words.
        windows: In the order of time; the images after the last full one are not judged.
        together: The last images of all windows as one, which shows what is too little for each of them;
            None where there are fewer than two windows.
        validation: Accuracy on the validation part, as the bundle knows it; empty for other tasks.
        accuracy: Estimated without labels over all images; empty where it cannot be.
        known: Whether that estimate can be relied on.
        why: What it rests on, or why it cannot be known.
        measured: Accuracy on images whose labels came; empty where none did.
        measured_by_chance: Of these, on those that were drawn at random; empty where none were.
        to_label: Images to label next.
        findings: What its owner should know.
        report: Where the report lies; empty where none was written.
    """

    bundle: str
    log: str
    images: int
    others: int
    repeats: int
    window: int
    false_alarms: float
    compared: str
    windows: tuple[WindowJudged, ...]
    together: WindowJudged | None
    validation: Estimate
    accuracy: Estimate
    known: bool
    why: str
    measured: Estimate
    measured_by_chance: Estimate
    to_label: tuple[ToLabel, ...]
    findings: tuple[Finding, ...]
    report: str = ""
