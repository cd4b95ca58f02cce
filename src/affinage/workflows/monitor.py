"""The verb `monitor`: what a deployed model saw, judged against what it was trained on."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affinage.errors import DataError, RecipeError
from affinage.metrics.intervals import wilson
from affinage.monitoring.accuracy import Unlabelled, estimate_accuracy
from affinage.monitoring.baselines import compared_with
from affinage.monitoring.choosing import Why, choose
from affinage.monitoring.drift import (
    FEWEST,
    OF_MANY,
    OF_WINDOW,
    Difference,
    Least,
    alarming,
    differences,
)
from affinage.monitoring.reading import given, right_on, seen_by_log
from affinage.monitoring.telling import UNKNOWABLE, tell
from affinage.monitoring.unlike import loneliness, share_unlike
from affinage.records.bundle import MEASURES, Baseline, Bundle
from affinage.records.estimate import Estimate
from affinage.records.monitored import Changed, MonitorResult, ToLabel, WindowJudged
from affinage.records.served import Served
from affinage.reporting.html import to_html
from affinage.reporting.monitor_report import monitor_report
from affinage.store.bundle import BundleFolder
from affinage.store.corrections import read_corrections, write_questions
from affinage.store.files import write_text
from affinage.store.prediction_log import PredictionLog
from affinage.workflows.reporter import Reporter, Silent

TOGETHER = 1000
"""Images at most, the last ones, that windows are judged together on."""

_NOTHING = Estimate(value=None, low=None, high=None, n=0)
_REASONS: dict[Why, str] = {
    "chance": "drawn by chance: such images measure the accuracy",
    "unlike": "resembles nothing the model is known to be good at",
    "unsure": "the model was hardly surer of this label than of others",
}


def monitor(
    bundle: str | Path,
    log: str | Path,
    *,
    window: int = 200,
    false_alarms: float = 0.01,
    labels: str | Path | None = None,
    to_label: int = 30,
    ask: str | Path | None = None,
    report: str | Path | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> MonitorResult:
    """Return what a server's log shows: drift, an accuracy without labels, and what to label next.

    Args:
        bundle: The folder that `affinage export` wrote.
        log: The folder that `affinage serve --log` writes.
        window: Images that are judged together, 30 to 100,000.
        false_alarms: Share of windows without shift that may raise an alarm, between 0 and 1.
        labels: A table of what images show in truth, columns `image` and `label`, such as the
            server's own `corrections.csv`.
        to_label: Images to name, 0 to 1,000.
        ask: Where these are written as a table to fill in, which `labels` and `affinage feedback add`
            read; None writes none.
        report: Where a page is written; None writes none.
        seed: Of shuffles and draws.
        reporter: Told of progress.

    Raises:
        RunError: If the bundle or the log cannot be read.
        RecipeError: If a number is out of range.
        DataError: If the table of labels cannot be read, no image was answered by this bundle, the page
            would take the place of a folder, or the table to fill in that of anything.
    """
    _check(window=window, false_alarms=false_alarms, to_label=to_label)
    if report is not None and Path(report).is_dir():
        raise DataError(
            f"'{report}' is a folder.", remedy="Give a file, such as --report drift.html."
        )
    if ask is not None and Path(ask).exists():
        raise DataError(
            f"'{ask}' is there already, and may have been filled in.",
            remedy="Give another name: --ask new.csv",
        )
    told, folder = reporter or Silent(), BundleFolder(Path(bundle))
    record, baseline = folder.read(), folder.read_baseline()
    lines, others, damaged = _own(PredictionLog(Path(log)), folder, record)
    if damaged:
        told.say(f"left out of the log, as they are damaged: {damaged:,} lines")
    watch = _Watch(record, baseline, seed=seed)
    windows = []
    starts = range(0, len(lines) - window + 1, window)
    for number, start in enumerate(starts, start=1):
        windows.append(watch.judge(lines[start : start + window], number, false_alarms))
        told.phase("judging windows", number, len(starts))
    rest = lines if not windows and len(lines) >= FEWEST else []
    if rest:  # Less than a window: judged as it is, with less power.
        windows.append(watch.judge(rest, 1, false_alarms))
    together = None
    if len(windows) > 1:
        told.say("judging the windows together")
        last = lines[: len(windows) * window][-max(TOGETHER, 2 * window) :]
        together = watch.judge(last, len(windows), false_alarms, OF_MANY)
    recent = _unique(lines[-max(5 * window, 1000) :])
    overall, unlike = watch.estimate(recent)
    chosen = watch.choose(recent, to_label)
    truth = _read_labels(Path(labels), record, told) if labels is not None else {}
    by_chance = {one.image for one in chosen if one.why == "chance"}
    strange = [one for one in chosen if one.why == "unlike"]
    known, why = _known(record, overall, unlike)
    result = MonitorResult(
        bundle=folder.name,
        log=Path(log).resolve().name,
        images=len(lines),
        others=others,
        repeats=len(lines) - len({one.image for one in lines}),
        window=window,
        false_alarms=false_alarms,
        compared=watch.words,
        windows=tuple(windows),
        together=together,
        validation=overall.on_validation if record.reading.task == "classify" else _NOTHING,
        accuracy=overall.estimate,
        known=known,
        why=why,
        measured=_measured(lines, truth),
        measured_by_chance=_measured([one for one in lines if one.image in by_chance], truth),
        to_label=chosen,
        findings=tuple(
            tell(
                windows, together, rate=false_alarms, accuracy=overall.estimate, unlike=unlike,
                strange=strange, known=known,
                validation=overall.on_validation if record.reading.task == "classify" else _NOTHING,
            )
        ),
    )  # fmt: skip
    if ask is not None:
        write_questions(Path(ask), [(one.image, one.label, one.name, one.reason) for one in chosen])
    if report is None:
        return result
    result = dataclasses.replace(result, report=str(report))
    write_text(Path(report), to_html(monitor_report(result)))
    return result


class _Watch:
    """A bundle's baseline, and what is judged against it.

    Args:
        record: The bundle.
        baseline: What it carries.
        seed: Of shuffles and draws.
    """

    def __init__(self, record: Bundle, baseline: Baseline, *, seed: int) -> None:
        self.record, self.baseline, self.seed = record, baseline, seed
        if len(self.baseline.validation) < FEWEST:
            raise DataError(
                f"The bundle carries {len(self.baseline.validation)} validation images; at least {FEWEST}"
                " are needed to judge what is normal.",
                remedy="Train with more images, or with --set split.validation=0.4, and export that run.",
            )
        self.compared = compared_with(baseline, exclusive=self.exclusive, seed=seed)

    @property
    def exclusive(self) -> bool:
        """Whether an image has one label."""
        return self.record.reading.task == "classify"

    @property
    def words(self) -> str:
        """What windows are compared with, in words."""
        inputs, answers = len(self.compared.inputs), len(self.compared.answers)
        parts = "training and validation" if self.compared.learnt else "validation"
        return (
            f"{inputs:,} {parts} images (looks, features), {answers:,} validation images (answers)"
        )

    def judge(
        self, served: Sequence[Served], number: int, rate: float, least: Least = OF_WINDOW
    ) -> WindowJudged:
        """Return a window against the baseline; an image that comes again counts once."""
        rows = _unique(served)
        accuracy, unlike = self.estimate(rows)
        found: tuple[Difference, ...] = ()
        if len(rows) >= FEWEST:
            seen = seen_by_log(rows, exclusive=self.exclusive)
            found = differences(self.compared, seen, seed=self.seed + number)
        loud = alarming(found, rate, least)
        return WindowJudged(
            number=number,
            since=served[0].at,
            until=served[-1].at,
            images=len(rows),
            alarm=bool(loud),
            p=found[0].p if found else 1.0,
            changed=tuple(self._changed(one) for one in loud),
            unlike=unlike,
            accuracy=accuracy.estimate,
        )

    def estimate(self, rows: Sequence[Served]) -> tuple[Unlabelled, Estimate]:
        """Return the accuracy without labels, and the share unlike anything.

        Images unlike anything may all be wrong: the lower end of the interval takes them for that.
        """
        seen = seen_by_log(rows, exclusive=self.exclusive)
        unlike = share_unlike(self._far(rows))
        if not self.exclusive or seen.probabilities is None:
            empty = Unlabelled(
                estimate=_NOTHING, by_threshold=None, by_confidence=None, on_validation=_NOTHING
            )
            return empty, unlike
        validation, reading = self.baseline.validation, self.record.reading
        found = estimate_accuracy(
            given(reading, validation.outputs),
            right_on(reading, validation),
            given(reading, seen.probabilities),
        )
        estimate = found.estimate
        if estimate.low is not None and unlike.high is not None and (unlike.low or 0) > 0:
            low = max(0.0, estimate.low - unlike.high)
            estimate = dataclasses.replace(estimate, low=low)
        return dataclasses.replace(found, estimate=estimate), unlike

    def choose(self, rows: Sequence[Served], count: int) -> tuple[ToLabel, ...]:
        """Return the images to label next."""
        seen = seen_by_log(rows, exclusive=self.exclusive)
        outputs = np.stack([one.outputs for one in rows]).astype(np.float64)
        sure = given(self.record.reading, outputs) if self.exclusive else _decided(outputs)
        assert seen.features is not None
        picked = choose(
            seen.features, self._far(rows), sure,
            images=seen.images, count=count, seed=self.seed,
        )  # fmt: skip
        return tuple(
            ToLabel(
                image=rows[one.row].image,
                name=rows[one.row].name,
                label=rows[one.row].label,
                confidence=float(sure[one.row]) if self.exclusive else None,
                why=one.why,
                reason=_REASONS[one.why],
            )
            for one in picked
        )

    def _far(self, rows: Sequence[Served]) -> NDArray[np.float64]:
        known = self.compared.inputs.features
        features = np.stack([one.features for one in rows]).astype(np.float32)
        assert known is not None
        return loneliness(known, features)

    def _changed(self, one: Difference) -> Changed:
        name = one.name
        if name.startswith("label "):
            name = f"label {self.record.reading.labels[int(name.removeprefix('label '))]}"
        return Changed(
            name=name, kind=one.kind, size=one.size, p=one.p, here=one.here, there=one.there
        )


def _known(record: Bundle, found: Unlabelled, unlike: Estimate) -> tuple[bool, str]:
    if record.reading.task != "classify":
        return False, f"For the task {record.reading.task} no accuracy is estimated without labels."
    if found.estimate.value is None:
        return False, f"Too few images: {found.estimate.n} here; {FEWEST} are the least."
    if (unlike.value or 0) > UNKNOWABLE:
        return False, (
            f"It cannot be known: {100 * (unlike.value or 0):.0f} % of the images resemble nothing in the"
            " baseline, and of such images no confidence tells how often the model is right."
        )
    return True, (
        "From the model's confidence alone. It holds while confidence means what it meant on validation;"
        " labels of the images drawn by chance would check it."
    )


def _own(log: PredictionLog, folder: BundleFolder, record: Bundle) -> tuple[list[Served], int, int]:
    """Return the lines of this bundle, how many are another's, and how many are damaged."""
    identity, lines, others, unfit = folder.identity, [], 0, 0
    fits = (len(record.reading.labels), len(MEASURES), record.features)
    for one in log.read():
        if one.bundle != identity:
            others += 1
        elif (len(one.outputs), len(one.measures), len(one.features)) == fits:
            lines.append(one)
        else:
            unfit += 1
    if not lines and not others:
        raise DataError(
            f"The log '{log.path}' holds no image yet.",
            remedy="Wait until the server has answered some, or point at another log.",
        )
    if not lines:
        raise DataError(
            f"No image in the log was answered by '{folder.name}'; {others:,} were by another bundle.",
            remedy="Point at the bundle that was served.",
        )
    return lines, others, unfit + log.damaged


