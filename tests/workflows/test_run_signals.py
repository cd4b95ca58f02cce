"""A training of ours is watched over all its sittings, and told at its first step what is wrong."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import affinage
from affinage.records.signals import Series, Signals
from affinage.records.training_facts import Layer
from affinage.store.run_folder import RunFolder
from affinage.training import finetune as finetune_module
from affinage.workflows import run_signals
from affinage.workflows.first_step import first_step_findings
from affinage.workflows.reporter import Silent
from affinage.workflows.sittings import joined

TINY = ("model.width=32", "model.height=32", "augment.horizontal_flip=false", "finetune.epochs=2",
        "finetune.batch_size=16", "model.backbone=three_conv",
        "finetune.refit=false")  # fmt: skip


class Killed(BaseException):
    pass


class KillsAt(Silent):
    def __init__(self, step):
        self.step = step

    def phase(self, name, done, total):
        if name == "fine-tuning" and done == self.step:
            raise Killed


def train(digits, folder, **settings):
    return affinage.train(
        digits,
        data=folder / "data",
        output=folder / "run",
        settings=TINY,
        stages="finetune",
        **settings,
    )


def test_a_killed_training_keeps_what_it_saw_and_ends_with_the_same_weights(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(finetune_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(run_signals, "SECONDS_BETWEEN_SAVES", 0.0)
    whole = train(digits, tmp_path / "whole", reporter=Silent())
    with pytest.raises(Killed):
        train(digits, tmp_path / "cut", reporter=KillsAt(4))
    affinage.train(resume=tmp_path / "cut" / "run", reporter=Silent())
    one, other = (
        load_file(f) for f in sorted(tmp_path.glob("*/run/checkpoints/finetune.safetensors"))
    )
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    cut, uncut = (RunFolder(p).watched() for p in (tmp_path / "cut" / "run", whole.path))
    assert cut.steps == uncut.steps
    assert cut.series_of("loss") == uncut.series_of("loss")
    assert not set(cut.optimizers[0].without_gradient)
    assert {f.code for f in whole.record.findings} & {"nothing-trainable"} == set()


def test_steps_that_were_taken_again_count_once():
    before = Signals(
        steps=5, series=(Series(name="loss", steps=(1, 2, 5), values=(3.0, 2.0, 9.0)),)
    )
    now = Signals(steps=2, series=(Series(name="loss", steps=(1, 2), values=(1.5, 1.0)),))
    both = joined(before, now, start=4)
    assert both.steps == 6
    assert both.series_of("loss").steps == (1, 2, 5, 6)
    assert both.series_of("loss").values == (3.0, 2.0, 1.5, 1.0)


def test_a_first_step_without_anything_trainable_is_told():
    layer = Layer(name="fc", kind="Linear", parameters=10, trainable=10, optimized=10)
    signals = Signals(steps=1, layers=(layer,))
    assert first_step_findings(signals) == ()
    frozen = replace(signals, layers=(replace(layer, trainable=0, optimized=0),))
    assert [f.code for f in first_step_findings(frozen)] == ["nothing-trainable"]
