"""Parts that were cut anew are what a training takes, and a leak takes its words away."""

import dataclasses
import shutil

import pytest

import affinage
from affinage.records.finding import Finding
from affinage.reporting.verdict import run_verdict
from affinage.workflows.reporter import Silent
from real_digits import SMALL


@pytest.fixture
def given(digits, tmp_path):
    """Real digits with parts that the source gives."""
    for label in sorted(path.name for path in digits.iterdir()):
        for number, path in enumerate(sorted((digits / label).iterdir())):
            part = "test" if number % 5 == 0 else "train"
            target = tmp_path / "digits" / part / label
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return tmp_path / "digits"


def trained_on(source, folder, number):
    return affinage.train(
        source, data=folder / "data", output=folder / f"run-{number}", settings=SMALL,
        stages="features", reporter=Silent(),
    )  # fmt: skip


def parts_of(run):
    return run._folder.data()[1]


def test_a_training_takes_the_parts_that_the_owner_cut_last(given, tmp_path):
    first = trained_on(given, tmp_path, 1)
    assert "parts-cut-anew" not in {f.code for f in first.record.findings}
    affinage.split(tmp_path / "data", recut=True, seed=0, reporter=Silent())
    second = trained_on(given, tmp_path, 2)
    assert "parts-cut-anew" in {f.code for f in second.record.findings}
    assert parts_of(second).test != parts_of(first).test
    affinage.split(tmp_path / "data", reporter=Silent())
    third = trained_on(given, tmp_path, 3)
    assert parts_of(third).test == parts_of(first).test


def test_a_leak_takes_never_seen_out_of_the_verdict(trained):
    record = trained.record
    assert "it had never seen" in run_verdict(record)[0]
    leak = Finding(code="twins-across-parts", severity="blocking", subject="s", remedy="r")
    told, tone = run_verdict(dataclasses.replace(record, findings=(leak,)))
    assert "never seen" not in told
    assert "some of which it has seen before" in told
    assert tone == "bad"


def test_settings_may_be_a_mapping(digits, tmp_path):
    run = affinage.train(
        digits, data=tmp_path / "data", output=tmp_path / "run", stages="features",
        settings={"model.width": 64, "model.height": 64, "augment.horizontal_flip": False},
        reporter=Silent(),
    )  # fmt: skip
    assert run.record.model.preprocessing.width == 64
