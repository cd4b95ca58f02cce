"""Before training: does a flip that the recipe asks for make one class of another?"""

import numpy as np

from affinage.imaging.trials import TRIALS
from affinage.records.augmentation import AugmentationTrial
from affinage.records.finding import Finding
from affinage.records.task import task_named
from affinage.workflows.label_trials import try_changes
from affinage.workflows.session import Session, TrainingData
from affinage.workflows.train_features import (
    FrozenFeatures,
)

FLIPS_TRIED_ON = 240


def try_flips(session: Session, data: TrainingData, frozen: FrozenFeatures) -> None:
    """Warn where a flip that the recipe asks for makes one class of another, on these very images."""
    recipe = session.recipe
    asked = [
        trial
        for trial in TRIALS
        if trial.name.endswith("flip") and getattr(recipe.augment, trial.setting.split(".")[1])
    ]
    known = any(finding.code == "augmentation-changes-labels" for finding in session.findings)
    classify = task_named(recipe.task).target == "label" and recipe.model.pretrained
    part, small = data.train, recipe.budget is not None and recipe.budget < 120
    if not asked or known or small or not classify or "finetune" not in recipe.stages:
        return
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(part))[:FLIPS_TRIED_ON])
    items, labels = [part.items[index] for index in chosen], part.targets[chosen]
    for trial in try_changes(
        items, labels, data.classes, frozen.model, session.engine, trials=asked
    ):
        if trial.verdict == "mixes classes up":
            session.findings.append(_changes_labels(trial))
            session.reporter.say(f"warning: {session.findings[-1].subject}")


def _changes_labels(trial: AugmentationTrial) -> Finding:
    return Finding(
        code="augmentation-changes-labels",
        severity="warning",
        subject=f"A {trial.change} changes labels on these images, and the recipe draws it: taught with it,"
        f" a head on frozen features is right on {100 * (trial.taught.value or 0):.0f} % of them, without"
        f" it on {100 * (trial.before.value or 0):.0f} %.",
        evidence=tuple(
            f"{one.label} is called {one.called}: {one.images} of {one.of} images that were right before"
            for one in trial.turned[:5]
        ),
        remedy=f"Train with --set {trial.setting}={trial.off}; see them: affinage augmentations SOURCE",
    )
