"""What an evaluation says, as blocks of a report."""

from collections.abc import Mapping, Sequence

from affinage.records.estimate import Estimate
from affinage.records.evaluation import BinaryCurve, ClassScores, Evaluation, Mistake
from affinage.records.report import (
    Block,
    Chart,
    Fact,
    Facts,
    Gallery,
    Line,
    Matrix,
    Picture,
    Table,
    Text,
)
from affinage.reporting.verdict import METRICS
from affinage.reporting.words import (
    NOTHING,
    count,
    estimated,
    interval,
    label,
    number,
    one_line,
    part_title,
    percent,
    sentence,
)

MOST_NUMBERED = 30
"""Above so many classes a matrix of numbers cannot be read."""
MOST_PAIRS = 20
MOST_MISTAKES = 24

_RIVALS = {
    "largest_class": "largest class alone",
    "nearest_neighbour": "nearest training image",
}


def score_table(evaluations: Mapping[str, Evaluation]) -> Table:
    """Return the scores of all parts side by side, with intervals, and the baselines under them."""
    parts = list(evaluations.values())
    columns = ["Score"]
    for part in parts:
        memory = ", memory test" if part.memory_test else ""
        columns += [f"{part_title(part.part)}{memory}, n = {count(part.n)}", "95 % interval"]
    rows: list[tuple[str, ...]] = []
    for key, name in METRICS.items():
        share = key != "log_loss"
        cells = [_cells(getattr(part, key), part.n, share=share) for part in parts]
        rows.append((name[0].upper() + name[1:], *(cell for pair in cells for cell in pair)))
    for key in dict.fromkeys(key for part in parts for key in part.baselines):
        cells = [_cells(part.baselines.get(key), part.n) for part in parts]
        name = _RIVALS.get(key, key.replace("_", " "))
        rows.append((f"Baseline: {name}", *(cell for pair in cells for cell in pair)))
    return Table(
        columns=tuple(columns),
        rows=tuple(rows),
        caption="Log loss in nats, lower is better; of all others, higher is better.",
        numeric=tuple(range(1, len(columns))),
    )


def _cells(estimate: Estimate | None, n: int, *, share: bool = True) -> tuple[str, str]:
    if estimate is None:
        return NOTHING, NOTHING
    other = f" (n = {count(estimate.n)})" if estimate.n != n and estimate.value is not None else ""
    return f"{estimated(estimate, share=share)}{other}", interval(estimate, share=share)


def confusion_blocks(evaluation: Evaluation) -> tuple[Block, ...]:
    """Return the confusion matrix, and the most confused pairs as a table."""
    classes = len(evaluation.classes)
    readable = classes <= MOST_NUMBERED
    matrix = Matrix(
        title=f"Confusion on the {one_line(evaluation.part)} images",
        names=tuple(label(name) for name in evaluation.classes),
        counts=evaluation.confusion,
        caption="Rows are the truth, columns what the model says; shade is the share of the row."
        + (
            "" if readable else f" {classes} classes are too many to number: the table names pairs."
        ),
    )
    pairs = _confused_pairs(evaluation)
    if not pairs:
        right = Text(paragraphs=("No class was mistaken for another.",))
        return (matrix, right)
    return (matrix, pairs[0]) if readable else (pairs[0], matrix)


def _confused_pairs(evaluation: Evaluation) -> tuple[Table, ...]:
    names = [label(name) for name in evaluation.classes]
    pairs = [
        (wrong, truth, said)
        for truth, row in enumerate(evaluation.confusion)
        for said, wrong in enumerate(row)
        if truth != said and wrong
    ]
    if not pairs:
        return ()
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    shown = pairs[:MOST_PAIRS] if len(names) > MOST_NUMBERED else pairs[:10]
    more = f" ({len(shown)} of {count(len(pairs))})" if len(shown) < len(pairs) else ""
    return (
        Table(
            columns=("Truth", "Called", "Images", "Share of the class"),
            rows=tuple(
                (
                    names[truth],
                    names[said],
                    count(wrong),
                    percent(wrong / sum(evaluation.confusion[truth]), 1),
                )
                for wrong, truth, said in shown
            ),
            caption=f"Most frequent confusions{more}.",
            numeric=(2, 3),
        ),
    )


def class_table(evaluation: Evaluation) -> Table:
    """Return the scores of each class, the least found first."""

    def hardest(item: tuple[str, ClassScores]) -> tuple[float, float]:
        recall, f1 = item[1].recall.value, item[1].f1
        return (2.0 if recall is None else recall, 2.0 if f1 is None else f1)

    return Table(
        columns=(
            "Class",
            "Images",
            "Found (recall)",
            "95 % interval",
            "Right when called (precision)",
            "95 % interval",
            "F1",
        ),
        rows=tuple(
            (
                label(name),
                count(scores.recall.n),
                estimated(scores.recall),
                interval(scores.recall),
                estimated(scores.precision),
                interval(scores.precision),
                NOTHING if scores.f1 is None else f"{scores.f1:.2f}",
            )
            for name, scores in sorted(evaluation.per_class.items(), key=hardest)
        ),
        caption=f"On the {one_line(evaluation.part)} images, the class that is found least first. "
        "Intervals of few images are wide, and that is what they say.",
        numeric=(1, 2, 3, 4, 5, 6),
    )


