"""The stage `finetune`: parity first, then unfreezing, watched by validation."""

import copy
import dataclasses
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.errors import RunError
from affinage.heads.linear import LinearHead
from affinage.inference.forward import compute_logits
from affinage.models.classifier import Classifier
from affinage.models.freeze import frozen_state, layer_groups, set_trainable
from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.finding import Finding
from affinage.records.run import Calibration, StageResult
from affinage.records.task import task_named
from affinage.training.finetune import Finetuned, Observed, finetune
from affinage.training.initial import check_first_loss
from affinage.training.loop import training_steps
from affinage.training.optimizer import build_optimizer
from affinage.training.plan import Plan, make_plan
from affinage.training.settle import is_settled, settle
from affinage.training.stopping import Scores
from affinage.training.together import Job, train_together
from affinage.workflows.session import Part, Session, TrainingData
from affinage.workflows.train_features import (
    FeaturesOutcome,
    FrozenFeatures,
    measured_part,
)
from affinage.workflows.work import TaskWork

PARITY_IMAGES = 64
PARITY_LIMIT = 1e-3
TRAIN_SAMPLE = 128
STEPS_WORTH_TAKING = 10
SECONDS_TO_FINISH = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOutcome:
    """A fine-tuned model, and what it scores on validation."""

    model: Classifier
    logits: NDArray[np.float32]
    evaluation: AnyEvaluation
    result: StageResult
    better: bool
    choice: str
    cuts: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Measured seconds: of a step, and of an image in evaluation mode."""

    step: float
    image: float


def stacked(frozen: FrozenFeatures, head: LinearHead | None) -> Classifier:
    """Return a copy of the frozen backbone with the head on it; with zeros where there is none."""
    model = copy.deepcopy(frozen.model)
    if head is not None:
        with torch.no_grad():
            model.last.weight.copy_(torch.from_numpy(np.asarray(head.weight, dtype=np.float32)))
            model.last.bias.copy_(torch.from_numpy(np.asarray(head.bias, dtype=np.float32)))
    return model


def parity(session: Session, data: TrainingData, frozen: FrozenFeatures, head: LinearHead) -> float:
    """Return the largest difference between head-on-features and the stacked model, in logits.

    Raises:
        RunError: If they are not one model: fine-tuning would start from something else.
    """
    model = stacked(frozen, head)
    part = data.validation
    items = part.items[:PARITY_IMAGES]
    expected = head.logits(frozen.validation[: len(items)])
    given = compute_logits(model, items, session.engine)
    difference = float(np.max(np.abs(expected - given)))
    if not difference <= PARITY_LIMIT:
        raise RunError(
            f"The head on features and the stacked model differ by {difference:.2g} in their logits "
            f"on {len(items)} validation images; at most {PARITY_LIMIT:g} is rounding.",
            remedy="The features are not of this backbone, these images or this preprocessing: "
            f"delete '{frozen.cache.folder}' and train again.",
        )
    return difference


def run_finetune(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: FeaturesOutcome | None,
    work: TaskWork,
    carried: LinearHead | None = None,
) -> FinetuneOutcome | None:
    """Fine-tune on train, watched by validation; None where a budget leaves no time for it."""
    start = time.monotonic()
    difference = parity(session, data, frozen, head.start) if head is not None else None
    model = stacked(frozen, head.start if head is not None else carried)
    _settle(session, data, model, work)
    plan = _plan_within_budget(session, data, model, work, required=head is None)
    if plan is None:
        return None
    _check_first_loss(session, data, model, work)
    fixed = _fixed_state(session, model)
    ended = _train(session, data, data.train, model, plan, "finetune", work, validate=True)
    moved = _moved(model, fixed)
    logits = compute_logits(model, data.validation.items, session.engine)
    measured = measured_part(data, data.validation, frozen, frozen.validation)
    evaluation = work.score(measured, logits, Calibration())
    better, choice = _better(session, data, head, logits, ended, work)
    images = len(data.validation)
    facts = _facts(session, model, plan, ended, difference, moved, images)
    result = StageResult(
        name="finetune",
        seconds=ended.seconds or time.monotonic() - start,
        kept=better,
        summary=_summary(session, model, plan, ended, difference),
        facts=facts,
        validation=evaluation,
    )
    return FinetuneOutcome(
        model=model,
        logits=logits,
        evaluation=evaluation,
        result=result,
        better=better,
        choice=choice,
        cuts=ended.cuts,
    )


def _settle(session: Session, data: TrainingData, model: Classifier, work: TaskWork) -> None:
    """Freeze what the recipe leaves to measurement into it, before the first step and once for ever."""
    if is_settled(session.recipe):
        return
    session.reporter.say("measuring what the recipe leaves at auto")
    settled = settle(
        model, data.train.items, data.train.targets, objective=work.lesson.objective,
        recipe=session.recipe, device=session.engine.device, threads=session.engine.threads,
    )  # fmt: skip
    session.recipe = settled.recipe
    session.folder.save_recipe(settled.recipe)
    session.folder.event("settled", reasons=list(settled.reasons))
    for reason in settled.reasons:
        session.reporter.say(reason)


def _check_first_loss(
    session: Session, data: TrainingData, model: Classifier, work: TaskWork
) -> None:
    """Warn where the model starts worse than a guess."""
    items, targets = data.train.items[:TRAIN_SAMPLE], data.train.targets[:TRAIN_SAMPLE]
    outputs = compute_logits(model, items, session.engine)
    session.findings.extend(check_first_loss(outputs, targets, work.lesson.objective).findings())


def refit_finetuned(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: LinearHead | None,
    best: FinetuneOutcome,
    work: TaskWork,
) -> Classifier:
    """Fine-tune again on train and validation together, for as many epochs as proved best."""
    epochs = float(best.result.facts["best_epoch"] or 1)
    both = data.both
    per_epoch = make_plan(session.recipe.finetune, len(both)).steps_per_epoch
    plan = Plan(steps=max(1, round(epochs * per_epoch)), steps_per_epoch=per_epoch)
    model = stacked(frozen, head)
    _train(session, data, both, model, plan, "refit", work, validate=False, cuts=best.cuts)
    return model


def _train(
    session: Session,
    data: TrainingData,
    part: Part,
    model: Classifier,
    plan: Plan,
    phase: str,
    work: TaskWork,
    *,
    validate: bool,
    cuts: tuple[tuple[float, float], ...] = (),
) -> Finetuned:
    sample = Part(
        name="train sample", items=part.items[:TRAIN_SAMPLE], targets=part.targets[:TRAIN_SAMPLE]
    )
    reserve = SECONDS_TO_FINISH

    def scores(on: Part) -> Scores:
        logits = compute_logits(model, on.items, session.engine)
        return work.scores(logits, on.targets)

    observed = Observed(
        evaluate=(lambda _: scores(data.validation)) if validate else None,
        evaluate_train=(lambda _: scores(sample)) if validate else None,
        observe=session.observe,
        progress=lambda done, total: session.reporter.phase(
            {"finetune": "fine-tuning", "refit": "fine-tuning on train + validation"}[phase],
            done,
            total,
        ),
        out_of_time=lambda: session.clock.left < reserve,
    )
    if session.processes.world > 1:
        if work.lesson.own_loss:
            raise RunError(
                "A loss of your own cannot be handed to other processes.",
                remedy="Train in one process, without torchrun.",
            )
        job = Job(
            model=model, items=part.items, targets=part.targets, classes=len(data.classes),
            recipe=session.recipe, plan=plan, folder=session.folder.checkpoints,
            threads=max(1, session.engine.threads // session.processes.world), phase=phase,
            cuts=cuts, transform=work.lesson.transform,
        )  # fmt: skip
        return train_together(
            job, observed, device=session.engine.device, processes=session.processes
        )
    return finetune(
        model,
        part.items,
        part.targets,
        objective=work.lesson.objective,
        recipe=session.recipe,
        plan=plan,
        observed=observed,
        folder=session.folder.checkpoints,
        device=session.engine.device,
        threads=session.engine.threads,
        phase=phase,
        cuts=cuts,
        transform=work.lesson.transform,
    )


def _plan_within_budget(
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


def _better(
    session: Session,
    data: TrainingData,
    head: FeaturesOutcome | None,
    logits: NDArray[np.float32],
    ended: Finetuned,
    work: TaskWork,
) -> tuple[bool, str]:
    if head is not None and ended.best_step == 0 and not session.recipe.finetune.always:
        return False, (
            "Fine-tuning did not help, so the head on frozen features was kept: no epoch had a lower "
            f"validation loss than the start ({len(data.validation)} validation images)."
        )
    if head is None:
        return True, "Only the stage finetune was asked for, so its model was kept."
    better, reason = work.choose(head.logits, logits, data.validation.targets)
    if session.recipe.finetune.always:
        numbers = reason.partition(": ")[2]
        return True, f"The recipe asks to keep the fine-tuned model always: {numbers}"
    return better, reason


def _fixed_state(session: Session, model: Classifier) -> dict[str, torch.Tensor]:
    set_trainable(model, layer_groups(model, unfreeze=session.recipe.finetune.unfreeze))
    return frozen_state(model, batchnorm=session.recipe.finetune.batchnorm)


def _moved(model: Classifier, fixed: dict[str, torch.Tensor]) -> int:
    """Return how many frozen tensors are not what they were; anything but 0 is a bug.

    Raises:
        RunError: If there is one.
    """
    state = model.state_dict()
    moved = [
        name for name, tensor in fixed.items() if not torch.equal(state[name].cpu(), tensor.cpu())
    ]
    if moved:
        raise RunError(
            f"{len(moved)} frozen tensors moved in training, such as '{moved[0]}'.",
            remedy="Please report this: nothing frozen may move.",
        )
    return len(fixed)


def _facts(
    session: Session,
    model: Classifier,
    plan: Plan,
    ended: Finetuned,
    difference: float | None,
    fixed: int,
    images: int,
) -> dict[str, str | float | int | bool | None]:
    groups = layer_groups(model, unfreeze=session.recipe.finetune.unfreeze)
    return {
        "parity_max_abs_difference": difference,
        "parity_images": min(PARITY_IMAGES, images) if difference is not None else 0,
        "planned_steps": plan.steps,
        "steps": ended.steps,
        "epochs": round(ended.steps / plan.steps_per_epoch, 3),
        "best_epoch": round(ended.best_step / plan.steps_per_epoch, 3),
        "stopped": ended.stopped or None,
        "batchnorm": session.recipe.finetune.batchnorm,
        "trained_blocks": sum(group.trained for group in groups) - 1,
        "blocks": len(groups) - 1,
        "trained_weights": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "weights": sum(p.numel() for p in model.parameters()),
        "frozen_tensors_unmoved": fixed,
    }


def _summary(
    session: Session, model: Classifier, plan: Plan, ended: Finetuned, difference: float | None
) -> str:
    settings = session.recipe.finetune
    groups = layer_groups(model, unfreeze=settings.unfreeze)
    trained, blocks = sum(group.trained for group in groups) - 1, len(groups) - 1
    norms = {
        "frozen": "BatchNorm kept its pretrained statistics",
        "adapt": "BatchNorm adapted its statistics to the training images",
        "recompute": "BatchNorm adapted, and its statistics were measured anew at the end",
    }[settings.batchnorm]
    proof = (
        f"The stacked model gave the same outputs as the head on features (largest difference "
        f"{difference:.1e}). "
        if difference is not None
        else ""
    )
    kept_by = task_named(session.recipe.task).kept_by(settings.stop_on)
    stop = f" It was stopped early: {ended.stopped}." if ended.stopped else ""
    epochs, best = (
        f"{steps / plan.steps_per_epoch:.3g}" for steps in (ended.steps, ended.best_step)
    )
    return (
        f"{proof}Then the last {trained} of {blocks} blocks and the head were trained for {epochs} "
        f"epochs; {norms}; the weights of epoch {best}, with {kept_by}, were kept.{stop}"
    )
