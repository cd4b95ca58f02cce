"""What an evaluation of sets of labels says, as sentences and blocks of a report."""

from collections.abc import Mapping

from affinage.records.multilabel_evaluation import MultilabelEvaluation, MultilabelMistake
from affinage.records.report import Block, Fact, Gallery, Picture, Section, Table, Text
from affinage.reporting.words import (
    NOTHING,
    count,
    estimated,
    interval,
    label,
    listed,
    one_line,
    part_title,
    percent,
)

RIVALS = {
    "prevalence": "giving every image the labels that most training images have",
    "commonest_set": "giving every image the commonest set of labels",
}
SCORES = {
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "exact_match": "Exact match",
    "hamming_loss": "Hamming loss",
    "mean_average_precision": "Mean average precision",
}


def labels_beat(evaluation: MultilabelEvaluation) -> bool:
    """Return whether the answers are better than those of every baseline beyond doubt."""
    gains = [gain.macro_f1 for gain in evaluation.gains.values()]
    return all(gain.low is not None and gain.low > 0 for gain in gains)


def labels_core(evaluation: MultilabelEvaluation) -> str:
    """Return the verdict's first clause."""
    scores = (
        f"macro F1 {estimated(evaluation.macro_f1)} (95 % interval {interval(evaluation.macro_f1)})"
    )
    exact = f"the whole set of labels is right on {estimated(evaluation.exact_match)}"
    images = count(evaluation.n, f"{evaluation.part} image")
    if evaluation.memory_test:
        return f"A memory test, no forecast: {scores} on the {images} it was trained on; {exact}"
    never = " it had never seen" if evaluation.part == "test" else ""
    return f"{scores[0].upper()}{scores[1:]} over {images}{never}; {exact}"


def labels_against_baselines(evaluation: MultilabelEvaluation) -> list[str]:
    """Return what a model that looks at no image scores, bluntly where that is no worse."""
    if evaluation.memory_test:
        return []
    clauses = []
    for name, rival in evaluation.baselines.items():
        gain = evaluation.gains[name].macro_f1
        score = f"scores {estimated(rival.macro_f1)}"
        if gain.low is not None and gain.low > 0:
            clauses.append(f"{RIVALS.get(name, name)} {score}")
        else:
            clauses.append(
                f"it is not shown to be better than {RIVALS.get(name, name)}, which {score}"
            )
    return clauses


def labels_glance(evaluation: MultilabelEvaluation) -> list[Fact]:
    """Return the deciding scores, for the first look."""
    on = "the training images" if evaluation.memory_test else evaluation.part
    return [
        Fact(
            name=f"{name} on {on}",
            value=estimated(score),
            detail=f"95 % interval {interval(score)}, n = {count(evaluation.n)}",
        )
        for name, score in (
            ("Macro F1", evaluation.macro_f1),
            ("All labels right", evaluation.exact_match),
        )
    ]


def labels_score_blocks(evaluations: Mapping[str, MultilabelEvaluation]) -> tuple[Block, ...]:
    """Return the scores of all parts side by side, with intervals, and the baselines under them."""
    parts = list(evaluations.values())
    columns = ["Score"]
    for part in parts:
        columns += [f"{part_title(part.part)}, n = {count(part.n)}", "95 % interval"]
    rows = [
        (name, *(cell for part in parts for cell in _cells(part, key)))
        for key, name in SCORES.items()
    ]
    for key in dict.fromkeys(key for part in parts for key in part.baselines):
        cells = [
            cell
            for part in parts
            for cell in (
                (estimated(part.baselines[key].macro_f1), interval(part.baselines[key].macro_f1))
                if key in part.baselines
                else (NOTHING, NOTHING)
            )
        ]
        name = {"prevalence": "labels of the most", "commonest_set": "commonest set"}.get(key, key)
        rows.append((f"Macro F1 of the baseline: {name}", *cells))
    return (
        Table(
            columns=tuple(columns),
            rows=tuple(rows),
            caption="Hamming loss: share of answers, yes or no, that are wrong. Of all others, higher "
            "is better.",
            numeric=tuple(range(1, len(columns))),
        ),
    )


