import sys
from pathlib import Path

import pytest

from affinage.errors import RecipeError
from affinage.records.recipe import Recipe
from affinage.records.signals import Point
from affinage.store.mlflow_run import MlflowRun, flat, kept_address, metric_name


@pytest.mark.filterwarnings("ignore")
class TestWithMlflow:
    """Against a real database of MLflow, where it is installed."""

    @pytest.fixture
    def address(self, tmp_path, monkeypatch):
        pytest.importorskip("mlflow", reason="mlflow is an extra")
        monkeypatch.chdir(tmp_path)
        return kept_address("sqlite:///runs.db")

    def opened(self, address, said, run=None):
        return MlflowRun(address, experiment="digits", name="digits-1", run=run, say=said.append)

    def stored(self, address, run):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=address).get_run(run)

    def test_it_has_what_it_was_told(self, address):
        said = []
        run = self.opened(address, said)
        run.settings(Recipe().model_dump(mode="json"))
        point = Point(
            stage="finetune", series="loss", on="train (running)", epoch=0.5, value=1.25
        )  # fmt: skip
        run.observe(point)
        run.score("test", "accuracy", 0.9, 0.8, 0.95)
        run.keep_text("seed: 0\n", "recipe.yaml")
        run.end(finished=True)
        found = self.stored(address, run.run)
        assert found.info.status == "FINISHED"
        assert found.data.metrics == {
            "finetune/loss/train running": 1.25,
            "test/accuracy": 0.9,
            "test/accuracy/low": 0.8,
            "test/accuracy/high": 0.95,
        }
        assert found.data.params["optimizer.name"] == Recipe().optimizer.name
        assert len(found.data.params) > 50
        assert said == []

    def test_a_second_sitting_goes_on_with_the_run_of_the_first(self, address):
        said = []
        first = self.opened(address, said)
        first.settings({"seed": 0})
        first.end(finished=False)
        assert self.stored(address, first.run).info.status == "KILLED"
        second = self.opened(address, said, run=first.run)
        second.settings({"seed": 0})
        assert self.stored(address, second.run).info.status == "RUNNING"
        assert second.run == first.run
        assert said == []

    def test_a_store_that_goes_away_is_told_once_and_stops_nothing(self, address):
        said = []
        run = self.opened(address, said)
        run._client.delete_run(run.run)
        for value in (1.0, 2.0):
            run.observe(Point(stage="finetune", series="loss", on="", epoch=value, value=value))
        run.end(finished=True)
        assert len(said) == 1
        assert "The training goes on" in said[0]

    def test_an_address_of_no_store_is_a_mistake_before_the_training(self, address):
        with pytest.raises(RecipeError, match="cannot be used"):
            self.opened("nonsense://x", [])


def test_without_the_package_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RecipeError) as caught:
        MlflowRun("sqlite:///x.db", experiment="x", name="x-1", run=None, say=print)
    assert "affinage[mlflow]" in caught.value.remedy


def test_a_password_is_not_kept():
    with pytest.raises(RecipeError, match="password"):
        kept_address("https://me:secret@mlflow.example/")


@pytest.mark.parametrize("address", ["http://127.0.0.1:5000", "sqlite:////data/x.db", "databricks"])
def test_an_address_that_is_whole_stays_as_it_is(address):
    assert kept_address(address) == address


def test_a_database_beside_the_work_is_found_from_elsewhere(elsewhere):
    assert kept_address("sqlite:///runs/x.db") == f"sqlite:///{Path.cwd()}/runs/x.db"


def test_names_have_no_sign_that_mlflow_refuses():
    assert metric_name("finetune", "loss", "train (running)") == "finetune/loss/train running"
    assert metric_name("finetune", "learning_rate", "") == "finetune/learning_rate"


def test_settings_are_named_as_set_writes_them():
    assert dict(flat({"seed": 1, "loss": {"name": "focal"}})) == {"seed": 1, "loss.name": "focal"}
