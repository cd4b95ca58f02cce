"""Every question has a case that it finds, is silent on a healthy training, and says why it cannot ask."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from affinage.diagnosis.confidence import RIGHT_BY_CODE, confidence
from affinage.diagnosis.diagnose import ask, diagnose
from affinage.diagnosis.rules import RULES
from affinage.records.plain import from_plain
from affinage.records.signals import Histogram, Point, Signals
from affinage.records.training_facts import Comparison
from affinage.records.verdict import Verdict, verdict_to_json
from diagnosis.sick_signals import (
    FALLING,
    FED,
    FLAT,
    HEALTHY,
    IMAGES,
    LAYERS,
    LOSS,
    POOR,
    SAME,
    SICK,
    TRAIN,
    changed,
    curve,
    layered,
    line,
    points,
    series,
    sick,
)

PAGES = Path(__file__).resolve().parents[2] / "docs" / "findings"
FIXED = {
    "frozen-batchnorm-in-training-mode", "preprocessing-mismatch", "label-order-mismatch",
    "loss-activation-mismatch", "nothing-trainable", "unshuffled-training", "split-leak",
    "validation-is-training", "metric-rounded-too-late", "accuracy-on-counts", "no-better-than-baseline",
    "learning-rate-too-high", "learning-rate-too-low", "dead-units", "vanishing-gradient",
    "exploding-gradient", "overfitting", "underfitting", "not-converged", "data-starved",
}  # fmt: skip

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def found(signals):
    return {v.code: v.finding.severity for v in diagnose(signals) if v.finding}


def test_the_fixed_codes_are_asked_and_each_once():
    codes = [rule.code for rule in RULES]
    assert set(codes) >= FIXED
    assert len(codes) == len(set(codes))
    assert set(SICK) == set(codes)


@each_rule
def test_every_rule_is_silent_on_a_healthy_training(rule):
    assert ask(rule, HEALTHY).finding is None


@each_rule
def test_every_rule_finds_its_fault(rule):
    verdict = ask(rule, SICK[rule.code])
    assert verdict.finding is not None, verdict.said
    assert verdict.finding.code == rule.code
    assert verdict.finding.remedy
    assert 0 < verdict.confidence <= 1
    assert verdict.experiment


@each_rule
def test_every_rule_says_why_it_cannot_ask(rule):
    why = {field.name: "a reason" for field in fields(Signals)}
    verdict = ask(rule, Signals(missing=why))
    assert verdict.answer == "unchecked"
    assert verdict.said


@each_rule
@pytest.mark.parametrize("name", [field.name for field in fields(Signals) if field.default is None])
def test_no_rule_breaks_where_one_thing_is_missing(rule, name):
    for signals in (HEALTHY, SICK[rule.code]):
        assert ask(rule, replace(signals, **{name: None})).said


@each_rule
def test_every_rule_has_a_page(rule):
    page = (PAGES / f"{rule.code}.md").read_text()
    assert f"`{rule.code}`, {rule.severity}" in page
    for heading in (
        "What it looks like",
        "Why it happens",
        "How it is proved",
        "PyTorch",
        "Keras",
        "Source",
    ):
        assert f"{heading}\n" in page
    assert rule.experiment in page


def test_every_page_has_a_rule():
    assert {page.stem for page in PAGES.glob("*.md")} == {rule.code for rule in RULES}


@pytest.mark.parametrize("code", SICK)
def test_verdicts_survive_json(code):
    for verdict in diagnose(SICK[code]):
        assert from_plain(Verdict, verdict_to_json(verdict)) == verdict


def test_findings_come_first_the_gravest_before_others():
    answers = [v.answer for v in diagnose(SICK["nothing-trainable"])]
    assert answers == sorted(answers, key=["finding", "fine", "unchecked"].index)
    assert diagnose(SICK["nothing-trainable"])[0].code == "nothing-trainable"


def test_a_symptom_beside_its_cause_is_a_note_that_names_it():
    both = replace(SICK["no-better-than-baseline"], objectives=changed(LOSS, activation="softmax"))
    verdicts = {v.code: v for v in diagnose(both)}
    assert verdicts["loss-activation-mismatch"].finding.severity == "blocking"
    assert verdicts["no-better-than-baseline"].finding.severity == "note"
    assert "loss-activation-mismatch" in verdicts["no-better-than-baseline"].explained_by


def test_validation_that_is_training_is_only_noted_with_one_image_per_class():
    alone = replace(TRAIN, by_class=(4,) * 100)
    signals = sick(overlaps=changed(SAME, shared=100, same_set=True), targets=(alone,))
    assert found(signals)["validation-is-training"] == "note"
    assert found(SICK["validation-is-training"])["validation-is-training"] == "warning"


def test_keras_cannot_have_frozen_norms_in_training_mode():
    signals = replace(SICK["frozen-batchnorm-in-training-mode"], framework="keras 3.9")
    assert "frozen-batchnorm-in-training-mode" not in found(signals)


@pytest.mark.parametrize(
    ("name", "activation", "wrong"),
    [
        ("cross_entropy", "none", False), ("cross_entropy", "log_softmax", False),
        ("cross_entropy", "softmax", True), ("cross_entropy", "relu", True),
        ("nll_loss", "log_softmax", False), ("nll_loss", "softmax", True), ("nll_loss", "none", True),
        ("binary_cross_entropy", "sigmoid", False), ("binary_cross_entropy", "none", True),
        ("binary_cross_entropy_with_logits", "none", False),
        ("binary_cross_entropy_with_logits", "sigmoid", True),
        ("mse_loss", "softmax", False), ("unknown", "softmax", False),
    ],
)  # fmt: skip
def test_which_loss_goes_with_which_activation(name, activation, wrong):
    signals = sick(objectives=changed(LOSS, name=name, activation=activation))
    assert ("loss-activation-mismatch" in found(signals)) == wrong


def test_frozen_by_leaving_out_of_the_optimizer_is_only_noted():
    signals = sick(layers=(replace(LAYERS[0], optimized=0), *LAYERS[1:]))
    assert found(signals)["parameters-not-in-optimizer"] == "note"
    scratch = replace(signals, pretrained=False)
    assert found(scratch)["parameters-not-in-optimizer"] == "warning"


def test_accumulated_gradients_are_no_forgotten_ones():
    optimizer = replace(HEALTHY.optimizers[0], zeroed_share=0.3, backwards_per_step=4.0)
    assert "gradients-not-zeroed" not in found(sick(optimizers=(optimizer,)))


def test_a_fixed_mixed_order_is_no_sorted_one():
    signals = sick(feeding=changed(FED, shuffled=False, same_order=True))
    assert found(signals) == {"same-order-every-epoch": "note"}


@pytest.mark.parametrize("code", ["no-better-than-baseline", "underfitting"])
def test_a_training_that_had_its_chance_is_warned_of(code):
    assert found(SICK[code])[code] == "warning"


@pytest.mark.parametrize("code", ["no-better-than-baseline", "underfitting"])
@pytest.mark.parametrize(
    "excuse",
    [
        {"steps": 400},
        {"series": series(line("learning_rate", [0.01] * 20 + [1e-5] * 20))},
        {"series": series(*layered("update_ratio", **{"0": 1e-7, "2": 1e-7, "3": 1e-7}))},
        {"points": curve("loss", "train (running)", [1.4 - 0.02 * i for i in range(16)])},
        {"points": curve("loss", "train (running)", [1.4] * 6)},
    ],
    ids=["young", "rate spent", "hardly moved", "slow", "few epochs"],
)
def test_a_training_that_may_be_healthy_is_only_noted(code, excuse):
    changes = dict(excuse)
    if "points" in changes:
        rest = [p for p in SICK[code].points if (p.series, p.on) != ("loss", "train (running)")]
        changes["points"] = (*rest, *changes["points"])
    assert found(replace(SICK[code], **changes)).get(code) in {"note", None}


def test_few_validation_images_cannot_tell_a_score_from_the_baseline():
    few = replace(SICK["no-better-than-baseline"], images={"train": 400, "validation": 40})
    assert found(few)["no-better-than-baseline"] == "note"


@pytest.mark.parametrize("code", ["dead-units", "saturated-units", "vanishing-gradient"])
def test_units_that_harm_nothing_are_only_noted(code):
    assert found(SICK[code])[code] == "warning"
    learning = points(accuracy__evaluation=(0.7,), accuracy__validation=(0.6,) * 8)
    assert found(replace(SICK[code], points=learning))[code] == "note"


def moved_by(ratio):
    updates = layered("update_ratio", **{"0": ratio, "2": ratio, "3": ratio})
    return found(sick(points=POOR, series=series(line("loss", FLAT), *updates)))


def test_the_remedy_brings_updates_back_to_what_is_usual():
    updates = layered("update_ratio", **{"0": 1.2, "2": 1.2, "3": 1.2})
    verdict = diagnose(sick(points=POOR, series=series(line("loss", FLAT), *updates)))[0]
    assert verdict.changes == (("optimizer.lr", "x0.001"),)


def test_a_loss_of_knowing_nothing_is_not_blamed_on_a_usual_rate():
    assert moved_by(0.3)["learning-rate-too-high"] == "warning"
    assert "learning-rate-too-high" not in moved_by(0.03)


def test_what_decay_takes_is_not_blamed_on_the_rate():
    series_of = series(
        line("loss", FLAT), *layered("update_ratio", **{"0": 0.1, "2": 0.1, "3": 0.1})
    )
    adamw = replace(
        HEALTHY.optimizers[0], name="AdamW", learning_rates=(0.01,), weight_decays=(10.0,)
    )
    codes = found(sick(points=POOR, series=series_of, optimizers=(adamw,), steps_per_epoch=12.0))
    assert codes["weight-decay-too-strong"] == "warning"
    assert "learning-rate-too-high" not in codes


def test_labels_torn_from_their_images_are_no_other_order_of_labels():
    torn = (
        Histogram(
            on="train (running)", epoch=8, predicted=(40,) * 10, true=(40,) * 10, hits=(40,) * 10
        ),
        Histogram(on="validation", epoch=8, predicted=(40,) * 10, true=(40,) * 10, hits=(4,) * 10),
    )
    assert "label-order-mismatch" not in found(sick(histograms=torn))
    shifted = (torn[0], replace(torn[1], hits=(0,) * 10))
    assert "label-order-mismatch" in found(sick(histograms=shifted))
    swapped = (torn[0], replace(torn[1], hits=(0, 0, *(36,) * 8)))
    assert "label-order-mismatch" in found(sick(histograms=swapped))


def test_flat_images_are_not_called_copies():
    flat = replace(HEALTHY.inputs[0], constant_images=30, repeated_images=29)
    assert "repeated-inputs" not in found(sick(inputs=(flat,)))


def test_a_confidence_rests_on_its_own_cases_and_borrows_where_there_are_few():
    shares = {code: confidence(code) for code in [*RIGHT_BY_CODE, "never-seen"]}
    right, n = (sum(column) for column in zip(*RIGHT_BY_CODE.values(), strict=True))
    assert shares["never-seen"] == (pytest.approx((right + 1) / (n + 2)), 0)
    for code, (hits, cases) in RIGHT_BY_CODE.items():
        low, high = sorted((hits / cases, shares["never-seen"][0]))
        assert low <= shares[code][0] <= high
        assert shares[code][1] == cases


def test_confidences_are_of_questions_that_are_asked():
    assert set(RIGHT_BY_CODE) <= {rule.code for rule in RULES}


def test_a_head_that_began_at_zero_makes_no_gradient_vanish():
    head = [
        line("weight_norm", [1e-9, *[0.01] * 39], "3"),
        *layered("gradient_norm", **{"3": 500.0}),
    ]
    assert "vanishing-gradient" not in found(sick(points=POOR, series=series(*head)))


def test_a_few_looks_at_gradients_tell_nothing():
    few = [
        line("gradient_norm", [value] * 4, layer)
        for layer, value in (("0", 1e-9), ("2", 1), ("3", 1))
    ]
    verdict = next(
        v
        for v in diagnose(sick(points=POOR, series=series(*few)))
        if v.code == "vanishing-gradient"
    )
    assert verdict.answer == "unchecked"


def test_sparse_labels_and_then_one_hot_ones_are_fine_under_their_losses():
    one_hot = replace(TRAIN, encoding="one-hot", dtype="float32", maximum=1)
    verdicts = {v.code: v for v in diagnose(sick(earlier=(HEALTHY,), targets=(one_hot,)))}
    told = verdicts["label-encoding-mismatch"]
    assert told.answer == "fine"
    assert told.said.startswith(
        "class indices under cross_entropy, then one-hot under cross_entropy"
    )


def test_classes_that_are_numbered_anew_in_a_later_phase_are_found():
    one, other = (replace(TRAIN, by_class=counts) for counts in ((300, 60, 40), (60, 300, 40)))
    before = sick(targets=(one,))
    assert "label-encoding-mismatch" in found(sick(earlier=(before,), targets=(other,)))
    assert "label-encoding-mismatch" not in found(sick(earlier=(before,), targets=(one,)))


@pytest.mark.parametrize("code", ["class-not-in-training", "class-shares-differ"])
def test_classes_that_never_come_are_noted_beside_images_that_come_again_and_again(code):
    again = replace(HEALTHY.inputs[0], repeated_images=60)
    codes = found(replace(SICK[code], inputs=(again,)))
    assert codes["repeated-inputs"] == "warning"
    assert codes[code] == "note"


def test_softmax_over_one_output_is_told_whatever_the_loss():
    one = changed(LOSS, name="binary_cross_entropy", activation="softmax", outputs=1)
    assert found(sick(objectives=one))["outputs-do-not-fit-classes"] == "warning"


LARGE = replace(IMAGES, minimum=0.0, maximum=255.0, mean=(110.0,) * 3, std=(60.0,) * 3)


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({}, "warning"),
        ({"points": HEALTHY.points}, "note"),
        ({"pretrained": True}, None),
        ({"layers": (replace(LAYERS[0], kind="Rescaling", parameters=0), *LAYERS)}, None),
        ({"layers": (LAYERS[0], replace(LAYERS[0], kind="BatchNorm2d"), *LAYERS[1:])}, "note"),
        ({"inputs": (replace(LARGE, maximum=3.0, std=(1.0,) * 3),)}, None),
    ],
    ids=["not learnt", "learnt", "pretrained", "rescaled within", "normalised within", "small"],
)
def test_large_inputs_are_told_by_the_harm_that_they_do(changes, severity):
    assert found(replace(SICK["inputs-not-scaled"], **changes)).get("inputs-not-scaled") == severity


def test_large_inputs_are_the_cause_of_a_loss_that_no_rate_would_lower():
    updates = layered("update_ratio", **{"0": 0.3, "2": 0.3, "3": 0.3})
    both = replace(SICK["inputs-not-scaled"], series=series(line("loss", FLAT), *updates))
    codes = found(both)
    assert codes["inputs-not-scaled"] == "warning"
    assert "learning-rate-too-high" not in codes


@pytest.mark.parametrize(
    ("layer", "shares", "expected"),
    [("0", [1.0] * 5, True), ("0", [1.0, 0.0, 0.0], False), ("3", [1.0] * 5, False)],
    ids=["hidden", "parted", "last layer"],
)
def test_units_that_stay_equal_are_named_in_hidden_layers(layer, shares, expected):
    signals = sick(points=POOR, series=series(line("equal_units", shares, layer)))
    assert ("weights-begin-equal" in found(signals)) == expected


def test_units_that_random_biases_parted_are_named_where_nothing_is_learnt():
    layers = tuple(replace(LAYERS[0], name=name) for name in ("0", "2", "4"))
    parted = [line("equal_units", [1.0, 0.5, 0.0], name) for name in ("0", "2")]
    poor = sick(points=POOR, layers=layers, series=series(*parted))
    assert "weights-begin-equal" in found(poor)
    one = sick(
        points=POOR, layers=layers, series=series(parted[0], line("equal_units", [0.0], "2"))
    )
    assert "weights-begin-equal" not in found(one)
    well = sick(layers=layers, series=series(*parted))
    assert "weights-begin-equal" not in found(well)


def test_weights_that_one_step_threw_away_are_blamed_on_the_rate():
    thrown = [line("update_ratio", [8.0, 2.0, *[1e-4] * 38], layer) for layer in "023"]
    codes = found(sick(points=POOR, series=series(line("loss", FLAT), *thrown)))
    assert codes["learning-rate-too-high"] == "warning"
    zeros = [line("weight_norm", [0.0, *[1.0] * 39], layer) for layer in "023"]
    from_zero = sick(points=POOR, series=series(line("loss", FLAT), *thrown, *zeros))
    assert "learning-rate-too-high" not in found(from_zero)


def test_a_faint_gradient_is_the_cause_of_small_steps_and_not_the_rate():
    faint = layered("gradient_norm", **{"0": 1e-8})
    small = layered("update_ratio", **{"0": 1e-7, "2": 1e-7, "3": 1e-7})
    codes = found(sick(points=POOR, series=series(line("loss", FLAT), *faint, *small)))
    assert (codes["vanishing-gradient"], codes["learning-rate-too-low"]) == ("warning", "note")


CLASS_NUMBERS = replace(
    TRAIN, encoding="counts", maximum=4, by_class=None, by_value=(90, 100, 95, 105, 98)
)


@pytest.mark.parametrize(
    ("targets", "accuracy", "severity"),
    [
        (CLASS_NUMBERS, True, "warning"),
        (CLASS_NUMBERS, False, "note"),
        (replace(CLASS_NUMBERS, by_value=(300, 100, 60, 20, 8)), True, None),
    ],
    ids=["accuracy", "no accuracy", "counts"],
)
def test_one_output_for_the_numbers_of_classes_is_told_from_counts(targets, accuracy, severity):
    points_of = HEALTHY.points if accuracy else ()
    signals = sick(
        task="count", targets=(targets,), points=points_of, comparisons=None,
        objectives=changed(LOSS, name="mse_loss", outputs=1),
    )  # fmt: skip
    assert found(signals).get("outputs-do-not-fit-classes") == severity


@pytest.mark.parametrize(
    ("of", "severity"), [("class indices", "warning"), ("rounded", "note"), ("raw", "note")]
)
def test_numbers_that_are_compared_as_numbers_may_be_counts(of, severity):
    signals = sick(
        task="count", targets=(CLASS_NUMBERS,), points=HEALTHY.points,
        comparisons=(Comparison(where="train.py:9", times=8, of=of, whole=1.0),),
        objectives=changed(LOSS, name="mse_loss", outputs=1),
    )  # fmt: skip
    assert found(signals)["outputs-do-not-fit-classes"] == severity


def test_squared_error_on_one_hot_labels_is_told_where_nothing_is_learnt():
    one_hot = replace(TRAIN, encoding="one-hot", maximum=1)
    loss = changed(LOSS, name="mse_loss", activation="sigmoid")
    assert "loss-activation-mismatch" not in found(sick(objectives=loss, targets=(one_hot,)))
    poor = found(sick(objectives=loss, targets=(one_hot,), points=POOR))
    assert poor["loss-activation-mismatch"] == "warning"


def without_losses(**curves):
    kept = points(**curves)
    return tuple(p for p in kept if (p.series, p.on) != ("loss", "validation"))


def test_overfitting_is_noted_where_validation_shows_accuracy_alone():
    gap = without_losses(accuracy__evaluation=(1.0,), accuracy__validation=(0.7,) * 8)
    assert found(sick(points=gap))["overfitting"] == "note"
    near = without_losses(accuracy__evaluation=(1.0,), accuracy__validation=(0.95,) * 8)
    assert "overfitting" not in found(sick(points=near))


def test_learning_by_heart_is_noted_while_it_is_under_way():
    torn = points(accuracy__evaluation=(0.5,), accuracy__validation=(0.25,) * 8)
    many = {"train": 400, "validation": 400, "test": 100}
    assert found(sick(points=torn, images=many))["memorising"] == "note"
    assert "memorising" not in found(sick(points=torn, images=many, epochs=3.0))


def test_a_training_of_two_epochs_is_judged_by_its_steps():
    short = tuple(replace(p, epoch=min(p.epoch, 2.0)) for p in HEALTHY.points if p.epoch <= 2)
    falling = sick(points=short, epochs=2.0, series=series(line("loss", FALLING)))
    assert found(falling)["not-converged"] == "note"
    flat = sick(points=short, epochs=2.0, series=series(line("loss", FLAT)))
    assert "not-converged" not in found(flat)


def test_optimizers_that_take_turns_are_no_case_of_underfitting():
    two = replace(SICK["underfitting"], optimizers=HEALTHY.optimizers * 2)
    assert found(SICK["underfitting"])["underfitting"] == "warning"
    assert found(two).get("underfitting") in {"note", None}


def test_seconds_of_waiting_are_a_note_and_minutes_a_warning():
    assert found(SICK["data-starved"])["data-starved"] == "note"
    slow = line("waiting_seconds", [5.0] * 40)
    assert found(sick(series=series(slow)))["data-starved"] == "warning"


def test_gradients_zeroed_before_the_step_are_told_as_such():
    still = layered("update_ratio", **{"0": 0.0, "2": 0.0, "3": 0.0})
    none = replace(HEALTHY.optimizers[0], without_gradient=("0.weight", "3.weight"))
    zeroed = sick(optimizers=(none,), series=series(line("gradient_norm", [0.0] * 40), *still))
    verdicts = {v.code: v for v in diagnose(zeroed)}
    assert "between backward() and step()" in verdicts["nothing-trainable"].finding.remedy
    assert verdicts["parameters-without-gradient"].finding is None
    flat = series(line("gradient_norm", [0.0] * 40), *still)
    moved = {v.code: v for v in diagnose(sick(series=flat))}
    assert "learning rate" in moved["nothing-trainable"].finding.remedy


def test_a_softmax_over_the_batch_is_named():
    over = replace(HEALTHY.outputs[0], columns_sum_to_one=1.0)
    verdict = next(
        v for v in diagnose(sick(outputs=(over,))) if v.code == "loss-activation-mismatch"
    )
    assert "dim=1" in verdict.finding.remedy


def test_a_loss_that_has_nothing_left_to_fall_is_converged():
    tiny = points(loss__validation=(2.0, 0.5, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001))
    assert "not-converged" not in found(sick(points=tiny))


def test_a_good_score_near_a_high_baseline_is_not_called_learnt_by_heart():
    base = tuple(replace(b, value=0.94) for b in HEALTHY.baselines)
    near = points(accuracy__evaluation=(0.97,), accuracy__validation=(0.95,) * 8)
    assert "memorising" not in found(sick(points=near, baselines=base))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"name": "nll_loss", "activation": "relu"}, 'activation="softmax"'),
        ({"name": "nll_loss", "activation": "sigmoid", "outputs": 1}, 'loss="binary_crossentropy"'),
        ({"name": "cross_entropy", "activation": "softmax"}, "from_logits=True"),
        ({"name": "cross_entropy", "activation": "relu"}, "Take the relu off"),
        ({"name": "binary_cross_entropy", "activation": "none"}, 'activation="sigmoid"'),
        ({"name": "binary_cross_entropy_with_logits", "activation": "sigmoid"}, "from_logits=True"),
    ],
)
def test_users_of_keras_are_told_in_words_of_keras(loss, words):
    signals = sick(objectives=changed(LOSS, **loss), framework="keras 3.9")
    finding = next(v.finding for v in diagnose(signals) if v.code == "loss-activation-mismatch")
    assert words in finding.remedy
    assert "nll_loss" not in finding.subject
    assert "nn." not in finding.remedy


def test_weights_that_softmax_over_one_output_keeps_still_are_explained_by_it():
    still = layered("update_ratio", **{"0": 0.0, "2": 0.0, "3": 0.0})
    one = changed(LOSS, name="binary_cross_entropy", activation="softmax", outputs=1)
    codes = found(sick(objectives=one, series=series(*still)))
    assert "outputs-do-not-fit-classes" in codes
    assert "nothing-trainable" not in codes


def _log(losses, accuracies):
    pairs = (("loss", losses), ("accuracy", accuracies))
    return Signals(
        origin="logs",
        points=tuple(
            Point(stage="training", series=name, on="train (running)", epoch=float(k), value=value)
            for name, values in pairs
            for k, value in enumerate(values, start=1)
        ),
    )


def _underfitting(signals):
    return next(v for v in diagnose(signals) if v.code == "underfitting")


@pytest.mark.parametrize("losses", [[2.306, 2.305, 2.306, 2.304, 2.305], [9.0, 2.8, 2.9, 2.7, 2.8]])
def test_a_log_whose_loss_stays_is_noted(losses):
    verdict = _underfitting(_log(losses, [0.1, 0.1, 0.11, 0.1, 0.1]))
    assert verdict.finding.severity == "note"
    assert "next to nothing" in verdict.said


@pytest.mark.parametrize(
    ("losses", "accuracies"),
    [([2.3, 2.2, 1.9, 1.6, 1.4], [0.1, 0.2, 0.3, 0.4, 0.48]), ([0.1] * 5, [0.98] * 5)],
)
def test_a_log_that_learns_is_not(losses, accuracies):
    assert _underfitting(_log(losses, accuracies)).answer == "unchecked"
