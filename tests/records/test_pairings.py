import pytest

from affinage.errors import RecipeError
from affinage.records.pairings import (
    LOSS_NAMES,
    OUTPUT_NAMES,
    PAIRINGS,
    Chosen,
    pairings_of,
    problems,
    resolve,
)
from affinage.records.recipe import forced_pairings
from affinage.records.recipe_text import parse_recipe


def refusal(*settings):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(None, settings)
    return caught.value.problem


def chosen(task="classify", target="count", **other):
    settings = dict.fromkeys(("loss", "output", "labels")) | {"balance": "none"} | other
    return Chosen(task=task, target=target, **settings)


@pytest.mark.parametrize(
    ("task", "target", "loss", "output"),
    [
        ("classify", "count", "cross_entropy", "softmax"),
        ("multilabel", "count", "bce", "sigmoid"),
        ("count", "count", "poisson", "exp"),
        ("count", "frequency", "cross_entropy", "softmax"),
    ],
)
def test_the_default_of_each_task_is_its_first_pairing(task, target, loss, output):
    found = resolve(chosen(task, target))
    assert (found.loss, found.output) == (loss, output)
    assert problems(chosen(task, target)) == ()


@pytest.mark.parametrize("pair", PAIRINGS, ids=lambda pair: f"{pair.task} {pair.loss}")
def test_every_pairing_is_accepted_and_completes_itself(pair):
    for output in (None, *pair.outputs):
        asked = chosen(pair.task, pair.target, loss=pair.loss, output=output)
        assert problems(asked) == ()
        assert resolve(asked).output == (output or pair.outputs[0])


@pytest.mark.parametrize(("task", "target"), [(p.task, p.target) for p in PAIRINGS])
def test_all_else_is_refused_with_the_right_pairing(task, target):
    legal = {(p.loss, o) for p in pairings_of(task, target) for o in p.outputs}
    for loss in LOSS_NAMES:
        for output in OUTPUT_NAMES:
            said = problems(chosen(task, target, loss=loss, output=output))
            assert bool(said) == ((loss, output) not in legal), (loss, output)
            assert all(": " in text and "Right: " in text for text in said)


def test_a_softmax_under_squared_error_on_counts_is_refused_with_the_reason():
    said = refusal("task=count", "loss.name=mse", "loss.output=softmax")
    assert "softmax gives shares that sum to 1" in said
    assert "can reach its counts" in said
    assert "Right: loss.output=linear" in said
    assert "cross_entropy on count.target=frequency" in said
    again = refusal("task=count", "count.target=frequency", "loss.name=mse", "loss.output=softmax")
    assert "does not learn through a softmax that is sure and wrong" in again


def test_sigmoids_under_softmax_cross_entropy_are_refused():
    said = refusal("loss.output=sigmoid")
    assert "each class on its own" in said
    assert "Right: loss.output=softmax" in said


def test_index_labels_into_a_loss_of_rows_are_refused_and_the_reverse():
    assert "Right: loss.labels=one_hot" in refusal("loss.name=mse", "loss.labels=index")
    assert "partly one class" in refusal("loss.labels=index", "augment.mixup=0.2")
    assert "is for task=classify" in refusal("task=multilabel", "loss.labels=one_hot")
    assert resolve(chosen(soft=True)).labels == "one_hot"
    assert resolve(chosen(loss="mse")).labels == "one_hot"
    assert resolve(chosen()).labels == "index"


@pytest.mark.parametrize("output", ["linear", "relu"])
def test_a_mean_that_may_be_0_is_refused_under_a_logarithm(output):
    said = refusal("task=count", f"loss.output={output}")
    assert "takes the logarithm" in said
    assert "Right: loss.output=exp" in said


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (["loss.balance=rarity"], "how rare a count is"),
        (["task=count", "loss.balance=logit_adjustment"], "counts have not"),
        (["task=count", "count.target=frequency", "loss.balance=rarity"], "shares have no count"),
        (["loss.name=mse", "loss.balance=logit_adjustment"], "log loss"),
        (["count.target=frequency"], "is for task=count"),
    ],
)
def test_balances_and_targets_of_other_tasks_are_refused(settings, word):
    assert word in refusal(*settings)


def test_force_lets_it_through_and_says_what_it_was():
    settings = ["task=count", "loss.name=mse", "loss.output=softmax", "force=true"]
    forced = forced_pairings(parse_recipe(None, settings))
    assert len(forced) == 1
    assert "softmax gives shares" in forced[0]
    assert "--force" in refusal(*settings[:-1])
    assert forced_pairings(parse_recipe(None, ["force=true"])) == ()


def test_all_that_is_wrong_is_said_at_once():
    said = refusal("task=count", "loss.name=bce", "loss.balance=logit_adjustment")
    assert "loss.name=bce" in said
    assert "loss.balance=logit_adjustment" in said
