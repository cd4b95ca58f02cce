"""What a stage of fine-tuning says of itself."""

from affinage.models.classifier import Classifier
from affinage.models.freeze import layer_groups
from affinage.records.task import task_named
from affinage.training.finetune import Finetuned
from affinage.training.plan import Plan
from affinage.workflows.session import Session
from affinage.workflows.train_parity import PARITY_IMAGES


def facts_of(
    session: Session,
    model: Classifier,
    plan: Plan,
    ended: Finetuned,
    difference: float | None,
    fixed: int,
    images: int,
) -> dict[str, str | float | int | bool | None]:
    """Return what a stage of fine-tuning did, as numbers: steps, epochs, parity, what was trained."""
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
        "frozen_outputs": ended.frozen_outputs or None,
    }


def summary_of(
    session: Session, model: Classifier, plan: Plan, ended: Finetuned, difference: float | None
) -> str:
    """Return the same as sentences."""
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
    told = "epoch" if epochs == "1" else "epochs"
    return (
        f"{proof}Then the last {trained} of {blocks} blocks and the head were trained for {epochs} "
        f"{told}; {norms}; the weights of epoch {best}, with {kept_by}, were kept.{stop}"
        f"{' ' if ended.frozen_outputs else ''}{ended.frozen_outputs}"
    )
