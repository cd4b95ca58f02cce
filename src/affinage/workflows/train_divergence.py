"""A training that diverged is told as a finding of its run, whichever model was kept."""

from collections.abc import Sequence
from dataclasses import replace

from affinage.records.finding import Finding
from affinage.records.idle import value_of
from affinage.records.recipe import Recipe
from affinage.records.verdict import Verdict
from affinage.training.finetune import Finetuned
from affinage.training.initial import FirstLoss, exceeds
from affinage.training.optimizer import highest_rate
from affinage.workflows.prescribe import changed_recipe
from affinage.workflows.session import Session

DOCTORS = (
    "loss-not-a-number",
    "learning-rate-too-high",
    "exploding-gradient",
    "pretrained-weights-wrecked",
)
"""What the doctor may say of a training that went astray; only a report tells the rest of what it says."""


def divergence(session: Session, first: FirstLoss, ended: Finetuned) -> tuple[Finding, ...]:
    """Return what the end of a training shows by itself: a loss that is no number, or worse than a guess's.

    Args:
        session: Of the run; its curves hold the last look at the sample of training images.
        first: What that very sample lost before the first step, and what guesses lose on it.
        ended: The training.
    """
    rate = highest_rate(session.recipe.optimizer)
    lower = f"Lower the learning rate: --set optimizer.lr={rate / 10:g}"
    if ended.lost_at is not None:
        return (
            Finding(
                code="loss-not-a-number",
                severity="blocking",
                subject=f"Fine-tuning broke off: {ended.stopped}. The best weights before that, of step "
                f"{ended.best_step}, were judged.",
                remedy=lower,
            ),
        )
    last = _last_loss(session)
    if last is None or last <= first.measured or not exceeds(last, first):
        return ()
    return (
        Finding(
            code="fine-tuning-diverged",
            severity="warning",
            subject=f"At its end fine-tuning loses {last:.3g} per training image: more than the "
            f"{first.measured:.3g} it began with, and more than the {first.guess:.3g} of a guess that "
            "knows nothing.",
            evidence=(
                f"{first.images} training images in evaluation mode, {ended.steps} steps, highest "
                f"learning rate {rate:g}.",
            ),
            remedy=lower,
        ),
    )


def with_the_doctors(
    findings: Sequence[Finding], examined: Sequence[Verdict], recipe: Recipe
) -> list[Finding]:
    """Return findings of a run with those of the doctor that say why its training went astray."""
    known = {finding.code for finding in findings}
    causes = [
        _with_values(verdict, recipe)
        for verdict in examined
        if verdict.finding is not None
        and verdict.code in DOCTORS
        and verdict.code not in known
        and verdict.finding.severity != "note"
    ]
    kept = [one for one in findings if not (causes and one.code == "fine-tuning-diverged")]
    return [*kept, *causes]


def _with_values(verdict: Verdict, recipe: Recipe) -> Finding:
    """Return the doctor's finding with the values that its remedy comes to in this recipe."""
    assert verdict.finding is not None
    if not verdict.changes:
        return verdict.finding
    changed = changed_recipe(recipe, verdict.changes)
    settings = " ".join(f"--set {name}={value_of(changed, name)}" for name, _ in verdict.changes)
    return replace(verdict.finding, remedy=f"{verdict.finding.remedy} Here: {settings}")


def _last_loss(session: Session) -> float | None:
    losses = [
        (point.epoch, point.value)
        for point in session.folder.signals().points
        if (point.stage, point.series, point.on) == ("finetune", "loss", "train (evaluation mode)")
    ]
    return max(losses)[1] if losses else None
