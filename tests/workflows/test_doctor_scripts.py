"""The field reports' trainings, rebuilt as plain scripts on real images, are named as they must be."""

from pathlib import Path

import pytest

from affinage.workflows.doctor import doctor

SCRIPTS = Path(__file__).resolve().parents[1] / "doctor_scripts"


@pytest.fixture
def answers(samples, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(script, source, *arguments):
        folder = str(samples / source)
        diagnosis = doctor(SCRIPTS / script, [folder, *arguments], minutes=5, quiet=False)
        return {verdict.code: verdict for verdict in diagnosis.verdicts}, diagnosis.signals

    return run


def test_counts_under_a_softmax_are_told_before_the_first_epoch_ends(answers):
    verdicts, signals = answers(
        "softmax_counts.py", "bccd_count", "--epochs", "1", "--images", "48"
    )
    assert signals.task == "count"
    for code in ("loss-activation-mismatch", "metric-rounded-too-late", "accuracy-on-counts"):
        assert verdicts[code].answer == "finding", code


def test_frozen_batchnorm_is_named_and_the_innocent_are_cleared(answers):
    verdicts, signals = answers(
        "frozen_batchnorm.py", "flowers12/train", "--epochs", "1", "--classes", "24"
    )
    assert verdicts["frozen-batchnorm-in-training-mode"].finding.severity == "warning"
    assert verdicts["preprocessing-mismatch"].answer == "finding"
    assert verdicts["validation-is-training"].finding.severity == "note"
    assert verdicts["loss-activation-mismatch"].answer == "fine"
    assert verdicts["label-encoding-mismatch"].answer == "fine"
    assert verdicts["label-encoding-mismatch"].said.startswith(
        "class indices under cross_entropy, then one-hot under cross_entropy"
    )
    (head,) = signals.earlier
    assert [head.targets[0].encoding, signals.targets[0].encoding] == ["class indices", "one-hot"]
