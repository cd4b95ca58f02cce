"""Trainings that go astray on purpose: each ends, and says so."""

import io

import pytest
from rich.console import Console

import affinage
from affinage.reporting.run_report import run_report
from affinage.reporting.terminal import to_terminal
from affinage.workflows.reporter import Silent
from affinage.workflows.show import show_json
from affinage.workflows.train_divergence import DOCTORS
from real_digits import SMALL

ASTRAY = {*DOCTORS, "fine-tuning-diverged"}


def diverged(digits, folder, *settings):
    run = affinage.train(
        digits, data=folder / "data", output=folder / "run", reporter=Silent(),
        settings=[*SMALL, "optimizer.lr=10", *settings],
    )  # fmt: skip
    return run, {one.code: one for one in run.record.findings if one.code in ASTRAY}


def shown(run):
    file = io.StringIO()
    Console(file=file, width=400).print(to_terminal(run_report(run.record), width=400))
    return file.getvalue()


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("fine-tuning-diverged", ["finetune.epochs=1"]),  # Too few steps for the doctor to judge.
        ("learning-rate-too-high", ["finetune.epochs=4"]),
        (
            "loss-not-a-number",
            ["model.backbone=three_conv", "optimizer.name=sgd", "optimizer.clip=null"],
        ),
    ],
)
def test_a_training_that_diverged_is_a_finding_of_its_run(digits, tmp_path, code, settings):
    run, found = diverged(digits, tmp_path, *settings)
    assert code in found
    assert "--set optimizer.lr=" in found[code].remedy
    assert code in {one["code"] for one in show_json(run.record, command="show")["findings"]}
    assert found[code].subject in shown(run)
    assert found[code].subject.partition(";")[0] in run.report.read_text()


def test_a_training_that_went_well_has_no_such_finding(trained):
    assert not ASTRAY & {one.code for one in trained.record.findings}
