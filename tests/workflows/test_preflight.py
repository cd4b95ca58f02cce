"""Pre-flight finds a healthy start healthy, names a bad one, and keeps nothing."""

import pytest

from affinage.errors import DataError
from affinage.records.training_facts import OneBatch
from affinage.workflows.preflight import preflight, verdict_by_heart
from affinage.workflows.reporter import Silent

TINY = ("model.width=32", "model.height=32", "augment.horizontal_flip=false", "finetune.batch_size=16",
        "model.backbone=three_conv", "model.three_conv.batch_norm=true")  # fmt: skip


def fly(source, *more):
    diagnosis = preflight(source, settings=[*TINY, *more], progress=Silent())
    return {verdict.code: verdict for verdict in diagnosis.verdicts}, diagnosis


def test_a_healthy_start_is_found_healthy_and_nothing_is_kept(digits, elsewhere):
    before = sorted(digits.rglob("*"))
    verdicts, diagnosis = fly(digits)
    assert [f.code for f in diagnosis.findings if f.severity != "note"] == []
    fine = {code for code, verdict in verdicts.items() if verdict.answer == "fine"}
    assert fine >= {
        "first-loss", "one-batch-not-learnt", "nothing-trainable", "parameters-without-gradient",
        "frozen-batchnorm-in-training-mode", "loss-activation-mismatch", "label-order-mismatch",
        "unshuffled-training", "validation-is-training", "test-is-validation", "outputs-collapsed",
    }  # fmt: skip
    assert diagnosis.signals.one_batch.last_loss < diagnosis.signals.one_batch.first_loss / 2
    assert sorted(digits.rglob("*")) == before
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("last", "steps", "answer"), [(0.1, 9, "fine"), (0.9, 60, "finding"), (0.9, 20, "unchecked")]
)
def test_one_batch_is_judged_by_what_was_learnt_in_time(last, steps, answer):
    trial = OneBatch(images=8, steps=steps, first_loss=1.0, last_loss=last, accuracy=0.5)
    assert verdict_by_heart(trial).answer == answer


def test_a_source_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no"):
        preflight(tmp_path / "nothing", progress=Silent())
