"""How many steps of fine-tuning a budget allows, by measurement."""

import copy
import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from affinage.inference.forward import compute_logits
from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups, set_trainable
from affinage.records.finding import Finding
from affinage.training.loop import training_steps
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan, make_plan
from affinage.workflows.session import Session, TrainingData
from affinage.workflows.work import TaskWork

TRAIN_SAMPLE = 128

STEPS_WORTH_TAKING = 10

SECONDS_TO_FINISH = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Measured seconds: of a step, and of an image in evaluation mode."""

    step: float
    image: float


def plan_within_budget(
    session: Session, data: TrainingData, model: Classifier, work: TaskWork, *, required: bool
) -> Plan | None:
    """Return how many steps to take; with a budget, as many as it allows, frozen into the recipe."""
    plan = make_plan(session.recipe.finetune, len(data.train))
    if session.recipe.budget is None or session.recipe.finetune.steps is not None:
        return plan
    rates = measure(session, data, model, work)
    steps = affordable_steps(session, data, plan, rates)
    if steps < STEPS_WORTH_TAKING and not required:
        session.findings.append(
            Finding(
                code="finetune-skipped",
                severity="note",
                subject=f"The budget of {session.recipe.budget:g} s left no time for fine-tuning.",
                evidence=(
                    f"A step takes {rates.step:.2f} s here; {max(0.0, session.clock.left):.0f} s are left.",
                ),
                remedy="Give a longer --budget to see whether it helps.",
            )
        )
        return None
    steps = max(1, min(plan.steps, steps))
    session.resolve("finetune", steps=steps)
    return dataclasses.replace(plan, steps=steps)


def affordable_steps(session: Session, data: TrainingData, plan: Plan, rates: Rates) -> int:
    """Return how many steps fit into what is left of the budget, the last evaluations paid first."""
    looks = len(data.test) + len(data.validation)
    left = session.clock.left - SECONDS_TO_FINISH - rates.image * looks
    sample = min(TRAIN_SAMPLE, len(data.train))
    per_epoch = rates.image * (len(data.validation) + sample)
    left -= per_epoch  # The look before the first step.
    per_step = rates.step + per_epoch / plan.steps_per_epoch
    if session.recipe.finetune.refit and data.split.carved and not data.split.closed_set:
        growth = (len(data.train) + len(data.validation)) / len(data.train)
        per_step += rates.step * growth
    return max(0, int(left * 0.93 / per_step))


def measure(session: Session, data: TrainingData, model: Classifier, work: TaskWork) -> Rates:
    """Return how long a step and an evaluated image take; the model is left as it was."""
    trial = copy.deepcopy(model)
    groups = layer_groups(trial, unfreeze=session.recipe.finetune.unfreeze)
    set_trainable(trial, groups)
    optimizer = build_optimizer(
        trial, groups, session.recipe.optimizer, layer_decay=session.recipe.finetune.layer_decay
    )
    part, engine = data.train, session.engine
    plan = Plan(
        steps=4, steps_per_epoch=make_plan(session.recipe.finetune, len(part)).steps_per_epoch
    )
    times = [time.monotonic()]
    times.extend(
        time.monotonic()
        for _ in training_steps(
            trial, optimizer, part.items, part.targets,
            objective=work.lesson.objective,
            recipe=session.recipe, plan=plan, device=engine.device, threads=engine.threads,
            phase="measure",
        )
    )  # fmt: skip
    step = float(np.median(np.diff(times)[1:]))
    items = part.items[: 2 * engine.batch_size]
    start = time.monotonic()
    compute_logits(trial, items, engine)
    return Rates(step=step, image=(time.monotonic() - start) / len(items))