def _cells(part: MultilabelEvaluation, key: str) -> tuple[str, str]:
    score = getattr(part, key)
    return estimated(score), interval(score)


def labels_sections(evaluation: MultilabelEvaluation) -> list[Section]:
    """Return the scores of each label, the one with the lowest F1 first."""
    rows = tuple(
        (
            label(name),
            count(scores.recall.n),
            estimated(scores.recall),
            interval(scores.recall),
            estimated(scores.precision),
            interval(scores.precision),
            estimated(scores.f1),
            NOTHING if scores.always_f1 is None else percent(scores.always_f1, evaluation.n),
            f"{scores.threshold:.2f}",
        )
        for name, scores in sorted(
            evaluation.per_class.items(), key=lambda item: (item[1].f1.value or 0.0, item[0])
        )
    )
    table = Table(
        columns=(
            "Label", "Images", "Found (recall)", "95 % interval", "Right when given (precision)",
            "95 % interval", "F1", "F1 of always", "From",
        ),
        rows=rows,
        caption=f"On the {one_line(evaluation.part)} images, the lowest F1 first. F1 of always: of giving "
        "the label to every image. From: the probability from which it is given, chosen on validation.",
        numeric=tuple(range(1, 9)),
    )  # fmt: skip
    return [Section(title="Each label", blocks=(table,), folded=len(rows) > 30)]


def labels_mistake_blocks(
    evaluation: MultilabelEvaluation, thumbnails: Mapping[str, bytes]
) -> tuple[Block, ...]:
    """Return the surest mistakes, with pictures where there are."""
    if not evaluation.mistakes:
        return (Text(paragraphs=(f"No mistake on the {evaluation.part} images.",)),)
    pictures = tuple(
        _picture(mistake, thumbnails[mistake.image])
        for mistake in evaluation.mistakes
        if mistake.image in thumbnails
    )
    others = tuple(
        (label(one.path), _words(one.missed), _words(one.wrong))
        for one in evaluation.mistakes
        if one.image not in thumbnails
    )
    caption = f"{part_title(evaluation.part)}: the surest mistakes first."
    blocks: list[Block] = [Gallery(pictures=pictures, caption=caption)] if pictures else []
    if others:
        blocks.append(
            Table(columns=("Image", "Missed", "Wrongly given"), rows=others,
                  caption="" if pictures else caption)
        )  # fmt: skip
    return tuple(blocks)


def _picture(mistake: MultilabelMistake, data: bytes) -> Picture:
    parts = [f"missed {_words(mistake.missed)}"] if mistake.missed else []
    parts += [f"wrongly {_words(mistake.wrong)}"] if mistake.wrong else []
    return Picture(
        data=data,
        media_type="image/png" if data.startswith(b"\x89PNG") else "image/jpeg",
        caption="\n".join([*parts, label(mistake.path)]),
        alternative=f"Image whose labels are not right: {'; '.join(parts)}",
    )


def _words(labels: tuple[str, ...]) -> str:
    return listed([label(name) for name in labels]) or NOTHING


def labels_methods(evaluation: MultilabelEvaluation) -> list[str]:
    """Return the sentences on how labels were judged, for the methods paragraph."""
    scores = [
        f"{name.lower().replace('f1', 'F1')} {_cells(evaluation, key)[0]} ({_cells(evaluation, key)[1]})"
        for key, name in SCORES.items()
    ]
    return [
        f"On {count(evaluation.n, f'{evaluation.part} image')}, the model reached {listed(scores)}",
        "Each label was given from a probability on that gave the best F1 on validation",
        "Intervals in parentheses are 95 % intervals: percentile bootstrap over images, Wilson's score "
        "interval for shares of images",
        *[
            f"On the same images, {RIVALS.get(name, name)} scored a macro F1 of {estimated(rival.macro_f1)}"
            for name, rival in evaluation.baselines.items()
        ],
    ]
