"""A training whose features come from another engine than PyTorch, from files to its report."""

from types import SimpleNamespace

import pytest

import affinage
from affinage.errors import ModelError
from affinage.inference.engines import maker_of
from affinage.records.engine import EngineTrial
from affinage.records.recipe_text import load_recipe
from affinage.workflows import engine as choosing
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


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_a_run_says_which_engine_it_takes_and_what_was_kept(digits, tmp_path):
    heard = []
    for number in range(2):
        told = Heard()
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / f"{number}", stages="features",
            settings=["model.width=64", "model.height=64"], reporter=told,
        )  # fmt: skip
        heard.append([line for line in told.lines if line.startswith("features: ")])
    assert heard[0] == ["features: PyTorch fp32 (another would not be through sooner)"]
    assert heard[1] == [
        "features: PyTorch fp32 (all are kept from before)",
        "features: 48 of 48 were computed before, and kept",
    ]


def test_an_engine_that_computes_something_else_is_refused(digits, tmp_path):
    if lacking := maker_of("openvino").missing():
        pytest.skip(lacking)
    with pytest.raises(ModelError, match="something else than this backbone"):
        affinage.train(
            digits, data=tmp_path / "data", output=tmp_path / "run", stages="features",
            settings=["model.backbone=sift_words", "compute.engine=openvino"], reporter=Silent(),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "chosen"), [(None, "torch"), (9, "torch"), (1, "compiled-bf16")]
)
def test_features_of_an_engine_count_only_where_it_was_found_good_enough(
    monkeypatch, changed, chosen
):
    kept = () if changed is None else (
        EngineTrial(engine="torch", image_seconds=0.01, images=256),
        EngineTrial(engine="compiled-bf16", image_seconds=0.01, changed=changed, images=256),
    )  # fmt: skip
    stands_in = {
        "_convertible": lambda backbone: True,
        "_missing": lambda *given: {"torch": 256, "compiled-bf16": 0},
        "trials_of": lambda *given: SimpleNamespace(load=lambda: kept),
        "_pays": lambda *given: False,
        "is_ready": lambda *given: False,
        "let_go": lambda *given, **named: None,
    }
    for name, instead in stands_in.items():
        monkeypatch.setattr(choosing, name, instead)
    here = SimpleNamespace(device=SimpleNamespace(type="cpu"), frozen=lambda model: None)
    choice = choosing.choose_engine(None, None, [None], here, None, labels=None, told=print)
    assert choice.engine == chosen
