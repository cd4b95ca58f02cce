"""All questions that the doctor asks, in the order in which answers are told."""

from affinage.diagnosis import (
    batchnorm,
    encodings,
    equal_start,
    fit,
    gradients,
    memory,
    objective,
    order,
    parts,
    preprocessing,
    rates,
    scale,
    scores,
    trainable,
    units,
)
from affinage.diagnosis.answers import Rule

_LOSS = ("series",)

RULES: tuple[Rule, ...] = (
    Rule(
        code="nothing-trainable", severity="blocking", judge=trainable.nothing_trainable,
        needs=("layers",), experiment="Unfreeze the last layer: if the loss does not fall, "
        "something else is wrong.",
    ),
    Rule(
        code="loss-activation-mismatch", severity="blocking", judge=objective.loss_activation,
        needs=("objectives",),
        experiment="Train on the raw outputs with a fitting loss: if it learns no better, "
        "this is not the cause.",
    ),
    Rule(
        code="label-encoding-mismatch", severity="blocking", judge=encodings.encodings,
        needs=("objectives", "targets"),
        experiment="Write the labels as the loss reads them: if it learns no better, this is not the cause.",
    ),
    Rule(
        code="broadcast-in-loss", severity="blocking", judge=objective.stretched, needs=("objectives",),
        experiment="Give both one shape: if the loss falls no faster, this is not the cause.",
    ),
    Rule(
        code="outputs-do-not-fit-classes", severity="warning", judge=objective.outputs_for_classes,
        needs=("objectives", "targets"),
        experiment="Give the last layer one output per class: if the score stays, this is not the cause.",
    ),
    Rule(
        code="frozen-batchnorm-in-training-mode", severity="warning",
        judge=batchnorm.frozen_in_training_mode,
        needs=("batchnorms",),
        experiment="Put the frozen BatchNorm layers into evaluation mode in a copy, and "
        "measure the same training "
        "images again: if the gap stays, they are not its cause.",
    ),
    Rule(
        code="left-in-evaluation-mode", severity="warning", judge=batchnorm.left_in_evaluation_mode,
        needs=_LOSS,
        experiment="Call model.train() before every epoch: if validation is no better, it cost nothing.",
    ),
    Rule(
        code="batchnorm-tiny-batches", severity="warning", judge=batchnorm.tiny_batches,
        needs=("batchnorms", "feeding"),
        experiment="Train with larger batches at the same number of images: if the score "
        "stays, this is not the cause.",
    ),
    Rule(
        code="preprocessing-mismatch", severity="warning", judge=preprocessing.mismatch,
        needs=("inputs", "expected"),
        experiment="Feed a copy the same images in the backbone's own scale: if the score "
        "stays, this is not the cause.",
    ),
    Rule(
        code="inputs-not-scaled", severity="warning", judge=scale.not_scaled, needs=("inputs",),
        experiment="Bring inputs to mean 0 and spread 1 in a copy: if it learns no better, this is not "
        "the cause.",
    ),
    Rule(
        code="parts-scaled-differently", severity="warning", judge=preprocessing.differs_between_parts,
        needs=("inputs",),
        experiment="Scale validation images as training images: if the score stays, this "
        "is not the cause.",
    ),
    Rule(
        code="statistics-of-all-parts", severity="warning", judge=preprocessing.statistics_of_all,
        needs=("whole",),
        experiment="Standardise by the training part alone: if the score stays, little leaked.",
    ),
    Rule(
        code="small-inputs", severity="note", judge=preprocessing.too_small, needs=("inputs", "expected"),
        experiment="Train with larger images: if the score stays, this is not the cause.",
    ),
    Rule(
        code="augmentation-in-evaluation", severity="warning", judge=preprocessing.augmented_evaluation,
        needs=("inputs",), experiment="Measure twice without the random parts: if the "
        "score stays, it cost nothing.",
    ),
    Rule(
        code="constant-inputs", severity="warning", judge=preprocessing.constant, needs=("inputs",),
        experiment="Open the files: if they are one flat colour themselves, the transforms are innocent.",
    ),
    Rule(
        code="repeated-inputs", severity="warning", judge=preprocessing.repeated, needs=("inputs",),
        experiment="Count distinct images in an epoch: if all come once, this is not so.",
    ),
    Rule(
        code="label-order-mismatch", severity="blocking", judge=parts.label_order, needs=("feeding",),
        experiment="Map validation labels by training's names: if the score stays, this is "
        "not the cause.",
    ),
    Rule(
        code="split-leak", severity="warning", judge=parts.leak, needs=("overlaps",),
        experiment="Measure without the shared images: if the score stays, they did not flatter it.",
    ),
    Rule(
        code="validation-is-training", severity="warning", judge=parts.validation_is_training,
        needs=("overlaps",),
        experiment="Measure on images that training never saw: if the score stays, it was no memory.",
    ),
    Rule(
        code="test-is-validation", severity="warning", judge=parts.test_is_validation, needs=("overlaps",),
        experiment="Measure on images that nothing was chosen by: if the score stays, it was honest.",
    ),
    Rule(
        code="class-not-in-training", severity="warning",
        judge=parts.class_not_learnt_from, needs=("targets",),
        experiment="Give training images of the class: if it is still never right, this is "
        "not the cause.",
    ),
    Rule(
        code="class-shares-differ", severity="warning", judge=parts.shares_differ, needs=("targets",),
        experiment="Weigh validation by training's shares: if the score stays, they did not matter.",
    ),
    Rule(
        code="too-few-images-to-tell", severity="note", judge=parts.too_few, needs=("images",),
        experiment="Repeat on another part of the data: if scores agree, these were enough.",
    ),
    Rule(
        code="unshuffled-training", severity="warning", judge=order.unshuffled, needs=("feeding",),
        experiment="Shuffle in a copy and train as long: if it learns no better, order is not the cause.",
    ),
    Rule(
        code="same-order-every-epoch", severity="note", judge=order.same_order, needs=("feeding",),
        experiment="Shuffle anew each epoch: if the score stays, order did not matter.",
    ),
    Rule(
        code="results-change-with-seed-kept", severity="note", judge=order.follows_seed, needs=("feeding",),
        experiment="Run it twice and compare the first losses: if they are equal, the seed governs all.",
    ),
    Rule(
        code="parameters-not-in-optimizer", severity="warning", judge=trainable.not_in_optimizer,
        needs=("layers",), experiment="Give them to the optimizer: if the score stays, "
        "they did not matter.",
    ),
    Rule(
        code="parameters-without-gradient", severity="warning", judge=trainable.without_gradient,
        needs=("optimizers",), experiment="Connect them to the loss: if the score stays, "
        "they did not matter.",
    ),
    Rule(
        code="gradients-not-zeroed", severity="warning", judge=gradients.not_zeroed, needs=("optimizers",),
        experiment="Zero them before each step in a copy: if it learns no better, this is not the cause.",
    ),
    Rule(
        code="no-activation-between-layers", severity="warning",
        judge=units.no_nonlinearity, needs=("layers",),
        experiment="Put ReLU between the layers: if it learns no better, this is not the cause.",
    ),
    Rule(
        code="softmax-between-layers", severity="warning", judge=units.softmax_within, needs=("layers",),
        experiment="Put ReLU in its place: if it learns no better, this is not the cause.",
    ),
    Rule(
        code="weights-begin-equal", severity="warning", judge=equal_start.equal_start, needs=("layers",),
        experiment="Train a copy from the library's own first weights: if it learns no better, this is not "
        "the cause.",
    ),
    Rule(
        code="schedule-idle", severity="warning", judge=rates.schedule_idle, needs=("optimizers",),
        experiment="Let it act: if the score stays, it did not matter.",
    ),
    Rule(
        code="metric-rounded-too-late", severity="blocking", judge=scores.rounded_too_late,
        needs=("comparisons",), experiment="Round before comparing: if the score stays at "
        "0, this is not the cause.",
    ),
    Rule(
        code="accuracy-on-counts", severity="warning", judge=scores.accuracy_on_counts,
        experiment="Compare with the mean absolute error: if both rank the models alike, "
        "accuracy will do.",
    ),
    Rule(
        code="best-chosen-on-test", severity="warning",
        judge=scores.chosen_on_test, needs=("best_chosen_on",),
        experiment="Choose on validation: if the test score stays, it was not flattered.",
    ),
    Rule(
        code="loss-not-a-number", severity="blocking", judge=gradients.not_finite, needs=_LOSS,
        experiment="Divide the learning rate by 100: if it still comes, look at the loss itself.",
    ),
    Rule(
        code="learning-rate-too-high", severity="warning", judge=rates.too_high, needs=_LOSS,
        experiment="Train a copy with a tenth of the rate: if the loss falls no lower, "
        "this is not the cause.",
    ),
    Rule(
        code="pretrained-weights-wrecked", severity="warning", judge=rates.wrecked, needs=_LOSS,
        experiment="Train from the pretrained weights with a hundredth of the rate: if the score stays, "
        "this is not the cause.", symptom=True,
    ),
    Rule(
        code="decayed-too-soon", severity="warning", judge=rates.decayed_too_soon, needs=_LOSS,
        experiment="Hold the rate: if the loss falls no lower, this is not the cause.", symptom=True,
    ),
    Rule(
        code="weight-decay-too-strong", severity="warning", judge=gradients.weights_shrink,
        needs=("series", "optimizers"),
        experiment="Train without decay: if it learns no better, this is not the cause.",
    ),
    Rule(
        code="too-much-dropout", severity="warning", judge=units.too_much_dropout, needs=("layers",),
        experiment="Train without dropout: if training images are learnt no better, this "
        "is not the cause.",
        symptom=True,
    ),
    Rule(
        code="first-loss-too-high", severity="warning", judge=trainable.first_loss, needs=_LOSS,
        experiment="Scale the last layer's weights down by 10: if learning is no faster, "
        "it did not matter.",
        symptom=True,
    ),
    Rule(
        code="exploding-gradient", severity="warning", judge=gradients.exploding, needs=_LOSS,
        experiment="Clip the norm at 1: if it learns no better, this is not the cause.", symptom=True,
    ),
    Rule(
        code="dead-units", severity="warning", judge=units.dead, needs=_LOSS,
        experiment="Use a leaky activation: if it learns no better, this is not the cause.", symptom=True,
    ),
    Rule(
        code="saturated-units", severity="warning", judge=units.saturated, needs=_LOSS,
        experiment="Divide the inputs and first weights by 10: if it learns no better, "
        "this is not the cause.",
        symptom=True,
    ),
    Rule(
        code="vanishing-gradient", severity="warning", judge=gradients.vanishing, needs=_LOSS,
        experiment="Put BatchNorm and ReLU between layers: if the first layers learn no faster, "
        "this is not the cause.", symptom=True,
    ),
    Rule(
        code="learning-rate-too-low", severity="warning", judge=rates.too_low, needs=_LOSS,
        experiment="Train a copy with ten times the rate: if the loss falls no lower, this "
        "is not the cause.",
        symptom=True,
    ),
    Rule(
        code="outputs-collapsed", severity="warning", judge=parts.outputs_collapsed, needs=("outputs",),
        experiment="Feed noise of another scale: if outputs change, the network is alive.", symptom=True,
    ),
    Rule(
        code="memorising", severity="warning", judge=memory.memorising, needs=("points",),
        experiment="Train with the labels shuffled: if validation is worse, something was "
            "learnt.", symptom=True,
    ),
    Rule(
        code="no-better-than-baseline", severity="warning", judge=fit.no_better_than_baseline,
        experiment="Repeat with another seed: if it is better than the baseline there, "
        "this was bad luck.",
        symptom=True,
    ),
    Rule(
        code="overfitting", severity="warning", judge=memory.overfitting, needs=("points",),
        experiment="Train with more augmentation or fewer trainable layers: if the gap "
        "stays, this is not the cause.",
        symptom=True,
    ),
    Rule(
        code="underfitting", severity="warning", judge=fit.underfitting, needs=("points",),
        experiment="Train a larger network: if it stands still as high, labels or images set the limit.",
        symptom=True,
    ),
    Rule(
        code="not-converged", severity="note", judge=fit.not_converged, needs=("points",),
        experiment="Train twice as long: if validation is no better, it had converged.", symptom=True,
    ),
    Rule(
        code="rare-classes-lost", severity="warning", judge=fit.rare_classes_lost, needs=("histograms",),
        experiment="Weigh the classes: if the rare ones stay lost, their images do not tell them apart.",
        symptom=True,
    ),
    Rule(
        code="loss-falls-metric-stands", severity="note", judge=fit.loss_without_metric, needs=("points",),
        experiment="Train on: if accuracy follows, it was only late.", symptom=True,
    ),
    Rule(
        code="modes-measured-differently", severity="note", judge=scores.modes_differ, needs=("points",),
        experiment="Measure both parts in evaluation mode: if the gap stays, it is not one of modes.",
        symptom=True,
    ),
    Rule(
        code="data-starved", severity="warning", judge=order.starved, needs=_LOSS,
        experiment="Feed one batch again and again from memory: if steps are no faster, "
        "loading is not the cause.",
    ),
    Rule(
        code="memory-grows", severity="warning", judge=order.memory_grows, needs=_LOSS,
        experiment="Detach what is kept: if memory grows on, look elsewhere.",
    ),
)  # fmt: skip
"""A cause stands before its symptoms."""
