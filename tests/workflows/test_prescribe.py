"""What was proved becomes a recipe that is legal; what was not changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from affinage.diagnosis.diagnose import ask
from affinage.diagnosis.rules import RULES
from affinage.errors import RecipeError
from affinage.records.diagnosis import Diagnosis
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import load_recipe, parse_recipe
from affinage.records.verdict import Outcome
from affinage.workflows.prescribe import change_lines, changed_recipe, prescribe
from affinage.workflows.prove_run import prove_run
from diagnosis.sick_signals import HEALTHY, SICK

PROVED = Outcome(mark="proved", said="It is.")
PRESENT = {"finetune.epochs": 8.0}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_change_makes_a_legal_recipe(rule):
    changes = ask(rule, SICK[rule.code]).changes
    changed = changed_recipe(Recipe(), changes, present=PRESENT)
    assert (changed == Recipe()) == (not change_lines(Recipe(), changed, changes))


def test_a_factor_multiplies_what_is_there():
    recipe = parse_recipe(settings=["optimizer.lr=0.02"])
    changes = (("optimizer.lr", "x0.1"), ("finetune.epochs", "x2"))
    changed = changed_recipe(recipe, changes, present=PRESENT)
    assert (changed.optimizer.lr, changed.finetune.epochs) == (pytest.approx(0.002), 16.0)
    assert change_lines(recipe, changed, changes)[0] == "optimizer.lr: 0.02 → 0.002"


@pytest.mark.parametrize("settings", [["optimizer.lr=auto"], ["optimizer.lr=5"]])
def test_what_cannot_be_multiplied_is_refused(settings):
    with pytest.raises(RecipeError):
        changed_recipe(parse_recipe(settings=settings), (("optimizer.lr", "x10"),))


def diagnosed(code, outcome):
    rule = next(rule for rule in RULES if rule.code == code)
    verdict = replace(ask(rule, SICK[code]), outcome=outcome)
    return Diagnosis(signals=HEALTHY, verdicts=(verdict,), code=None, seconds=0.0)


def test_only_what_was_proved_is_written(trained, tmp_path):
    file = tmp_path / "recipe.yaml"
    undecided = replace(PROVED, mark="undecided")
    assert prescribe(trained.path, diagnosed("learning-rate-too-high", undecided), file) == ()
    assert not file.exists()
    proved = diagnosed("learning-rate-too-high", PROVED)
    (line,) = prescribe(trained.path, proved, file)
    rate = load_recipe((trained.path / "recipe.yaml").read_text()).optimizer.lr
    factor = float(dict(proved.verdicts[0].changes)["optimizer.lr"].removeprefix("x"))
    assert factor < 1
    assert load_recipe(file.read_text()).optimizer.lr == pytest.approx(factor * rate)
    assert line.startswith("optimizer.lr: ")


def test_of_a_script_the_lines_of_code_are_told(tmp_path):
    file = tmp_path / "recipe.yaml"
    lines = prescribe(Path("train.py"), diagnosed("gradients-not-zeroed", PROVED), file)
    assert lines == ("Call optimizer.zero_grad() before loss.backward().",)
    assert not file.exists()


def test_reruns_that_time_does_not_allow_leave_a_finding_unconfirmed(trained):
    from affinage.store.run_folder import RunFolder

    verdicts = diagnosed("learning-rate-too-high", None).verdicts
    (told,) = prove_run(verdicts, RunFolder(trained.path), HEALTHY, seconds=0.0)
    assert told.outcome.mark == "unconfirmed"
    assert "allow more --minutes" in told.outcome.said
