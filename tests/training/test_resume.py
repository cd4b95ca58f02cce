"""A training that is killed at any step and goes on ends with the same weights, bit for bit."""

import itertools

import pytest
import torch

from affinage.training import finetune as finetune_module
from affinage.training.stopping import Scores

CASES = {
    "default": (),
    "adapt": ("finetune.batchnorm=adapt",),
    "recompute": ("finetune.batchnorm=recompute",),
    "average": ("finetune.ema=0.9", "finetune.batchnorm=adapt"),
    "plateau": ("schedule.name=plateau", "schedule.patience=1", "finetune.evaluate_every=16"),
    "mixup": ("augment.mixup=0.4", "augment.cutmix=1.0"),
    "pieces": ("optimizer.accumulate=3",),
    "growing": ("finetune.sizes=24,32,40", "augment.rotation=20", "finetune.batchnorm=adapt"),
    "gradual": ("finetune.gradual=0.5",),
    "sampler": ("loss.balance=sampler",),
    "frozen outputs": ("augment.crop=1", "finetune.unfreeze=1", "finetune.batchnorm=adapt"),
    "views": (
        "augment.views=1", "finetune.unfreeze=1", "loss.balance=sampler", "finetune.gradual=0.5",
    ),
    "half": ("compute.precision=bf16",),
    "fp16": ("compute.precision=fp16",),
    "sgd": ("optimizer.name=sgd", "schedule.name=exponential"),
    "lamb": ("optimizer.name=lamb", "optimizer.clip=null"),
    "everything": (
        "finetune.ema=0.9", "schedule.name=plateau", "schedule.patience=1", "augment.mixup=0.4",
        "optimizer.accumulate=2", "finetune.sizes=24,32", "finetune.gradual=0.5",
        "finetune.batchnorm=recompute", "finetune.evaluate_every=20", "loss.balance=sampler",
    ),
}  # fmt: skip

STOPS = {"everything": tuple(range(1, 8))}


class Killed(BaseException):
    pass


def judge(model):
    """A score of the weights that differs at every look, and is not always better."""
    total = sum(float(tensor.double().sum()) for tensor in model.state_dict().values())
    return Scores(judged=total % 1.0)


def killed_after(steps):
    count = itertools.count(1)

    def kill():
        if next(count) > steps:
            raise Killed
        return False

    return kill


@pytest.mark.parametrize("case", CASES)
def test_a_training_killed_anywhere_ends_with_the_same_weights(case, small, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    recipe = small.recipe(*CASES[case])
    points, again_points = [], []
    whole, ended = small.train(recipe, tmp_path / "whole", evaluate=judge, points=points)
    assert ended.steps == 8
    for stop in STOPS.get(case, (2, 5)):
        folder = tmp_path / f"{stop}"
        again_points.clear()
        with pytest.raises(Killed):
            small.train(
                recipe, folder, evaluate=judge, out_of_time=killed_after(stop), points=again_points
            )
        again, resumed = small.train(recipe, folder, evaluate=judge, points=again_points)
        assert (resumed.steps, resumed.best_step) == (ended.steps, ended.best_step)
        for name, tensor in whole.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name]), name
        assert {repr(point) for point in points} == {repr(point) for point in again_points}


def test_the_last_weights_are_kept_where_nothing_is_judged(small, tmp_path):
    recipe = small.recipe("finetune.ema=0.5")
    average, _ = small.train(recipe, tmp_path / "ema")
    last, _ = small.train(small.recipe(), tmp_path / "plain")
    different = [
        name
        for name, tensor in average.state_dict().items()
        if not torch.equal(tensor, last.state_dict()[name])
    ]
    assert "head.weight" in different