def threshold_blocks(binary: BinaryCurve) -> tuple[Block, ...]:
    """Return what the threshold of a two-class model costs and gains."""
    positive = label(binary.positive)
    found, refused = binary.sensitivity, binary.specificity
    at = f"at {number(binary.threshold)}"
    chance = Line(name="chance", points=((0.0, 0.0), (1.0, 1.0)))
    roc = [Line(name="model", points=_pairs(binary.false_positive_rate, binary.true_positive_rate))]
    recall = [Line(name="model", points=_pairs(binary.true_positive_rate, binary.precision))]
    if found.value is not None and refused.value is not None:
        roc.append(Line(name=at, points=((1 - refused.value, found.value),)))
        precision = _precision_at(binary)
        if precision is not None:
            recall.append(Line(name=at, points=((found.value, precision),)))
    called = f"The class {positive} is called from a probability of {number(binary.threshold)} on."
    rule = sentence(f"the rule: {label(binary.rule)}")
    return (
        Text(paragraphs=(f"{called} {rule}",)),
        Facts(
            items=(
                _fact(f"Sensitivity: {positive} found", found),
                _fact("Specificity: others refused", refused),
                Fact(
                    name="Area under ROC",
                    value=estimated(binary.roc_auc, share=False),
                    detail=f"95 % interval {interval(binary.roc_auc, share=False)}",
                ),
                Fact(
                    name="Average precision",
                    value=f"{binary.average_precision:.3f}",
                    detail="area under the precision-recall curve",
                ),
            )
        ),
        Chart(
            title="ROC",
            x="false alarms (1 − specificity)",
            y="sensitivity",
            lines=(*roc, chance),
            unit_square=True,
            caption="How many are found against how many false alarms that costs.",
        ),
        Chart(
            title="Precision and recall",
            x="recall (sensitivity)",
            y="precision",
            lines=tuple(recall),
            unit_square=True,
            caption="How many of the called ones are right against how many are found.",
        ),
    )


def _fact(name: str, estimate: Estimate) -> Fact:
    return Fact(
        name=name,
        value=estimated(estimate),
        detail=f"95 % interval {interval(estimate)}, n = {count(estimate.n)}",
    )


def _pairs(xs: Sequence[float], ys: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(xs, ys, strict=False))


def _precision_at(binary: BinaryCurve) -> float | None:
    """Return the precision at the last threshold that is not below the chosen one."""
    above = [
        precision
        for threshold, precision in zip(binary.thresholds, binary.precision, strict=False)
        if threshold >= binary.threshold
    ]
    return above[-1] if above else None


def mistake_blocks(
    evaluations: Mapping[str, Evaluation], thumbnails: Mapping[str, bytes]
) -> tuple[Block, ...]:
    """Return the most confident mistakes of each part: pictures where there are, else a table."""
    blocks: list[Block] = []
    for evaluation in evaluations.values():
        mistakes = evaluation.mistakes[:MOST_MISTAKES]
        if not mistakes:
            among = f"{count(evaluation.n)} images of {one_line(evaluation.part)}"
            blocks.append(Text(paragraphs=(f"No mistake among the {among}.",)))
            continue
        wrong = evaluation.n - sum(row[i] for i, row in enumerate(evaluation.confusion))
        some = f"{len(mistakes)} of {count(wrong)}" if len(mistakes) < wrong else f"all {wrong}"
        caption = f"{part_title(evaluation.part)}: {some}, the most confident first."
        shown = [mistake for mistake in mistakes if mistake.image in thumbnails]
        others = tuple(mistake for mistake in mistakes if mistake.image not in thumbnails)
        if shown:
            pictures = tuple(_picture(mistake, thumbnails[mistake.image]) for mistake in shown)
            blocks.append(Gallery(pictures=pictures, caption=caption))
        if others:
            without = "Without a picture." if shown else caption
            blocks.append(_mistake_table(others, caption=without))
    return tuple(blocks)


def _picture(mistake: Mistake, data: bytes) -> Picture:
    truth, said = label(mistake.truth), label(mistake.predicted)
    sure = percent(mistake.confidence, 1)
    return Picture(
        data=data,
        media_type="image/png" if data.startswith(b"\x89PNG") else "image/jpeg",
        caption=f"{truth}, called {said}\n{sure} sure\n{label(mistake.path)}",
        alternative=f"Image of {truth} that the model takes for {said}, {sure} sure",
    )


def _mistake_table(mistakes: tuple[Mistake, ...], *, caption: str) -> Table:
    return Table(
        columns=("Image", "Truth", "Called", "Sure"),
        rows=tuple(
            (
                label(mistake.path),
                label(mistake.truth),
                label(mistake.predicted),
                percent(mistake.confidence, 1),
            )
            for mistake in mistakes
        ),
        caption=caption,
        numeric=(3,),
    )