def _unique(served: Sequence[Served]) -> list[Served]:
    return list({one.image: one for one in served}.values())


def _decided(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the least decided label of each image is from a half."""
    return np.asarray(np.abs(outputs - 0.5).min(axis=1))


def _read_labels(path: Path, record: Bundle, told: Reporter) -> Mapping[str, str]:
    """Return what images show in truth, by id; a later line wins, one without a label says nothing.

    Raises:
        DataError: If the table cannot be read or lacks a column.
    """
    rows = read_corrections(path, by=("image",))
    truth = {row["image"]: row["label"] for row in rows if row["image"] and row["label"]}
    strange = sorted(set(truth.values()) - set(record.reading.labels))
    if strange and record.reading.task == "classify":
        shown = ", ".join(f"'{label}'" for label in strange[:5])
        told.say(f"labels that the model does not have count as wrong answers: {shown}")
    return truth


def _measured(lines: Sequence[Served], truth: Mapping[str, str]) -> Estimate:
    """Return the accuracy on images whose labels came."""
    said = {one.image: one.label for one in lines}
    right = [said[image] == label for image, label in truth.items() if image in said]
    return wilson(sum(right), len(right)) if right else _NOTHING


def _check(*, window: int, false_alarms: float, to_label: int) -> None:
    if not FEWEST <= window <= 100_000:
        raise RecipeError(
            f"window is {window}; it can be {FEWEST} to 100,000 images.",
            remedy="Give --window 200, or more for finer differences.",
        )
    if not 0.001 <= false_alarms <= 0.5:
        raise RecipeError(
            f"false-alarms is {false_alarms:g}; it can be 0.001 to 0.5.",
            remedy="Give --false-alarms 0.01 for one window in a hundred.",
        )
    if not 0 <= to_label <= 1000:
        raise RecipeError(
            f"to-label is {to_label}; it can be 0 to 1,000.", remedy="Give --to-label 30."
        )
