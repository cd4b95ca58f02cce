"""What a study's page says of how its trainings came on."""

import pytest

from affinage.records.answer import Answer, ArmResult
from affinage.records.estimate import Estimate
from affinage.records.question import Arm, Question
from affinage.records.report import Chart, Line, Report, Section
from affinage.records.study import ArmCurve, StudyRecord
from affinage.reporting.markdown import to_markdown
from affinage.reporting.study_curves import curves_section
from affinage.reporting.study_figures import Figures

NOTHING = Estimate(value=None, low=None, high=None, n=0)


def a_study(metric, courses):
    """Return a study, its answer and its curves on validation; each trial took 8 s."""
    names = [f"arm {i}" for i in range(len(courses))]
    question = Question(
        question="?", sources=("photos",), metric=metric, arms=tuple(Arm(name=n, settings=()) for n in names)
    )  # fmt: skip
    results = tuple(
        ArmResult(
            name=one, best=(), explored=None, confirmed=NOTHING, spread=None, seeds=2, tried=0, failed=0,
            seconds=8.0,
        )
        for one in names
    )  # fmt: skip
    said = Answer(
        verdict="?", finished=True, arms=results, differences=(), importance=(), findings=(), trials=0,
        failed=0, seconds=0.0, next_question="?",
    )  # fmt: skip
    record = StudyRecord(
        name="a", asked="", question=question, design=((),), images=9, announced=None, trials=(), answer=said
    )  # fmt: skip
    curves = tuple(
        ArmCurve(arm=arm, series=metric, on="validation", points=tuple(enumerate(course)), seeds=2)
        for arm, course in enumerate(courses)
    )
    return record, said, curves


@pytest.mark.parametrize(
    ("metric", "courses", "reached"),
    [
        ("accuracy", [(0.1, 0.5, 0.6), (0.1, 0.7, 0.65), (0.1, 0.2, 0.3)], ["2", "1", "never"]),
        ("mae", [(3.0, 2.0, 2.5), (3.0, 2.5, 1.0), (3.0, 9.0, 9.0)], ["1", "2", "never"]),
    ],
)
def test_the_table_tells_which_has_the_score_of_the_first_soonest(metric, courses, reached):
    record, said, curves = a_study(metric, courses)
    (section,) = curves_section(record, said, curves, Figures(share=metric == "accuracy"))
    table, chart = section.blocks
    assert [row[4] for row in table.rows] == reached
    assert [row[5] for row in table.rows] == [
        "–" if epochs == "never" else f"{4.0 * int(epochs):.1f}" for epochs in reached
    ]
    assert chart.lines[-1].name == "arm 2"  # The worst is drawn last, and left out first.


def test_an_error_that_jumps_away_for_an_epoch_does_not_hide_the_others():
    record, said, curves = a_study("mae", [(3.0, 80_000.0, 1.0), (3.0, 2.0, 1.5)])
    (section,) = curves_section(record, said, curves, Figures(share=False))
    chart = section.blocks[1]
    assert max(y for line in chart.lines for _, y in line.points) == 3.0
    assert "Not drawn: 1 point of up to 80,000." in chart.caption


def test_a_bar_reads_in_markdown_from_where_to_where_it_stands():
    bar = Line(name="svm", points=((1.0, 84.0), (1.0, 86.5), (1.0, 89.0)))
    dot = Line(name="nearest", points=((2.0, 80.0),))
    chart = Chart(title="Isolation plot", x="arm", y="accuracy, %", lines=(bar, dot))
    section = Section(title="Seen", blocks=(chart,))
    text = to_markdown(Report(title="?", verdict="?", tone="good", sections=(section,), footer=""))
    assert "| 1 | 84 to 89 | – |" in text
    assert "| 2 | – | 80 |" in text


def test_a_study_of_heads_has_no_curves():
    record, said, _ = a_study("accuracy", [(0.1, 0.5)])
    assert curves_section(record, said, (), Figures(share=True)) == []
