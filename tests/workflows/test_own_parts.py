"""A network, a loss, a metric and a transform of one's own, in a real training."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import affinage
from affinage.errors import ModelError, RecipeError, RunError
from affinage.workflows.reporter import Silent

SMALL = ("model.width=32", "model.height=32", "augment.horizontal_flip=false", "augment.crop=1",
         "finetune.epochs=4", "finetune.batch_size=16", "finetune.batchnorm=adapt",
         "finetune.unfreeze=all", "optimizer.lr=0.01")  # fmt: skip


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 5, stride=2), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2), nn.ReLU())

    def forward(self, images):
        return self.body(self.stem(images))


def margin(outputs, targets):
    return nn.functional.multi_margin_loss(outputs, targets, reduction="none")


def second_guess(predictions, targets):
    best_two = np.argsort(predictions, axis=1)[:, -2:]
    return float((best_two == targets[:, None]).any(axis=1).mean())


SEEN = []


def noted(pixels, generator):
    SEEN.append(float(generator.random()))
    return 255 - pixels


@pytest.fixture(scope="module")
def parts():
    return affinage.Parts(
        model=Network(), loss=margin, metrics={"second guess": second_guess}, transform=noted
    )


@pytest.fixture(scope="module")
def run(digits, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    SEEN.clear()
    return affinage.train(
        digits, data=folder / "data", output=folder / "run", settings=SMALL, stages="finetune",
        parts=parts, reporter=Silent(),
    )  # fmt: skip


def test_the_run_says_what_was_brought(run):
    assert "Network" in run.record.model.backbone
    assert run._folder.state()["parts"]["loss"].endswith("margin")


def test_the_metric_is_reported_with_its_interval(run):
    score = run.record.own_metrics["test"]["second guess"]
    assert run.evaluation["test"].accuracy.value <= score.value <= 1
    assert score.low <= score.value <= score.high
    assert "second guess" in run.report.read_text()


def test_the_transform_saw_training_images_only(run):
    shown = run.record.stages[0].facts["steps"] * 16
    assert 0 < len(SEEN) <= 3 * shown


def test_predicting_asks_for_the_network_again(run, digits, parts):
    image = next(digits.glob("0/*.png"))
    with pytest.raises(RunError, match="Network"):
        affinage.predict(run.path, image)
    (answer,) = affinage.predict(run.path, image, parts=parts)
    assert run.predict(image, parts=parts) == [answer]
    assert answer.label in run.record.model.classes


def test_a_loss_of_ones_own_does_not_fit_the_stage_features(digits, parts, tmp_path):
    with pytest.raises(RecipeError, match="features"):
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / "run", settings=SMALL,
            stages="features,finetune", parts=affinage.Parts(loss=margin), reporter=Silent(),
        )  # fmt: skip


def test_the_page_shows_how_own_parts_are_handed_over(digits, tmp_path, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "own-parts.md"
    names = {"__name__": "page"}
    with contextlib.redirect_stdout(io.StringIO()):
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            exec(block, names)
    monkeypatch.chdir(tmp_path)
    recipe = {"model": {"width": 32, "height": 32}, "finetune": {"steps": 2, "refit": False}}
    train = affinage.train
    monkeypatch.setattr(
        affinage, "train", lambda *args, **kw: train(*args, recipe=recipe, reporter=Silent(), **kw)
    )
    answers = names["train_with_own_parts"](digits)
    assert len(answers) == len(list(digits.rglob("*.png")))


@pytest.mark.parametrize(
    ("loss", "settings", "words"),
    [
        (nn.CrossEntropyLoss(), (), "reduction='none'"),
        (margin, ("augment.mixup=0.4",), "augment.mixup"),
        (lambda outputs: outputs, (), "check_part"),
    ],
)
def test_a_loss_that_cannot_be_trained_with_is_told_before_the_training(
    loss, settings, words, digits, tmp_path
):
    with pytest.raises(ModelError) as caught:
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / "run", stages="finetune",
            settings=[*SMALL, *settings], parts=affinage.Parts(loss=loss), reporter=Silent(),
        )  # fmt: skip
    assert words in caught.value.remedy


@pytest.mark.parametrize(
    "idle", ["loss.name=focal", "loss.balance=weight", "finetune.label_smoothing=0.3"]
)
def test_settings_that_a_loss_of_ones_own_knows_nothing_of_are_refused(idle, digits, tmp_path):
    with pytest.raises(RecipeError, match=idle):
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / "run", stages="finetune",
            settings=[*SMALL, idle], parts=affinage.Parts(loss=margin), reporter=Silent(),
        )  # fmt: skip
