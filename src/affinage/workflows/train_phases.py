"""The phases of a training in order, each taking up what an earlier sitting has left."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affinage.errors import RunError
from affinage.heads.linear import LinearHead
from affinage.models.build import Backbone
from affinage.models.parts import Parts
from affinage.records.finding import Finding
from affinage.records.recipe import forced_pairings
from affinage.records.run import RunRecord
from affinage.records.task import task_named
from affinage.workflows.network import first_backbone, network_for
from affinage.workflows.session import Session, TrainingData
from affinage.workflows.tasks import work_of
from affinage.workflows.train_data import budget_finding, read_data, within
from affinage.workflows.train_features import (
    FeaturesOutcome,
    FrozenFeatures,
    features_result,
    fit_head,
    images_affordable,
    open_features,
    refit_head,
)
from affinage.workflows.train_final import (
    Chosen,
    finish,
    keep_model,
    measure_parts,
)
from affinage.workflows.train_finetune import (
    FinetuneOutcome,
    refit_finetuned,
    run_finetune,
)
from affinage.workflows.train_flips import try_flips
from affinage.workflows.train_parity import stacked
from affinage.workflows.train_refusals import refuse_unfit
from affinage.workflows.work import TaskWork


def work_through(session: Session, sources: Sequence[Path], parts: Parts | None) -> RunRecord:
    """All phases in order; each takes up what an earlier sitting has left."""
    try:
        backbone = first_backbone(session, parts)
        task = task_named(session.recipe.task)
        data = read_data(session, sources, task)
        refuse_unfit(session.recipe, data.classes)
        work = work_of(session.recipe, data.classes, data.train.targets, parts)
        _mark_forced(session)
        _tell_left_out(session)
        network = network_for(session, data, backbone, work, parts)
        backbone = network.backbone
        data = _fit_to_budget(session, data, backbone, work)
        if session.folder.data() is None:
            session.folder.save_findings_so_far(session.findings)
            session.folder.save_data(data.manifest, data.split)
        session.folder.save_environment(session.environment)
        with session.phase("features"):
            frozen = open_features(session, data, backbone, work)
        session.folder.event("features", computed=frozen.computed, of=len(data.both))
        head = _features_stage(session, data, frozen, work)
        try_flips(session, data, frozen)
        tuned = _finetune_stage(session, data, frozen, head, work, network.head)
        chosen = _choose(session, data, frozen, head, tuned, work)
        with session.phase("evaluation"):
            card = keep_model(session, data, backbone, chosen, work)
            evaluations, own = measure_parts(session, data, frozen, chosen, card, work, parts)
        return finish(session, data, card, evaluations, own, chosen.reason, work)
    finally:
        session.close()


def _mark_forced(session: Session) -> None:
    """Mark a run whose settings contradict each other, once."""
    forced = forced_pairings(session.recipe)
    if not forced or any(finding.code == "forced-settings" for finding in session.findings):
        return
    session.findings.append(
        Finding(
            code="forced-settings",
            severity="warning",
            subject="This run was trained with settings that contradict each other, because --force was"
            " given: do not take its score for what the method can do.",
            evidence=forced,
            remedy="Use the right pairing that is named here, without --force.",
        )
    )


def _tell_left_out(session: Session) -> None:
    """Tell which settings of the recipe others have made idle, once."""
    left_out = tuple(session.folder.state().get("left_out", ()))
    if not left_out or any(one.code == "settings-left-out" for one in session.findings):
        return
    session.findings.append(
        Finding(
            code="settings-left-out",
            severity="note",
            subject=_left_out(len(left_out)),
            evidence=left_out,
        )
    )


def _left_out(count: int) -> str:
    if count == 1:
        return "1 setting was left out, since the settings beside it leave it nothing to do."
    return (
        f"{count} settings were left out, since the settings beside them leave them nothing to do."
    )


def _features_stage(
    session: Session, data: TrainingData, frozen: FrozenFeatures, work: TaskWork
) -> FeaturesOutcome | None:
    if "features" not in session.recipe.stages:
        return None
    session.reporter.say("fitting the head on the features")
    with session.phase("head"):
        outcome = fit_head(session, data, frozen, work)
    seconds = session.folder.seconds()
    session.keep_stage(
        features_result(
            outcome,
            work,
            session.recipe,
            by=session.features_by,
            seconds=seconds["features"] + seconds["head"],
            kept=False,
        )
    )
    return outcome


def _finetune_stage(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: FeaturesOutcome | None,
    work: TaskWork,
    carried: LinearHead | None,
) -> FinetuneOutcome | None:
    if "finetune" not in session.recipe.stages:
        return None
    with session.phase("finetune"):
        outcome = run_finetune(session, data, frozen, head, work, carried)
    if outcome is not None:
        session.keep_stage(outcome.result)
    return outcome


def _choose(
    session: Session,
    data: TrainingData,
    frozen: FrozenFeatures,
    head: FeaturesOutcome | None,
    tuned: FinetuneOutcome | None,
    work: TaskWork,
) -> Chosen:
    """Keep the better model, and let it learn from validation too where validation was cut."""
    carved = data.split.carved and not data.split.closed_set
    if tuned is not None and tuned.better:
        model = tuned.model
        reason = tuned.choice
        got_better = bool(tuned.result.facts["best_epoch"])  # 0: the start was never bettered.
        if session.recipe.finetune.refit and carved and got_better:
            with session.phase("refit"):
                start = head.start if head is not None else None
                model = refit_finetuned(session, data, frozen, start, tuned, work)
            reason += " It was then trained again on train and validation together."
        return Chosen(model=model, head=None, validation_logits=tuned.logits, reason=reason)
    if head is None:
        raise RunError("No stage gave a model.", remedy="Give a longer --budget.")
    refits = session.recipe.features.refit and carved
    final = refit_head(session, data, frozen, head.head, work) if refits else head.head
    stages = {stage.name: stage for stage in session.folder.stages()}
    session.keep_stage(dataclasses.replace(stages["features"], kept=True))
    if tuned is not None:
        reason = tuned.choice
    elif "finetune" in session.recipe.stages:
        reason = "There was no time for fine-tuning, so the head on frozen features was kept."
    else:
        reason = "Only the stage features was asked for, so its head was kept."
    if refits:
        reason += " The head was then fitted again on train and validation together."
    return Chosen(
        model=stacked(frozen, final),
        head=final,
        validation_logits=np.asarray(head.logits),
        reason=reason,
    )


def _fit_to_budget(
    session: Session, data: TrainingData, backbone: Backbone, work: TaskWork
) -> TrainingData:
    """Return as much of the data as the budget can pay features and evaluation of."""
    if session.recipe.budget is None or session.folder.data() is not None:
        return data
    total = len(data.both) + len(data.test)
    share = images_affordable(session, data, backbone, work) / total
    if share >= 1:
        return data
    less = within(data, share, work.task)
    session.findings.append(
        budget_finding(len(less.both) + len(less.test), total, session.recipe.budget)
    )
    return less
