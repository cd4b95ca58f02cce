"""A training is told to MLflow as well, where its owner asked for that."""

import contextlib
import dataclasses
from collections.abc import Iterator

from affinage.records.any_evaluation import AnyEvaluation
from affinage.records.estimate import Estimate
from affinage.records.run import RunRecord
from affinage.store.mlflow_run import MlflowRun
from affinage.store.run_folder import RunFolder
from affinage.workflows.reporter import Reporter


@contextlib.contextmanager
def tracked(folder: RunFolder, reporter: Reporter) -> Iterator[MlflowRun | None]:
    """Open the MLflow run that the folder's state names, and end it as the training ends.

    Yields:
        The run; None where none was asked for.

    Raises:
        RecipeError: If MLflow is not installed or cannot be reached.
    """
    state = folder.state()
    asked = state.get("mlflow")
    if not asked:
        yield None
        return
    run = MlflowRun(
        asked["address"],
        experiment=state["data"],
        name=folder.name,
        run=asked["run"],
        say=reporter.say,
    )
    finished = False
    try:
        folder.update_state(mlflow={**asked, "run": run.run})
        run.settings(folder.recipe().model_dump(mode="json"))
        yield run
        tell_result(run, folder)
        finished = True
    finally:
        run.end(finished=finished)


def tell_result(run: MlflowRun, folder: RunFolder) -> None:
    """Hand over the scores of the kept model with their intervals, the resolved recipe and the report."""
    for part, name, found in scores(folder.record()):
        if found.value is not None:
            run.score(part, name, found.value, found.low, found.high)
    run.keep_text(folder.recipe_text(), "recipe.yaml")
    run.keep(folder.report)


def scores(record: RunRecord) -> Iterator[tuple[str, str, Estimate]]:
    """Return (part, name, value) of every score that a run's evaluations have as a whole."""
    for part, evaluation in record.evaluations.items():
        for name, found in _estimates(evaluation):
            yield part, name, found


def _estimates(evaluation: AnyEvaluation) -> Iterator[tuple[str, Estimate]]:
    for field in dataclasses.fields(evaluation):
        value = getattr(evaluation, field.name)
        if isinstance(value, Estimate):
            yield field.name, value
