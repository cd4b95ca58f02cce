"""Change a recipe as the doctor's findings ask for it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from affinage.errors import RecipeError
from affinage.records.diagnosis import Diagnosis
from affinage.records.idle import value_of
from affinage.records.recipe import Recipe
from affinage.records.recipe_text import dump_recipe, parse_recipe
from affinage.records.verdict import Verdict
from affinage.store.files import write_text
from affinage.store.run_folder import RunFolder

Changes = tuple[tuple[str, str], ...]


def prescribe(target: Path, diagnosis: Diagnosis, file: Path) -> tuple[str, ...]:
    """Return what was proved as lines of change; for a run of ours, write its changed recipe to a file.

    Args:
        target: What was diagnosed.
        diagnosis: With what experiments said.
        file: Of the recipe; left alone where nothing was proved, or the target is no run of ours.

    Raises:
        RecipeError: If a change cannot be laid over the recipe.
    """
    proved = [v for v in diagnosis.verdicts if v.outcome is not None and v.outcome.mark == "proved"]
    if not RunFolder(target).exists:
        return tuple(v.finding.remedy for v in proved if v.finding is not None)
    changes = proved_changes(proved)
    if not changes:
        return ()
    recipe = RunFolder(target).recipe()
    present = {"finetune.epochs": diagnosis.signals.planned_epochs or 0.0}
    changed = changed_recipe(recipe, changes, present=present)
    write_text(file, dump_recipe(changed))
    return change_lines(recipe, changed, changes)


def proved_changes(verdicts: Iterable[Verdict]) -> Changes:
    """Return the changes of all findings that were proved; the gravest finding's win."""
    changes: dict[str, str] = {}
    for verdict in verdicts:
        if verdict.outcome is not None and verdict.outcome.mark == "proved":
            for setting, value in verdict.changes:
                changes.setdefault(setting, value)
    return tuple(changes.items())


def changed_recipe(
    recipe: Recipe, changes: Changes, *, present: Mapping[str, float] | None = None
) -> Recipe:
    """Return a recipe with changes laid over it.

    Args:
        recipe: As it was.
        changes: Values, or factors such as `x0.1` on the present value, by setting.
        present: Values that the recipe leaves open and the training chose, by setting.

    Raises:
        RecipeError: If a factor has nothing to multiply, or a value is out of its range.
    """
    plain = recipe.model_dump(mode="json")
    settings = [
        f"{setting}={_new_value(recipe, setting, value, present or {})}"
        for setting, value in changes
    ]
    return parse_recipe(plain, settings)


def change_lines(before: Recipe, after: Recipe, changes: Changes) -> tuple[str, ...]:
    """Return each change that changes something as a line: `optimizer.lr: 0.001 → 0.0001`."""
    values = {
        setting: (value_of(before, setting), value_of(after, setting)) for setting, _ in changes
    }
    return tuple(f"{name}: {old} → {new}" for name, (old, new) in values.items() if old != new)


def _new_value(recipe: Recipe, setting: str, value: str, present: Mapping[str, float]) -> str:
    if not value.startswith("x"):
        return value
    now = value_of(recipe, setting)
    now = present.get(setting) if now is None else now
    if not isinstance(now, int | float):
        raise RecipeError(
            f"{setting} is '{now}', which cannot be multiplied by {value[1:]}.",
            remedy=f"Set it by hand: --set {setting}=VALUE",
        )
    return f"{now * float(value[1:]):.6g}"
