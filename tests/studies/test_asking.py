import pytest
import yaml

from affinage.errors import RecipeError
from affinage.records.question import Choice, Span
from affinage.studies.asking import arms_of, ladder_of, leave_one_out_of, nuisance_of
from affinage.studies.questions import arms_and_design, question_from, read_question, same_question


def question(**given):
    laid = {"source": ["photos"], "vary": ["features.head=logistic,nearest"], **given}
    return question_from(laid, recipe={}, task="classify")


def test_several_settings_are_combined_and_the_first_of_each_is_the_reference():
    arms = arms_of(["optimizer.lr=1e-3,1e-2", "optimizer.name=adam,sgd"])
    assert [arm.name for arm in arms] == ["0.001, adam", "0.001, sgd", "0.01, adam", "0.01, sgd"]
    assert arms[0].settings == (("optimizer.lr", 0.001), ("optimizer.name", "adam"))


def test_a_ladder_keeps_what_was_added():
    arms = ladder_of(["augment.flip=true", "augment.rotation=15 augment.crop=0.8"])
    assert [dict(arm.settings) for arm in arms] == [
        {},
        {"augment.flip": True},
        {"augment.flip": True, "augment.rotation": 15, "augment.crop": 0.8},
    ]


@pytest.mark.parametrize("given", ["crops: a.crop=0.6 a.flip=true", {"crops": "a.crop=0.6 a.flip=true"},
                                   {"crops": {"a.crop": 0.6, "a.flip": True}}])  # fmt: skip
def test_a_step_may_have_a_name_of_its_own(given, tmp_path):
    file = tmp_path / "question.yaml"
    file.write_text(yaml.safe_dump({"add": [given, {"b.c": 3}]}))
    arms = ladder_of(read_question(file)["add"])
    assert [arm.name for arm in arms] == ["plain", "+ crops", "+ b.c=3"]
    assert arms[1].settings == (("a.crop", 0.6), ("a.flip", True))


def test_an_ablation_leaves_each_out_in_turn():
    arms = leave_one_out_of(["augment.flip=true", "augment.rotation=15"])
    assert [dict(arm.settings) for arm in arms] == [
        {"augment.flip": True, "augment.rotation": 15},
        {"augment.rotation": 15},
        {"augment.flip": True},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=1e-5..1e-2", Span(key="optimizer.lr", low=1e-5, high=1e-2, log=True)),
        ("augment.crop=0.5..1", Span(key="augment.crop", low=0.5, high=1.0)),
        ("finetune.epochs=1..8", Span(key="finetune.epochs", low=1, high=8, whole=True)),
        ("optimizer.name=adam,sgd", Choice(key="optimizer.name", values=("adam", "sgd"))),
    ],
)
def test_what_is_tuned_is_read_from_its_text(text, expected):
    assert nuisance_of([text]) == (expected,)


@pytest.mark.parametrize(
    "text", ["lr", "lr=", "lr=1", "lr=1,1", "lr=2..1", "lr=nan..1", "=1,2", "lr=1..1", "lr=--1..2"]
)
def test_what_cannot_be_tuned_is_refused(text):
    with pytest.raises(RecipeError):
        nuisance_of([text])


@pytest.mark.parametrize("text", ["features.head=logistic", "features.head", "a=1,1"])
def test_what_cannot_be_compared_is_refused(text):
    with pytest.raises(RecipeError):
        arms_of([text])


def test_one_setting_is_not_varied_twice():
    with pytest.raises(RecipeError):
        arms_of(["a=1,2", "a=3,4"])


@pytest.mark.parametrize("given", [{}, {"vary": ["a=1,2"], "add": ["b=1"]}])
def test_a_question_compares_one_thing(given):
    with pytest.raises(RecipeError):
        arms_and_design(given)


def test_the_same_question_in_other_words_is_the_same():
    assert same_question(question(why="I wonder."), question(expectation="Nothing.", budget=60.0))
    assert not same_question(question(), question(repeats=4))
    assert not same_question(question(), question(source=["others"]))


def test_a_file_says_what_flags_say(tmp_path):
    file = tmp_path / "question.yaml"
    file.write_text(
        "source: photos\nvary:\n  features.head: [logistic, nearest]\nnuisance:\n"
        "  features.folds: 2..5\nset:\n  split.seed: 3\nsmallest: 0.01\n"
    )
    flags = question(nuisance=["features.folds=2..5"], smallest=0.01, set=["split.seed=3"])
    assert question_from(read_question(file), recipe={}, task="classify") == flags


@pytest.mark.parametrize("text", ["varies: a", "- a", "a: [", ""])
def test_a_file_that_is_no_question_is_refused(tmp_path, text):
    file = tmp_path / "question.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError):
        read_question(file)
