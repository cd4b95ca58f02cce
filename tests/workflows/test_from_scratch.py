"""Networks from random weights, in real trainings."""

import pytest

import affinage
from affinage.records.recipe import Recipe
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Silent

TINY = ("model.width=32", "model.height=32", "augment.horizontal_flip=false", "finetune.epochs=6",
        "finetune.batch_size=16")  # fmt: skip


@pytest.mark.parametrize("backbone", ["three_conv", "mini_xception"])
def test_a_small_network_learns_digits_from_scratch(backbone, digits, tmp_path):
    run = affinage.train(
        digits, data=tmp_path / "data", output=tmp_path / "run",
        settings=[*TINY, f"model.backbone={backbone}"], reporter=Silent(),
    )  # fmt: skip
    test = run.evaluation["test"]
    assert set(test.baselines) == {"largest_class"}
    assert test.accuracy.value > test.baselines["largest_class"].value
    assert run.record.model.preprocessing.mean != (0.485, 0.456, 0.406)
    answer = run.predict(next(digits.glob("0/*.png")))[0]
    assert answer.label in run.record.model.classes


def test_heads_of_two_kinds_share_a_data_set_and_no_features(digits, tmp_path):
    common = ["model.width=64", "model.height=64", "features.penalties=0.1"]
    runs = [
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / name,
            settings=[*common, *more], stages="features", reporter=Silent(),
        )
        for name, more in (("one", []), ("two", ["model.head.pooling=max"]))
    ]  # fmt: skip
    answers = [run.predict(next(digits.glob("0/*.png")))[0].confidence for run in runs]
    assert answers[0] != answers[1]


@pytest.mark.parametrize("norm", [True, False])
def test_random_weights_that_stay_frozen_are_told(norm, digits, tmp_path):
    run = affinage.train(
        digits, data=tmp_path / "data", output=tmp_path / "run", reporter=Silent(),
        settings=[*TINY, "model.backbone=three_conv", f"model.three_conv.batch_norm={norm}",
                  "finetune.batchnorm=frozen", "finetune.steps=1"],
    )  # fmt: skip
    told = "random-weights-frozen" in {finding.code for finding in run.record.findings}
    assert told == norm  # Without BatchNorm nothing stays as it was.


def test_a_recipe_object_takes_settings_as_a_file_does():
    resolved = resolve_recipe(Recipe(), ["model.backbone=three_conv"])
    assert resolved.stages == ("finetune",)
