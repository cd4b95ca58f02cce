"""What the plots and tables of a study's page show."""

import dataclasses

import pytest

from affinage.records.answer import Difference
from affinage.records.estimate import Estimate
from affinage.records.question import Arm
from affinage.reporting.study_charts import isolation
from affinage.reporting.study_compared import compared
from affinage.reporting.study_figures import Figures
from affinage.reporting.study_report import study_report
from reporting.test_study_curves import a_study

ERRORS = Figures(share=False)


def scored(values, settings, *, metric="mae"):
    """Return a study whose arms have these settings, and an answer that scores them so."""
    record, said, _ = a_study(metric, [()] * len(values))
    arms = tuple(Arm(name=str(place), settings=one) for place, one in enumerate(settings))
    record = dataclasses.replace(record, question=dataclasses.replace(record.question, arms=arms))
    results = tuple(
        dataclasses.replace(
            one, confirmed=Estimate(value=value, low=value - 0.1, high=value + 0.1, n=9)
        )
        for one, value in zip(said.arms, values, strict=True)
    )
    return record, dataclasses.replace(said, arms=results)


def told(says, *, arm=1, more=None):
    effect = Estimate(value=0.5, low=0.25, high=0.75, n=9)
    return Difference(
        arm=arm, against=0, says=says, sentence=f"{says}, in a sentence", effect=effect, level=0.99,
        repeats=3, bootstrap=effect, more_repeats=more,
    )  # fmt: skip


def test_a_grid_has_a_plot_for_each_setting_with_the_best_of_each_of_its_values():
    settings = [(("lr", lr), ("eps", eps)) for lr in (0.1, 0.01) for eps in (1.0, 2.0, 3.0)]
    charts = list(isolation(*scored([6.0, 5.0, 4.0, 1.0, 2.0, 3.0], settings), ERRORS))
    assert [chart.x for chart in charts] == ["lr", "eps"]
    best = {line.points[1] for line in charts[0].lines}
    assert best == {(0.1, 4.0), (0.01, 1.0)}
    assert {line.points[1] for line in charts[1].lines} == {(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)}


def test_arms_that_are_no_numbers_stand_one_after_another_the_best_of_many():
    settings = [(("model.backbone", name),) for name in "abcdefgh"]
    (chart,) = isolation(*scored([8, 7, 6, 5, 4, 3, 2, 1], settings), ERRORS)
    assert [line.name for line in chart.lines] == [f"arm {place}" for place in range(2, 8)]
    assert [line.points[0][0] for line in chart.lines] == [1, 2, 3, 4, 5, 6]
    assert "The best 6 are drawn." in chart.caption


def test_what_would_tell_stands_only_where_something_could_not_be_told():
    record, said = scored([1.0, 2.0], [(), ()])
    sure = compared(record, dataclasses.replace(said, differences=(told("helps"),)), ERRORS)
    unsure = dataclasses.replace(said, differences=(told("cannot tell yet", more=4),))
    assert "would tell" not in sure.columns
    assert sure.rows[0][:3] == ("1", "helps", "+0.50 [+0.25, +0.75]")
    assert compared(record, unsure, ERRORS).rows[0][-1] == "4 more seeds"


@pytest.mark.parametrize(("comparisons", "in_sentences"), [(3, True), (4, False)])
def test_many_comparisons_are_not_told_twice(comparisons, in_sentences):
    record, said = scored([1.0] * 5, [()] * 5)
    found = tuple(told("helps", arm=arm) for arm in range(1, comparisons + 1))
    record = dataclasses.replace(record, answer=dataclasses.replace(said, differences=found))
    assert ("in a sentence" in repr(study_report(record, share=False))) == in_sentences


def test_a_command_to_copy_stands_alone():
    record, said = scored([1.0, 2.0], [(), ()])
    said = dataclasses.replace(
        said, next_question="Train: affinage train SOURCE --set a=1 --set b=2"
    )
    page = study_report(dataclasses.replace(record, answer=said), share=False)
    text, code = page.sections[-1].blocks
    assert text.paragraphs == ("Train:",)
    assert code.text.replace("\\\n ", "") == "affinage train SOURCE  --set a=1  --set b=2"
