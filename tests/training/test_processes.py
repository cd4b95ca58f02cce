"""Several processes train the model that one trains, within rounding."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from affinage.errors import RecipeError
from affinage.records.preprocessing import Preprocessing
from affinage.training.feeding import Feed
from affinage.training.plan import Plan
from affinage.training.processes import ALONE, Processes, agreed, in_shares, joined

SCRIPT = Path(__file__).parent / "trained_together.py"
PLAIN = (
    "model.dropout=0", "optimizer.name=sgd", "optimizer.lr=0.05", "finetune.batch_size=8",
    "finetune.epochs=3", "finetune.evaluate_every=16",
)  # fmt: skip


def run(images, output, *settings):
    """Train in two processes that torchrun starts; return what each wrote down."""
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            str(SCRIPT), str(images), str(output), *settings,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(output.with_suffix(f".{rank}.json").read_text()) for rank in range(2)]


def test_two_processes_have_the_loss_curve_of_one(digits, small, tmp_path):
    """57 images in steps of 8: in the last step of an epoch one process has none."""
    part = dataclasses.replace(small, items=small.items[:57], labels=small.labels[:57])
    points = []
    part.train(part.recipe(*PLAIN), tmp_path, points=points)
    losses, right = (
        [point.value for point in points if point.series == series]
        for series in ("loss", "accuracy")
    )
    first, second = run(digits, tmp_path / "two", *PLAIN)
    assert (first["world"], second["world"]) == (2, 2)
    assert first["losses"] == pytest.approx(losses, rel=1e-5)
    assert first["seen"] == pytest.approx(right)
    assert max(losses) - min(losses) > 0.01  # They moved.
    assert first["weights"] == second["weights"]
    assert first["gathered"]
    assert second["gathered"]
    assert second["losses"] == []  # Rank 0 alone speaks,
    assert second["progress"] == 0
    assert first["progress"] == first["steps"] == 24
    assert len(list((tmp_path / "two-checkpoints").iterdir())) == 1  # and writes.


def test_processes_keep_the_same_weights_whatever_is_on(digits, tmp_path):
    found = run(
        digits, tmp_path / "judge", "finetune.batch_size=8", "finetune.epochs=1", "finetune.ema=0.9",
        "optimizer.accumulate=2", "augment.mixup=0.3", "finetune.gradual=0.3", "model.dropout=0.5",
        "compute.precision=fp16",
    )  # fmt: skip
    assert found[0]["weights"] == found[1]["weights"]
    assert found[0]["steps"] == 8
    assert found[0]["same"]  # Led by rank 0, with the other lending a hand.
    assert found[1]["same"]


def test_shares_of_a_step_are_its_images_each_once(small):
    recipe, plan = small.recipe(), Plan(steps=8, steps_per_epoch=4)

    def feed(processes):
        return Feed(
            items=small.items, targets=small.labels, preprocessing=Preprocessing(width=8, height=8),
            recipe=recipe, plan=plan, threads=1, processes=processes,
        ).batches()  # fmt: skip

    parts = [feed(Processes(rank=rank, world=4)) for rank in range(4)]
    for whole, *shares in zip(feed(ALONE), *parts, strict=True):
        assert sum(len(share.images) for share in shares) == whole.whole == len(whole.images)
        for rank, share in enumerate(shares):
            assert (share.images == whole.images[rank::4]).all()
            assert (share.targets == whole.targets[rank::4]).all()
            assert share.whole == whole.whole


def test_more_processes_than_images_in_a_step_are_refused(small):
    feed = Feed(
        items=small.items, targets=small.labels, preprocessing=Preprocessing(width=8, height=8),
        recipe=small.recipe(), plan=Plan(steps=30, steps_per_epoch=30), threads=1,
        processes=Processes(rank=0, world=3),
    )  # fmt: skip
    with pytest.raises(RecipeError, match="3 processes share 2 images"):
        next(feed.batches())


def test_one_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert processes == ALONE
        assert agreed("x", processes) == "x"
        assert in_shares(
            [1, 2], lambda things: torch.tensor(things).numpy(), processes
        ).tolist() == [1, 2]
