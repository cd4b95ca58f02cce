"""A training whose features come from another engine than PyTorch, from files to its report."""

import pytest

import affinage
from affinage.inference.engines import maker_of
from affinage.records.recipe_text import load_recipe
from affinage.workflows.reporter import Silent


def trained(digits, folder, engine):
    return affinage.train(
        digits, data=folder / "data", output=folder / engine, stages="features",
        settings=["model.width=64", "model.height=64", f"compute.engine={engine}"],
        reporter=Silent(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def plain(digits, folder):
    return trained(digits, folder, "torch")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino-bf16", "compiled"])
def test_a_training_uses_the_engine_that_its_recipe_asks_for(engine, digits, folder, plain):
    if lacking := maker_of(engine).missing():
        pytest.skip(lacking)
    run = trained(digits, folder, engine)
    assert load_recipe((run.path / "recipe.yaml").read_text()).compute.engine == engine
    assert run.record.stages[0].facts["features_by"] == engine
    assert engine.removesuffix("-bf16") in run.report.read_text().lower().replace(" ", "")
    own, others = (each.evaluation["test"].accuracy for each in (run, plain))
    assert own.n == others.n > 0
    assert abs(own.value - others.value) * own.n <= 1
