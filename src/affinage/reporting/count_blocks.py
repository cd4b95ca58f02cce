"""What an evaluation of counts says, as sentences and blocks of a report."""

from collections.abc import Mapping

from affinage.records.count_evaluation import CountEvaluation, CountMistake, CountRival
from affinage.records.estimate import Estimate
from affinage.records.report import (
    Block,
    Code,
    Fact,
    Gallery,
    Matrix,
    Picture,
    Section,
    Table,
    Text,
)
from affinage.reporting.words import (
    NOTHING,
    count,
    estimated,
    interval,
    label,
    listed,
    number,
    one_line,
    part_title,
)

MOST_NUMBERED = 30
_RIVALS = ("mean", "median", "mode")


def error(estimate: Estimate) -> str:
    """Return an error in objects, such as `1.42`."""
    return NOTHING if estimate.value is None else f"{estimate.value:.2f}"


def ends(estimate: Estimate) -> str:
    """Return the ends of its interval, such as `1.21–1.65`."""
    if estimate.low is None or estimate.high is None:
        return NOTHING
    return f"{estimate.low:.2f}–{estimate.high:.2f}".replace("-", "−")


def best_rival(evaluation: CountEvaluation, name: str) -> tuple[str, CountRival] | None:
    """Return the baseline of a class with the smallest error; None where there is none."""
    rivals = evaluation.baselines.get(name)
    if rivals is None:
        return None
    found = [(key, getattr(rivals, key)) for key in _RIVALS]
    return min(found, key=lambda pair: pair[1].mae.value or 0.0)


def beaten(evaluation: CountEvaluation, name: str) -> bool:
    """Return whether a class is counted better than its best baseline beyond doubt."""
    rival = best_rival(evaluation, name)
    if rival is None:
        return True
    gain = getattr(evaluation.gains[name], rival[0]).mae
    return gain.low is not None and gain.low > 0


def count_core(evaluation: CountEvaluation) -> str:
    """Return the verdict's first clause."""
    errors = [
        f"{error(scores.mae)} {label(name)} (95 % interval {ends(scores.mae)})"
        for name, scores in evaluation.per_class.items()
    ]
    shown = listed(errors[:3]) + (f" and {len(errors) - 3} classes more" if len(errors) > 3 else "")
    if evaluation.memory_test:
        return (
            f"A memory test, no forecast: off by {shown} on average on the images it was trained on"
        )
    never = " it had never seen" if evaluation.part == "test" else ""
    images = count(evaluation.n, f"{evaluation.part} image")
    return f"Off by {shown} on average over {images}{never}"


def count_against_baselines(evaluation: CountEvaluation) -> list[str]:
    """Return what always saying the same count would score, bluntly where that is no worse."""
    if evaluation.memory_test:
        return []
    better: list[str] = []
    worse: list[str] = []
    for name in evaluation.classes:
        rival = best_rival(evaluation, name)
        if rival is not None:
            words = f"{error(rival[1].mae)} for {label(name)} (always {number(rival[1].predicts)})"
            (better if beaten(evaluation, name) else worse).append(words)
    clauses = (
        [f"the same answer for every image would be off by {listed(better)}"] if better else []
    )
    if worse:
        clauses.append(
            "it is not shown to be better than the same answer for every image, which is off by "
            f"{listed(worse)}"
        )
    return clauses


def count_glance(evaluation: CountEvaluation) -> list[Fact]:
    """Return the mean error of each class, for the first look."""
    on = "the training images" if evaluation.memory_test else evaluation.part
    facts = []
    for name, scores in list(evaluation.per_class.items())[:4]:
        rival = best_rival(evaluation, name)
        beside = (
            f"; {error(rival[1].mae)} by always saying {number(rival[1].predicts)}" if rival else ""
        )
        facts.append(
            Fact(
                name=f"{label(name)} on {on}",
                value=f"± {error(scores.mae)}",
                detail=f"mean error, 95 % interval {ends(scores.mae)}, n = {count(scores.mae.n)}{beside}",
            )
        )
    return facts


