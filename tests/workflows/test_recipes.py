"""Recipes that come with the package: found by name, whole, and one thing a rung."""

import json
import re

import pytest
import yaml
from typer.testing import CliRunner

import affinage
from affinage.cli.main import app
from affinage.errors import RecipeError
from affinage.records.shipped import read_shipped
from affinage.workflows.recipes import list_recipes, resolve_recipe

SHIPPED = {recipe.name: recipe for recipe in affinage.list_recipes()}
UNDER = re.compile(r"^Ladder, on ([\w-]+):")

each_recipe = pytest.mark.parametrize("name", SHIPPED)


def flat(document, before=""):
    """Settings of a nested document, by full name."""
    found = {}
    for key, value in document.items():
        found |= (
            flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        )
    return found


@each_recipe
def test_a_shipped_recipe_can_be_used_and_keeps_what_it_says(name):
    resolved = flat(resolve_recipe(name).model_dump(mode="json"))
    given = flat(yaml.safe_load(SHIPPED[name].text))
    assert given
    assert given.items() <= resolved.items()
    assert SHIPPED[name].about.endswith(".")


@pytest.mark.parametrize("name", [name for name in SHIPPED if re.match("ladder-[2-9]", name)])
def test_a_rung_changes_one_thing_of_the_rung_below(name):
    below = UNDER.match(SHIPPED[name].about)[1]
    one, other = (flat(resolve_recipe(which).model_dump(mode="json")) for which in (name, below))
    changed = {setting for setting in one if one[setting] != other[setting]}
    sections = {setting.split(".")[0] for setting in changed}
    assert sections in ({"model"}, {"augment"}, {"optimizer"}, {"optimizer", "schedule"})
    assert 1 <= len(changed) <= 4


def test_what_is_expected_is_read_from_the_comment():
    text = (
        "# What it is.\n"
        "# Expected on cifar10: accuracy 0.701 [0.672, 0.729], n = 1,000; 300 s of processor time.\n"
        "stages: [features]\n"
    )
    score = read_shipped("one", text).expected[0]
    assert (score.data, score.metric, score.value, score.low, score.high, score.n) == (
        "cifar10", "accuracy", 0.701, 0.672, 0.729, 1000,
    )  # fmt: skip
    assert score.cost == "300 s of processor time"


@each_recipe
def test_every_comment_about_a_score_can_be_read(name):
    recipe = SHIPPED[name]
    assert recipe.text.count("# Expected") == len(recipe.expected)
    assert all(score.low <= score.value <= score.high for score in recipe.expected)


def test_a_file_wins_over_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bag-of-words").write_text("seed: 7")
    assert resolve_recipe("bag-of-words").seed == 7


def test_settings_lie_over_a_shipped_recipe():
    assert (
        resolve_recipe("bag-of-words", ["model.sift_words.words=30"]).model.sift_words.words == 30
    )


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(RecipeError, match="do you mean bag-of-words"):
        resolve_recipe("bag-of-word")
    with pytest.raises(RecipeError, match="cannot be read"):
        resolve_recipe("nowhere/mine.yaml")


def test_the_command_lists_and_prints(tmp_path):
    listed = CliRunner().invoke(app, ["recipes"])
    assert listed.exit_code == 0
    assert all(name[:12] in listed.stdout for name in SHIPPED)
    document = json.loads(CliRunner().invoke(app, ["recipes", "--json"]).stdout)
    assert [one["name"] for one in document["recipes"]] == [one.name for one in list_recipes()]
    printed = CliRunner().invoke(app, ["recipes", "bag-of-words"]).stdout
    assert printed == SHIPPED["bag-of-words"].text
