"""Who was taken for whom, as a table for spreadsheets: a line for each pair that occurred."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.count_evaluation import CountEvaluation
from affinage.records.evaluation import Evaluation

COLUMNS = ("part", "class", "true", "predicted", "images")
Line = tuple[str, str, str | int, str | int, int]


def confusions_csv(evaluations: Mapping[str, AnyEvaluation]) -> str:
    """Return all parts' confusions as CSV; empty where the task has none.

    Its columns are `part`, `class` (what is counted; empty where images have one class), `true` and
    `predicted` (a count, or the name of a class), and `images`, which is never 0.
    """
    lines = [line for part, found in evaluations.items() for line in _lines(part, found)]
    if not lines:
        return ""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(lines)
    return text.getvalue()


def _lines(part: str, evaluation: AnyEvaluation) -> Iterator[Line]:
    if isinstance(evaluation, CountEvaluation):
        for name, confusion in evaluation.confusion.items():
            yield from _pairs(part, name, confusion.values, confusion.table)
    elif isinstance(evaluation, Evaluation):
        yield from _pairs(part, "", evaluation.classes, evaluation.confusion)


def _pairs(
    part: str,
    name: str,
    values: Sequence[str | int],
    table: tuple[tuple[int, ...], ...],
) -> Iterator[Line]:
    for true, row in zip(values, table, strict=True):
        for predicted, images in zip(values, row, strict=True):
            if images:
                yield part, name, true, predicted, images