def count_score_blocks(evaluations: Mapping[str, CountEvaluation]) -> tuple[Block, ...]:
    """Return errors of every class and part, with intervals, and the baselines beside them."""
    rows: list[tuple[str, ...]] = []
    for part in evaluations.values():
        for name, scores in part.per_class.items():
            rivals = part.baselines.get(name)
            held = part.intervals.get(name)
            rows.append(
                (
                    f"{label(name)}, {part.part}",
                    f"{error(scores.mae)}",
                    ends(scores.mae),
                    *(error(getattr(rivals, key).mae) if rivals else NOTHING for key in _RIVALS),
                    estimated(scores.exact),
                    estimated(scores.within_one),
                    f"{scores.bias.value:+.2f}".replace("-", "−") if scores.bias.value else "0",
                    estimated(held.coverage) if held else NOTHING,
                )
            )
    promised = next((p.interval for p in evaluations.values() if p.interval is not None), None)
    rounding = {"nearest": "to the nearest", "floor": "down"}
    how = next(iter(evaluations.values())).rounding
    text = (
        "Mean error: how far off a count is on average, in objects; beside it, what always saying the "
        "mean, median or mode of the training images gives. Exact and within 1: share of images, after "
        f"rounding {rounding.get(how, how)}. Bias: below 0 it counts too few."
    )
    if promised is not None:
        text += f" In interval: share of true counts in an interval made to hold {100 * promised:.0f} %."
    sizes = listed([f"{count(part.n, 'image')} in {part.part}" for part in evaluations.values()])
    return (
        Table(
            columns=(
                "Class, part", "Mean error", "95 % interval", "Mean", "Median", "Mode",
                "Exact", "Within 1", "Bias", "In interval",
            ),
            rows=tuple(rows),
            caption=f"{sizes[0].upper()}{sizes[1:]}.",
            numeric=tuple(range(1, 10)),
        ),
        Text(paragraphs=(text,)),
    )  # fmt: skip


def count_sections(evaluation: CountEvaluation) -> list[Section]:
    """Return counts against counts for every class, as a picture and as CSV."""
    blocks: list[Block] = []
    tables: list[Block] = []
    for name, confusion in evaluation.confusion.items():
        shown = len(confusion.values) <= MOST_NUMBERED
        blocks.append(
            Matrix(
                title=f"{label(name)} on the {one_line(evaluation.part)} images",
                names=tuple(str(value) for value in confusion.values),
                counts=confusion.table,
                caption="Rows are true counts, columns what the model says, rounded; on the diagonal "
                f"{estimated(confusion.on_diagonal)} (95 % interval {interval(confusion.on_diagonal)}, "
                f"n = {count(confusion.on_diagonal.n)})."
                + ("" if shown else " Too many counts to number them."),
            )
        )
        tables.append(Code(text=confusion.csv(), caption=label(name)))
    return [
        Section(title="What is counted as what", blocks=tuple(blocks)),
        Section(title="The same as CSV", blocks=tuple(tables), folded=True),
    ]


def count_mistake_blocks(
    evaluation: CountEvaluation, thumbnails: Mapping[str, bytes]
) -> tuple[Block, ...]:
    """Return the counts that are furthest off, with pictures where there are."""
    mistakes = evaluation.mistakes
    if not mistakes:
        return (Text(paragraphs=(f"No count is wrong on the {evaluation.part} images.",)),)
    shown = [mistake for mistake in mistakes if mistake.image in thumbnails]
    others = [mistake for mistake in mistakes if mistake.image not in thumbnails]
    caption = f"{part_title(evaluation.part)}: the counts that surprise most, the worst first."
    blocks: list[Block] = []
    if shown:
        pictures = tuple(_picture(mistake, thumbnails[mistake.image]) for mistake in shown)
        blocks.append(Gallery(pictures=pictures, caption=caption))
    if others:
        rows = tuple(
            (label(one.path), label(one.name), number(one.truth), f"{one.predicted:.1f}")
            for one in others
        )
        blocks.append(
            Table(
                columns=("Image", "Class", "True", "Expected"), rows=rows,
                caption="" if shown else caption, numeric=(2, 3),
            )
        )  # fmt: skip
    return tuple(blocks)


def _picture(mistake: CountMistake, data: bytes) -> Picture:
    said = f"{mistake.predicted:.1f}"
    return Picture(
        data=data,
        media_type="image/png" if data.startswith(b"\x89PNG") else "image/jpeg",
        caption=f"{number(mistake.truth)} {label(mistake.name)}, counted {said}\n{label(mistake.path)}",
        alternative=f"Image with {number(mistake.truth)} {label(mistake.name)}, of which the model "
        f"counts {said}",
    )


def count_methods(evaluation: CountEvaluation) -> list[str]:
    """Return the sentences on how counts were judged, for the methods paragraph."""
    scores = [
        f"{error(one.mae)} ({ends(one.mae)}) for {label(name)}"
        for name, one in evaluation.per_class.items()
    ]
    rivals = []
    for name in evaluation.classes:
        rival = best_rival(evaluation, name)
        if rival is not None:
            rivals.append(f"{error(rival[1].mae)} for {label(name)} (the {rival[0]})")
    sentences = [
        f"On {count(evaluation.n, f'{evaluation.part} image')}, the mean absolute error of the expected "
        f"counts was {listed(scores)}",
        "Intervals in parentheses are 95 % intervals: percentile bootstrap over images for errors, "
        "Wilson's score interval for shares of images",
    ]
    if rivals:
        sentences.append(
            "The best constant count, known from the training images, was off by " + listed(rivals)
        )
    if evaluation.interval is not None:
        sentences.append(
            f"Intervals for single counts were made by split conformal prediction on validation, to "
            f"hold {100 * evaluation.interval:.0f} % of new counts"
        )
    return sentences
