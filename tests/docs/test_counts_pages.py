"""What the pages on losses and counts list is what there is."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from affinage.records.count_evaluation import CountEvaluation
from affinage.records.multilabel_evaluation import MultilabelEvaluation
from affinage.records.pairings import BALANCES, OUTPUT_NAMES, PAIRINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows(page, head):
    """The cells of the table whose first head is given."""
    inside = False
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith(f"| {head} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.split("|")[1:-1]]


def test_every_pairing_is_on_the_page_in_order():
    listed = [
        (*re.findall(r"`([\w.=]+)`", task), loss.strip("`"), *re.findall(r"`(\w+)`", outputs))
        for task, loss, outputs, _ in rows("losses.md", "task")
    ]
    frequency = {"frequency": ("count.target=frequency",), "count": ()}
    assert listed == [
        (pair.task, *frequency[pair.target], pair.loss, *pair.outputs) for pair in PAIRINGS
    ]


def test_every_output_and_every_balance_is_on_the_page():
    assert [cells[0].strip("`") for cells in rows("losses.md", "output")] == list(OUTPUT_NAMES)
    for name, tasks, _ in rows("losses.md", "balance"):
        named = set(BALANCES) if tasks == "all" else set(re.findall(r"`(\w+)`", tasks))
        assert named == {task for task, legal in BALANCES.items() if name.strip("`") in legal}


@pytest.mark.parametrize(
    ("head", "record"),
    [
        ("key of `evaluation.PART`", CountEvaluation),
        ("multilabel key of `evaluation.PART`", MultilabelEvaluation),
    ],
)
def test_every_key_of_an_evaluation_is_on_the_page(head, record):
    listed = [cells[0].strip("`") for cells in rows("counts.md", head)]
    assert listed == [field.name for field in fields(record)]
