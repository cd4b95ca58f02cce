import os
import subprocess
import sys
from pathlib import Path

import pytest

import affinage
from affinage.errors import RecipeError
from affinage.records.estimate import Estimate
from affinage.workflows.reporter import Silent
from affinage.workflows.tracking import scores
from real_digits import SMALL


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_the_scores_of_a_training_and_its_report(digits, elsewhere):
    pytest.importorskip("mlflow", reason="mlflow is an extra")
    from mlflow.tracking import MlflowClient

    run = affinage.train(
        digits, settings=SMALL, stages="features", mlflow="sqlite:///runs.db", reporter=Silent()
    )
    client = MlflowClient(tracking_uri=f"sqlite:///{elsewhere}/runs.db")
    experiment = client.get_experiment_by_name(digits.name)
    [found] = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.metrics["test/accuracy"] == run.evaluation["test"].accuracy.value
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == {
        "recipe.yaml",
        "report.html",
    }


def test_a_training_that_cannot_tell_mlflow_leaves_nothing_behind(digits, elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RecipeError, match="--mlflow"):
        affinage.train(
            digits, settings=SMALL, output="run", mlflow="sqlite:///runs.db", reporter=Silent()
        )
    assert not (elsewhere / "run").exists()


def test_all_scores_of_a_run_as_a_whole_are_told(trained):
    found = {(part, name): value for part, name, value in scores(trained.record)}
    assert ("test", "accuracy") in found
    assert ("validation", "accuracy") in found
    assert all(isinstance(value, Estimate) for value in found.values())


def test_mlflow_is_not_loaded_where_it_is_not_asked_for():
    told = subprocess.run(
        [sys.executable, "-c", "import sys, affinage.workflows.train; print('mlflow' in sys.modules)"],
        capture_output=True, text=True, check=True, env=os.environ, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert told.stdout.strip() == "False"
