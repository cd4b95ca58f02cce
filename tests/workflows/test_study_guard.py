import errno
import sys
import time

import numpy as np
import pytest

import affinage
from affinage.errors import RunError
from affinage.records.recipe import Recipe
from affinage.workflows.reporter import Silent
from affinage.workflows.study_child import Child
from affinage.workflows.study_guard import TimeUp, check_disk, held_memory, limited, spare_memory
from affinage.workflows.study_heads import HeadTrials

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_what_hangs_is_stopped_at_its_time():
    start = time.monotonic()
    with pytest.raises(TimeUp, match=r"more than its 0\.2 s"), limited(seconds=0.2, memory=None):
        time.sleep(60)
    assert time.monotonic() - start < 5


@linux
def test_what_eats_the_memory_is_refused_it():
    with pytest.raises(MemoryError), limited(seconds=None, memory=200_000_000):
        np.ones(100_000_000)
    assert len(np.ones(100_000_000)) == 100_000_000  # The limit is gone afterwards.


def test_a_trial_that_hangs_is_recorded_and_the_study_goes_on(digits, elsewhere, monkeypatch):
    original = HeadTrials._outputs

    def hanging(self, recipe, parts, may):
        while may.sum() < 30 and recipe.seed == 2:
            time.sleep(0.01)
        return original(self, recipe, parts, may)

    monkeypatch.setattr(HeadTrials, "_outputs", hanging)
    study = affinage.study(
        digits, vary=["images_per_class=12,4"], repeats=3, trial_limit=4.0,
        settings=["features.penalties=0.1"],
        reporter=Silent(),
    )  # fmt: skip
    failed = [trial for trial in study.record.trials if trial.state == "failed"]
    assert [trial.job.key for trial in failed] == ["1-0-2"]
    assert "more than its 4 s" in failed[0].error
    assert study.answer.finished


def test_where_trials_failed_more_repeats_are_not_what_is_advised(digits, elsewhere, monkeypatch):
    original = HeadTrials.run

    def failing(self, job, recipe, **given):
        if job.arm == 1 and job.repeat > 1:
            raise MemoryError("too large")
        return original(self, job, recipe, **given)

    monkeypatch.setattr(HeadTrials, "run", failing)
    study = affinage.study(
        digits,
        vary=["features.head=logistic,nearest"],
        repeats=3,
        smallest=0.001,
        reporter=Silent(),
    )
    assert study.answer.differences[0].says == "cannot tell yet"
    assert study.answer.next_question.startswith("Trials failed, so that fewer seeds than planned")


def test_a_study_whose_pilot_fails_altogether_stops(digits, elsewhere, monkeypatch):
    def failing(self, recipe, parts, may):
        raise ValueError("no such thing")

    monkeypatch.setattr(HeadTrials, "_outputs", failing)
    with pytest.raises(
        RunError, match="All 6 trials of the pilot failed: ValueError: no such thing"
    ):
        affinage.study(
            digits, vary=["features.head=logistic,nearest"], repeats=3, reporter=Silent()
        )


def test_a_full_disk_is_named_and_no_trial_counts_as_failed(digits, elsewhere, monkeypatch):
    original, calls = HeadTrials.run, []

    def full(self, job, recipe, **given):
        calls.append(job)
        if len(calls) == 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, job, recipe, **given)

    monkeypatch.setattr(HeadTrials, "run", full)
    given = {"vary": ["images_per_class=4,8,12"], "repeats": 5, "output": "full"}
    with pytest.raises(RunError, match="is full"):
        affinage.study(digits, **given, reporter=Silent())
    done = affinage.study_work("full", reporter=Silent())
    assert done.answer.failed == 0
    assert done.answer.finished


def test_a_page_that_a_full_disk_cut_off_is_written_when_the_study_goes_on(
    digits, elsewhere, monkeypatch
):
    def full(path, data):
        if path.name.startswith(".study.md"):
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(data)

    given = {"vary": ["features.head=logistic,nearest"], "repeats": 2, "output": "my cut"}
    with monkeypatch.context() as patched:
        patched.setattr("affinage.store.files._fill", full)
        with pytest.raises(RunError, match="is full") as raised:
            affinage.study(digits, **given, reporter=Silent())
    assert "affinage study work 'my cut'" in raised.value.remedy
    assert not (elsewhere / "my cut" / "study.md").exists()
    done = affinage.study_work("my cut", reporter=Silent())
    assert done.answer.next_question in done.page.read_text()
    assert (elsewhere / "my cut" / "trials.csv").is_file()
    assert (elsewhere / "my cut" / "study.md").is_file()


def test_other_mistakes_of_files_are_no_full_disk(tmp_path):
    check_disk(tmp_path, FileNotFoundError(errno.ENOENT, "gone"))


@linux
def test_memory_is_read_from_the_system():
    assert held_memory(1) is None or held_memory(1) >= 0
    assert spare_memory() > 0


@linux
def test_a_training_that_holds_too_much_or_hangs_is_stopped(digits, tmp_path):
    recipe = Recipe.model_validate(
        {
            "stages": ["finetune"], "finetune": {"epochs": 1, "batch_size": 16},
            "model": {"backbone": "three_conv", "pretrained": False, "width": 32, "height": 32},
        }
    )  # fmt: skip
    given, child = {"dataset": digits, "recipe": recipe}, Child()
    try:
        with pytest.raises(RunError, match="GiB of memory"):
            child.train(**given, output=tmp_path / "a", seconds=None, memory=1000)
        with pytest.raises(RunError, match="took more than"):
            child.train(**given, output=tmp_path / "b", seconds=0.3, memory=None)
    finally:
        child.close()
