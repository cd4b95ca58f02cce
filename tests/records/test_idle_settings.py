"""What was set and would change nothing is refused: nobody is to believe that it did something."""

import pytest

from affinage.errors import RecipeError
from affinage.records.recipe_text import dump_recipe, load_recipe, parse_recipe

IDLE = {
    "schedule.every=3": "schedule.name=step",
    "schedule.factor=0.5": "schedule.name=plateau",
    "schedule.patience=4": "schedule.name=plateau",
    "schedule.threshold=0.1": "schedule.name=plateau",
    "schedule.cooldown=1": "schedule.name=plateau",
    "schedule.minimum=0.1": "schedule.name=plateau",
    "loss.gamma=3": "loss.name=focal",
    "loss.beta=0.9": "loss.balance=effective",
    "loss.tau=2": "loss.balance=logit_adjustment",
    "augment.policy_changes=3": "augment.policy=randaugment",
    "augment.policy_magnitude=3": "augment.policy=randaugment",
    "finetune.size_strength=0.2": "finetune.sizes=64,128",
    "model.head.gem_power=4": "model.head.pooling=gem",
}


@pytest.mark.parametrize(("idle", "needed"), IDLE.items())
def test_a_setting_that_would_do_nothing_is_refused_and_what_it_needs_is_named(idle, needed):
    stages = "stages=finetune"  # A head of its own pooling is no head of the stage `features`.
    with pytest.raises(RecipeError) as caught:
        parse_recipe(None, [stages, idle])
    name, value = needed.split("=")
    assert (name if "," in value else value) in caught.value.problem
    recipe = parse_recipe(None, [stages, idle, needed])
    assert load_recipe(dump_recipe(recipe)) == recipe


@pytest.mark.parametrize("loss", ["zero_inflated", "hurdle"])
def test_a_distribution_beside_the_zeros_needs_a_loss_that_parts_them(loss):
    asked = ["task=count", "loss.distribution=negative_binomial"]
    with pytest.raises(RecipeError, match=r"zero_inflated and hurdle.*loss.name=negative_binomial"):
        parse_recipe(None, asked)
    assert parse_recipe(None, [*asked, f"loss.name={loss}"]).loss.name == loss


def test_a_memory_test_has_no_test_part_to_size():
    with pytest.raises(RecipeError, match=r"split.test=0.3 .*memory test"):
        parse_recipe(None, ["split.closed_set=true", "split.test=0.3"])
    assert parse_recipe(None, ["split.closed_set=true", "split.test=0"]).split.closed_set


def test_trivialaugment_has_no_strength_to_set():
    with pytest.raises(RecipeError, match="randaugment"):
        parse_recipe(None, ["augment.policy=trivialaugment", "augment.policy_magnitude=3"])


@pytest.mark.parametrize(
    "settings",
    [
        ["loss.name=hurdle"],
        ["loss.name=zero_inflated"],
        ["loss.name=negative_binomial"],
        ["loss.labels=index", "augment.mixup=1"],
    ],
)
def test_force_is_not_offered_where_it_could_not_train_either(settings):
    for force in ("true", "false"):
        with pytest.raises(RecipeError) as caught:
            parse_recipe(None, [*settings, f"force={force}"])
        assert "--force trains all the same" not in caught.value.problem
        assert "Not even --force can." in caught.value.problem
    assert parse_recipe(None, ["loss.name=mae", "force=true"]).force


@pytest.mark.parametrize("small", ["finetune.batch_size=1", "optimizer.accumulate=32"])
@pytest.mark.parametrize("batchnorm", ["adapt", "recompute"])
def test_no_statistics_are_taken_of_one_image(small, batchnorm):
    with pytest.raises(RecipeError, match="one image at a time"):
        parse_recipe(None, [f"finetune.batchnorm={batchnorm}", small])
    assert parse_recipe(None, [small]).finetune.batchnorm == "frozen"
    assert parse_recipe(None, ["model.backbone=three_conv", small]).finetune.batchnorm == "adapt"
