import json

import pytest
import torch
from typer.testing import CliRunner

import affinage
from affinage.cli.main import app
from affinage.errors import RecipeError
from affinage.models.build import build_backbone, stack
from affinage.models.freeze import layer_groups, set_modes, set_trainable
from affinage.records.recipe_text import parse_recipe
from affinage.reporting.layer_table import layer_report
from affinage.reporting.markdown import to_markdown
from affinage.training.optimizer import build_optimizer

RECIPES = (
    ("model.backbone=three_conv",),
    ("model.backbone=mini_xception", "model.mini_xception.filters=8,12,16,20"),
    ("model.backbone=resnet18", "finetune.unfreeze=2", "finetune.batchnorm=adapt"),
    ("model.backbone=tf_efficientnet_lite0", "model.head.hidden=8", "stages=finetune"),
    ("model.backbone=convnext_atto", "finetune.unfreeze=all", "finetune.layer_decay=0.5"),
    ("model.backbone=resnet18", "finetune.batchnorm=recompute", "model.pretrained=false"),
)
each_recipe = pytest.mark.parametrize("settings", RECIPES, ids=" ".join)


@each_recipe
def test_what_is_trained_and_how_fast_is_what_a_training_does(settings):
    table = affinage.layers(settings=settings, classes=4)
    recipe = parse_recipe(None, settings)
    bare = recipe.model.model_copy(update={"pretrained": False})
    model = stack(build_backbone(bare), classes=4)
    groups = layer_groups(model, unfreeze=recipe.finetune.unfreeze)
    set_trainable(model, groups)
    set_modes(model, batchnorm=recipe.finetune.batchnorm)
    optimizer = build_optimizer(
        model, groups, recipe.optimizer, layer_decay=recipe.finetune.layer_decay
    )
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for layer in table.layers:
        module = model.get_submodule(layer.name)
        own = [*module.parameters(recurse=False)]
        assert layer.weights == sum(p.numel() for p in own)
        assert {p.requires_grad for p in own} == ({layer.trained} if own else set()), layer.name
        for parameter in own:
            expected = rates.get(id(parameter))
            assert layer.learning_rate == (expected and pytest.approx(expected, rel=1e-12))
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            assert layer.batchnorm == (recipe.finetune.batchnorm if module.training else "frozen")
        else:
            assert layer.batchnorm is None
    assert table.weights == sum(p.numel() for p in model.parameters())
    assert table.trained_weights == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert table.multiply_adds == sum(layer.multiply_adds for layer in table.layers)


def test_a_table_by_hand_of_three_convolutions():
    table = affinage.layers(settings=["model.backbone=three_conv"])
    rows = [(row.output, row.weights, row.receptive_field) for row in table.layers]
    assert rows == [
        ((32, 32, 32), 2_432, (5, 5)),
        ((32, 16, 16), 0, (6, 6)),
        ((64, 16, 16), 51_264, (14, 14)),
        ((64, 8, 8), 0, (16, 16)),
        ((64, 8, 8), 102_464, (32, 32)),
        ((64, 4, 4), 0, (36, 36)),
        ((1024,), 0, (36, 36)),
        ((1000,), 1_025_000, None),
        ((10,), 10_010, None),
    ]
    assert table.weights == 1_191_170


def test_the_stage_features_alone_trains_no_backbone():
    table = affinage.layers(settings=["stages=features"], classes=3)
    assert {row.trained for row in table.layers if row.name.startswith("backbone")} == {False, None}
    assert table.trained_weights == 1280 * 3 + 3
    assert table.layers[-1].learning_rate is None


def test_a_rate_that_is_still_to_be_found_is_a_share():
    table = affinage.layers(settings=["optimizer.lr=auto", "finetune.layer_decay=0.5"])
    assert table.layers[-1].learning_rate is None
    assert table.layers[-1].rate == 1.0
    assert min(row.rate for row in table.layers if row.rate) == 0.5**9  # Nine blocks and the head.
    assert "× lr" in to_markdown(layer_report(table))


def test_whitening_is_in_the_table_with_its_cost():
    first = affinage.layers(settings=["model.normalise=zca", "model.whitening.patch=3"]).layers[0]
    assert (first.name, first.receptive_field) == ("whitening", (3, 3))
    assert first.multiply_adds == 224 * 224 * 9 * 9


def test_a_loss_with_two_numbers_for_each_class_doubles_the_head():
    settings = ["task=count", "loss.name=negative_binomial", "model.backbone=resnet18"]
    assert affinage.layers(settings=settings, classes=3).layers[-1].output == (6,)


def test_a_run_is_shown_with_its_own_classes(trained):
    table = affinage.layers(trained.path)
    assert table.classes == 3
    assert table.weights == trained.record.model.parameters


def test_no_classes_are_refused():
    with pytest.raises(RecipeError, match="0 classes"):
        affinage.layers(classes=0)


# Shown.


def invoke(*arguments):
    result = CliRunner().invoke(app, ["layers", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    "backbone", ["tf_efficientnet_lite0", "densenet121", "vit_tiny_patch16_224"]
)
def test_a_deep_network_is_shown_by_blocks_within_80_columns(backbone):
    text = invoke("--set", f"model.backbone={backbone}")
    table = text[text.index("layer  ") : text.index("Together")]
    assert max(map(len, table.rstrip().splitlines())) <= 80
    assert len(table.splitlines()) < 80
    assert "--all" in text
    every = invoke("--set", f"model.backbone={backbone}", "--all")
    assert len(every.splitlines()) > 88


def test_blocks_add_up_to_their_layers_and_see_what_their_widest_branch_sees():
    table = affinage.layers(settings=["model.backbone=resnet18"])
    rows = layer_report(table).sections[0].blocks[0].rows
    block = next(row for row in rows if row[0] == "layer2.0")
    members = [row for row in table.layers if ".layer2.0." in row.name]
    assert block[2] == f"{sum(row.weights for row in members) / 1e3:.3g} k"
    assert block[5] == "67"  # The 3 × 3 convolutions; the branch beside them sees 43.
    assert [row[0] for row in rows if "pool" in row[0]] == ["maxpool", "global_pool"]


def test_json_has_every_layer():
    document = json.loads(invoke("--json", "--set", "model.backbone=resnet18", "--classes", "7"))
    assert (document["format"], document["command"], document["classes"]) == (1, "layers", 7)
    assert len(document["layers"]) == 44
    assert document["layers"][0]["receptive_field"] == [7, 7]


def test_a_recipe_file_is_read_and_settings_lie_over_it(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("model:\n  backbone: three_conv\n  width: 64\n")
    text = invoke(str(file), "--set", "model.height=48")
    assert "64 × 48 px" in text
