"""The doctor's verdicts as blocks of a report."""

from collections import Counter

from affinage.records.report import Block, Chart, Findings, Line, Table, Text
from affinage.records.verdict import Remedy, Verdict
from affinage.reporting.words import label

_TITLES = {"fine": "Checked and fine", "unchecked": "Could not be checked"}
_BY_EPOCH = {"no-better-than-baseline", "overfitting", "underfitting", "not-converged"}


def verdict_blocks(verdicts: tuple[Verdict, ...]) -> tuple[Block, ...]:
    """Return what was found, each with its proof and curves, then what is fine and what was not checked."""
    blocks: list[Block] = []
    for verdict in verdicts:
        if verdict.finding is not None:
            blocks += [Findings(items=(verdict.finding,)), *_beside(verdict)]
    if not blocks:
        blocks.append(Text(paragraphs=("Nothing wrong was found.",)))
    for answer, title in _TITLES.items():
        rows = tuple((v.code, v.said) for v in verdicts if v.answer == answer)
        if rows:
            columns = ("question", "because" if answer == "unchecked" else "what was looked at")
            blocks.append(Table(columns=columns, rows=rows, caption=f"{title} ({len(rows)})"))
    return tuple(blocks)


def examined_blocks(verdicts: tuple[Verdict, ...], run: str) -> tuple[Block, ...]:
    """Return what interests a run's owner: findings above "note", and how many questions were asked.

    Args:
        verdicts: Of the doctor; none gives no blocks.
        run: The run's name, for the command that tells the rest.
    """
    if not verdicts:
        return ()
    blocks: list[Block] = []
    for verdict in verdicts:
        if verdict.finding is not None and verdict.finding.severity != "note":
            blocks += [Findings(items=(verdict.finding,)), *_beside(verdict)]
    answers = Counter(verdict.answer for verdict in verdicts)
    said = "Nothing wrong was found in the training itself. " if not blocks else ""
    blocks.append(
        Text(
            paragraphs=(
                f"{said}The doctor asked {len(verdicts)} questions: {answers['fine']} were checked and "
                f"are fine, {answers['unchecked']} could not be checked, {answers['finding']} found "
                f"something, small notes included. All of it: affinage doctor {label(run)}",
            )
        )
    )
    return tuple(blocks)


def sureness(verdict: Verdict) -> str:
    """Return how sure a finding is, and what that rests on; empty where nothing is known of it."""
    if verdict.confidence is None:
        return ""
    findings = "finding" if verdict.cases == 1 else "findings"
    rests = (
        f"fitted on {verdict.cases} such {findings} in trainings whose fault is known"
        if verdict.cases
        else "the share of all findings that were right in trainings whose fault is known (none was of "
        "this kind)"
    )
    return f"confidence {verdict.confidence:.0%}: {rests}"


def remedy_told(remedy: Remedy) -> str:
    """Return the best of several ways to mend a cause as a sentence, with what its scores rest on."""
    images = {
        "validation": f"{remedy.images} images of validation",
        "held out": f"{remedy.images} images held out of training",
    }[remedy.on]
    return (
        f"Of {remedy.ways} ways to mend it, tried for {remedy.steps} steps, the best: {remedy.said}. "
        f"It scores {remedy.after:.3f} on {images}, where the training as it was scores {remedy.before:.3f} "
        f"(means of {remedy.repeats} trainings; it was chosen on these images, so expect a little less)."
    )


def _beside(verdict: Verdict) -> tuple[Block, ...]:
    lines = [f"It could also be {a.explanation}; but {a.against}." for a in verdict.alternatives]
    if verdict.confidence is not None:
        lines.append(f"{sureness(verdict).capitalize()}.")
    if verdict.explained_by:
        lines.append(f"Probably a consequence of: {', '.join(verdict.explained_by)}.")
    if verdict.outcome is not None:
        lines.append(f"{verdict.outcome.mark.capitalize()}: {verdict.outcome.said}")
        if verdict.outcome.remedy is not None:
            lines.append(remedy_told(verdict.outcome.remedy))
    elif verdict.experiment:
        lines.append(f"What would refute it: {verdict.experiment}")
    text = (Text(paragraphs=tuple(lines)),) if lines else ()
    return (*text, *_chart(verdict))


def _chart(verdict: Verdict) -> tuple[Chart, ...]:
    drawn = [trace for trace in verdict.traces if len(trace.at) > 1]
    if not drawn:
        return ()
    lines = tuple(Line(name=t.name, points=tuple(zip(t.at, t.values, strict=True))) for t in drawn)
    by_epoch = verdict.code in _BY_EPOCH
    return (
        Chart(title=verdict.code, x="epoch" if by_epoch else "step", y=drawn[0].name, lines=lines),
    )
