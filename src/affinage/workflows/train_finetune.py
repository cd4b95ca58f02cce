"""The stage `finetune`: parity first, then unfreezing, watched by validation."""

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
from affinage.records.run import Calibration, StageResult
from affinage.training.finetune import Finetuned, Observed, finetune
from affinage.training.initial import FirstLoss, check_first_loss
from affinage.training.plan import Plan, make_plan
from affinage.training.settle import is_settled, settle
from affinage.training.stopping import Scores
from affinage.training.together import Job, train_together
from affinage.training.trial import Trial
from affinage.workflows.looked_at import LookedAt
from affinage.workflows.recounting import training_targets
from affinage.workflows.run_signals import RunWatch
from affinage.workflows.session import Part, Session, TrainingData
from affinage.workflows.train_divergence import divergence
from affinage.workflows.train_features import (
    FeaturesOutcome,
    FrozenFeatures,
    measured_part,
)
from affinage.workflows.train_parity import parity, stacked
from affinage.workflows.train_plan import SECONDS_TO_FINISH, TRAIN_SAMPLE, plan_within_budget
from affinage.workflows.train_told import facts_of, summary_of
from affinage.workflows.work import TaskWork


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
    first = head.start if head is not None else carried
    difference = parity(session, data, frozen, first) if head is not None and first else None
    model = stacked(frozen, first)
    _settle(session, data, model, work)
    plan = plan_within_budget(session, data, model, work, required=head is None)
    if plan is None:
        return None
    began = _first_loss(session, data, model, work)
    session.findings.extend(began.findings())
    fixed = _fixed_state(session, model)
    ended = _train(session, data, data.train, model, plan, "finetune", work, validate=True)
    session.findings.extend(divergence(session, began, ended))
    moved = _moved(model, fixed)
    logits = compute_logits(model, data.validation.items, session.engine)
    measured = measured_part(data, data.validation, frozen, frozen.validation)
    evaluation = work.score(measured, logits, Calibration())
    better, choice = _better(session, data, head, logits, ended, work)
    images = len(data.validation)
    facts = facts_of(session, model, plan, ended, difference, moved, images)
    result = StageResult(
        name="finetune",
        seconds=ended.seconds or time.monotonic() - start,
        kept=better,
        summary=summary_of(session, model, plan, ended, difference),
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
    targets = training_targets(
        session.recipe, data, data.train, model.preprocessing,
        own_transform=work.lesson.transform is not None,
    )  # fmt: skip
    settled = settle(
        Trial(
            model=model, items=data.train.items, targets=targets, objective=work.lesson.objective,
            recipe=session.recipe, device=session.engine.device, threads=session.engine.threads,
        )
    )  # fmt: skip
    session.recipe = settled.recipe
    session.folder.save_recipe(settled.recipe)
    session.folder.event("settled", reasons=list(settled.reasons))
    for reason in settled.reasons:
        session.reporter.say(reason)


def _first_loss(
    session: Session, data: TrainingData, model: Classifier, work: TaskWork
) -> FirstLoss:
    """Return what the model loses before its first step, on the sample that is looked at later too."""
    items, targets = data.train.items[:TRAIN_SAMPLE], data.train.targets[:TRAIN_SAMPLE]
    outputs = compute_logits(model, items, session.engine)
    return check_first_loss(outputs, targets, work.lesson.objective)


def refit_finetuned(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: LinearHead | None,
    best: FinetuneOutcome,
    work: TaskWork,
) -> Classifier:
    """Fine-tune again on train and validation together, for as many epochs as proved best.

    Where that diverges, though the training on train alone did not, its model stays.
    """
    epochs = float(best.result.facts["best_epoch"] or 1)
    both = data.both
    per_epoch = make_plan(session.recipe.finetune, len(both)).steps_per_epoch
    plan = Plan(steps=max(1, round(epochs * per_epoch)), steps_per_epoch=per_epoch)
    model = stacked(frozen, head)
    ended = _train(session, data, both, model, plan, "refit", work, validate=False, cuts=best.cuts)
    return model if ended.lost_at is None else best.model


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
    reserve, looked_at = SECONDS_TO_FINISH, LookedAt()

    def scores(on: Part) -> Scores:
        logits = looked_at.logits(model, on, session.engine)
        lost = not np.isfinite(logits).all()
        return Scores(judged=np.nan) if lost else work.scores(logits, on.targets)

    watching = RunWatch(session, data, model, plan, keep=validate)

    def progress(done: int, total: int) -> None:
        watching.stepped(done)
        saying = {"finetune": "fine-tuning", "refit": "fine-tuning on train + validation"}[phase]
        session.reporter.phase(saying, done, total)

    observed = Observed(
        evaluate=(lambda _: scores(data.validation)) if validate else None,
        evaluate_train=(lambda _: scores(sample)) if validate else None,
        observe=session.observe,
        progress=progress,
        out_of_time=lambda: session.clock.left < reserve,
        say=session.reporter.say,
    )
    targets = training_targets(
        session.recipe, data, part, model.preprocessing,
        own_transform=work.lesson.transform is not None,
    )  # fmt: skip
    if session.processes.world > 1:
        if work.lesson.own_loss:
            raise RunError(
                "A loss of your own cannot be handed to other processes.",
                remedy="Train in one process, without torchrun.",
            )
        assert not callable(targets)
        job = Job(
            model=model, items=part.items, targets=targets, classes=len(data.classes),
            recipe=session.recipe, plan=plan, folder=session.folder.checkpoints,
            threads=max(1, session.engine.threads // session.processes.world), phase=phase,
            cuts=cuts, transform=work.lesson.transform, decoded=session.dataset.decoded_cache,
        )  # fmt: skip
        return train_together(
            job, observed, device=session.engine.device, processes=session.processes
        )
    with watching:
        return finetune(
            model,
            part.items,
            targets,
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
            decoded=session.dataset.decoded_cache,
            looks=watching.looks,
        )


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
