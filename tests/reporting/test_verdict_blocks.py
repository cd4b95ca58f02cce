"""Every verdict is told once in a report: found with its proof, fine, or not checked."""

from dataclasses import replace

import pytest

from affinage.diagnosis.diagnose import diagnose
from affinage.records.report import Chart, Findings, Table, Text
from affinage.records.signals import Signals
from affinage.reporting.verdict_blocks import examined_blocks, sureness, verdict_blocks
from diagnosis.sick_signals import HEALTHY, SICK


@pytest.mark.parametrize("code", SICK)
def test_each_verdict_is_told_once(code):
    verdicts = diagnose(SICK[code])
    blocks = verdict_blocks(verdicts)
    found = [f.code for b in blocks if isinstance(b, Findings) for f in b.items]
    others = [row[0] for b in blocks if isinstance(b, Table) for row in b.rows]
    assert sorted(found + others) == sorted(v.code for v in verdicts)
    assert code in found


def test_a_healthy_training_is_told_to_be_so():
    first = verdict_blocks(diagnose(HEALTHY))[0]
    assert first == Text(paragraphs=("Nothing wrong was found.",))


def test_curves_stand_beside_what_is_read_off_them():
    (chart,) = [b for b in verdict_blocks(diagnose(SICK["not-converged"])) if isinstance(b, Chart)]
    assert chart.x == "epoch"
    assert len(chart.lines[0].points) == 8


def test_what_was_not_checked_says_why():
    (table,) = [b for b in verdict_blocks(diagnose(Signals())) if isinstance(b, Table)]
    assert all(reason for _, reason in table.rows)


def test_how_sure_a_finding_is_says_on_what_that_rests():
    verdict = diagnose(SICK["nothing-trainable"])[0]
    assert sureness(replace(verdict, confidence=0.9, cases=7)).startswith(
        "confidence 90%: fitted on 7 "
    )
    assert "none was of this kind" in sureness(replace(verdict, confidence=0.9, cases=0))
    assert sureness(replace(verdict, confidence=None)) == ""


def test_an_owner_is_told_of_what_is_above_a_note():
    loud = examined_blocks(diagnose(SICK["nothing-trainable"]), "photos-1")
    assert [f.code for b in loud if isinstance(b, Findings) for f in b.items] == [
        "nothing-trainable"
    ]
    quiet = examined_blocks(diagnose(SICK["same-order-every-epoch"]), "photos-1")
    (text,) = quiet
    assert text.paragraphs[0].startswith("Nothing wrong was found in the training itself.")
    assert text.paragraphs[0].endswith("affinage doctor photos-1")


def test_a_run_that_nobody_watched_has_no_such_section():
    assert examined_blocks((), "photos-1") == ()
