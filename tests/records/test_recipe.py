import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from affinage.errors import RecipeError
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import dump_recipe, load_recipe, parse_recipe
from affinage.records.settings_table import settings_table


def test_a_recipe_survives_its_file():
    recipe = parse_recipe(None, ["optimizer.lr=3e-4", "stages=features", "split.group=slide"])
    assert load_recipe(dump_recipe(recipe)) == recipe


@given(
    lr=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**31 - 1),
    norm=st.sampled_from(["frozen", "adapt"]),
    flip=st.booleans(),
)
def test_any_legal_settings_survive_the_file(lr, seed, norm, flip):
    recipe = parse_recipe(
        {"seed": seed},
        [
            f"optimizer.lr={lr}",
            f"finetune.batchnorm={norm}",
            f"augment.horizontal_flip={str(flip).lower()}",
        ],
    )
    assert load_recipe(dump_recipe(recipe)) == recipe
    assert recipe.optimizer.lr == pytest.approx(lr)


def test_all_mistakes_are_told_at_once_with_the_nearest_name():
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"seed": "x"}, ["finetune.epoch=3", "optimizer.lr=-1", "learning_rate=1"])
    problem = caught.value.problem
    assert "4 settings" in problem
    assert "finetune.epochs" in problem
    assert "optimizer.lr" in problem
    assert "seed" in problem


@pytest.mark.parametrize(
    "setting",
    ["optimizer", "optimizer.lr", "=3", "seed.deeper=1", "optimizer.lr=fast", "stages=sleep"],
)
def test_a_setting_that_cannot_be_used_is_refused(setting):
    with pytest.raises(RecipeError):
        parse_recipe(None, [setting])


def test_a_mistake_in_a_list_is_told_once():
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"stages": ["foo"]})
    assert caught.value.problem.startswith("A setting cannot be used: stages:")
    assert "at least 1" not in caught.value.problem
    with pytest.raises(RecipeError, match="at least 1"):
        parse_recipe({"stages": []})


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "just words"])
def test_a_file_that_is_no_recipe_is_refused(text):
    with pytest.raises(RecipeError):
        load_recipe(text)


def test_an_empty_file_is_the_default_recipe():
    assert load_recipe("") == Recipe()


def test_features_of_random_weights_are_refused():
    with pytest.raises(RecipeError, match="random weights"):
        parse_recipe(None, ["model.pretrained=false", "stages=features"])


def test_every_setting_can_be_given_at_its_default():
    recipe = Recipe()
    plain = yaml.safe_load(dump_recipe(recipe))
    for name, default, _, description in settings_table():
        assert description
        value = plain
        for key in name.split("."):
            value = value[key]
        if name == "format":
            continue
        assert parse_recipe(None, [f"{name}={default}"]) == recipe, name


@pytest.mark.parametrize("text", ["yes", "1", "no", "2019", "3e-4"])
def test_a_setting_that_is_text_stays_text(text):
    assert parse_recipe(None, [f"positive={text}"]).positive == text
    assert parse_recipe(None, [f"split.group={text}"]).split.group == text
