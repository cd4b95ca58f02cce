"""Real trainings of counts, of sets of labels, and going on from a trained model."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

import affinage
from affinage.errors import RunError
from affinage.workflows.reporter import Silent
from real_digits import SMALL

TINY = ("model.width=64", "model.height=64", "compute.batch_size=16", "features.penalties=1,10")


@pytest.fixture(scope="module")
def cells(samples, tmp_path_factory):
    """Sixty real images of blood cells, with their counts."""
    folder = tmp_path_factory.mktemp("cells")
    table = pl.read_csv(samples / "bccd_count" / "counts.csv").head(60)
    (folder / "images").mkdir()
    for path in table["image"]:
        shutil.copy(samples / "bccd_count" / path, folder / path)
    table.drop("split").write_csv(folder / "counts.csv")
    return folder / "counts.csv"


@pytest.fixture(scope="module")
def counted(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    return affinage.train(
        cells, data=folder / "data", output=folder / "run", task="count",
        settings=[*TINY, "count.columns=RBC,Platelets", "finetune.steps=2", "finetune.batch_size=8"],
        reporter=Silent(),
    )  # fmt: skip


def test_counts_are_scored_beside_constant_answers(counted):
    from affinage.workflows.show import show_json

    told = show_json(counted.record, command="show")
    test = json.loads(json.dumps(told))["evaluation"]["test"]
    for name in ("RBC", "Platelets"):
        for score in (test["per_class"][name]["mae"], test["baselines"][name]["median"]["mae"]):
            assert set(score) == {"value", "low", "high", "n"}
            assert score["n"] == told["split"]["test"]
            assert score["low"] <= score["value"] <= score["high"]


def test_the_error_of_counts_is_that_of_the_saved_predictions(counted):
    rows = pl.read_parquet(counted.path / "predictions.parquet").filter(pl.col("part") == "test")
    error = (rows["expected:RBC"] - rows["count:RBC"]).abs().mean()
    test = counted.evaluation["test"]
    assert test.per_class["RBC"].mae.value == pytest.approx(error, abs=1e-6)
    assert rows.height == test.n


def test_counts_against_counts_are_a_file_too(counted):
    table = pl.read_csv(counted.path / "confusion.csv")
    for part, evaluation in counted.evaluation.items():
        for name, confusion in evaluation.confusion.items():
            own = table.filter((pl.col("part") == part) & (pl.col("class") == name))
            hits = own.filter(pl.col("true") == pl.col("predicted"))["images"].sum()
            assert own["images"].sum() == evaluation.n
            assert hits / evaluation.n == pytest.approx(confusion.on_diagonal.value)


def test_counts_see_the_whole_frame(counted):
    card = counted.record.model
    assert card.preprocessing.whole
    assert "squeezed as a whole" in counted.report.read_text()


def test_counts_are_predicted_and_measured_again(counted, cells):
    rows = pl.read_parquet(counted.path / "predictions.parquet").filter(pl.col("part") == "test")
    manifest = pl.read_parquet(counted.path / "manifest.parquet")
    path = dict(manifest.select("image", "path").iter_rows())[rows["image"][0]]
    (answer,) = counted.predict(cells.parent / path)
    assert answer.answered
    assert answer.counts["RBC"] == pytest.approx(rows["expected:RBC"][0], abs=1e-3)
    again = counted.evaluate(cells)
    assert again.n == counted.evaluation["test"].n
    assert again.per_class["RBC"].mae.value == pytest.approx(
        counted.evaluation["test"].per_class["RBC"].mae.value, abs=1e-3
    )


def test_sets_of_labels_are_made_of_counts_and_scored(cells, tmp_path):
    run = affinage.train(
        cells, data=tmp_path / "data", output=tmp_path / "run", task="multilabel",
        settings=[*TINY, "count.columns=RBC,WBC,Platelets"], stages="features", reporter=Silent(),
    )  # fmt: skip
    test = run.evaluation["test"]
    assert test.classes == ("RBC", "WBC", "Platelets")
    assert 0.5 < test.macro_f1.value <= 1
    assert set(test.baselines) == {"prevalence", "commonest_set"}
    rows = pl.read_parquet(run.path / "predictions.parquet").filter(pl.col("part") == "test")
    right = np.mean(rows["labels"].to_numpy() == rows["predicted"].to_numpy())
    assert test.exact_match.value == pytest.approx(right)
    (answer,) = run.predict(cells.parent / "images" / "BloodImage_00000.jpg")
    assert answer.label is None
    assert set(answer.probabilities) == set(test.classes)


def test_forced_settings_mark_the_run(cells, tmp_path):
    run = affinage.train(
        cells, data=tmp_path / "data", output=tmp_path / "run", task="count", force=True,
        settings=[*TINY, "count.columns=RBC,Platelets", "loss.name=mse", "loss.output=softmax"],
        stages="features", reporter=Silent(),
    )  # fmt: skip
    finding = next(one for one in run.record.findings if one.code == "forced-settings")
    assert "softmax" in finding.evidence[0]


def test_a_training_goes_on_from_a_trained_model(trained, digits, tmp_path):
    run = affinage.train(
        digits, data=tmp_path / "data", output=tmp_path / "run", start=trained.path,
        settings=[*SMALL, "finetune.steps=1"], stages="finetune", reporter=Silent(),
    )  # fmt: skip
    finding = next(one for one in run.record.findings if one.code == "carried-over")
    labels = len(trained.record.model.classes)
    assert f"{labels} labels kept" in finding.subject
    assert "the run run" in run.record.model.weights


def test_shares_of_counts_are_not_asked_whether_they_are_exact(cells, tmp_path):
    run = affinage.train(
        cells, data=tmp_path / "data", output=tmp_path / "run", task="count", stages="features",
        settings=[*TINY, "count.columns=RBC,Platelets", "count.target=frequency"], reporter=Silent(),
    )  # fmt: skip
    test = run.evaluation["test"]
    assert 0 <= test.per_class["RBC"].mae.value < 1
    assert test.per_class["RBC"].exact.value is None
    assert test.baselines["RBC"].median.within_one.value is None
    assert (test.confusion, test.intervals, test.interval) == ({}, {}, None)
    assert "What is counted as what" not in run.report.read_text()


def test_another_head_on_the_run_s_network_says_what_was_carried_over(trained, digits, tmp_path):
    run = affinage.train(
        digits, data=tmp_path / "data", output=tmp_path / "run", start=trained.path, stages="finetune",
        settings=["finetune.steps=1", "model.head.pooling=mean_deviation", "model.head.layers=2,3"],
        reporter=Silent(),
    )  # fmt: skip
    finding = next(one for one in run.record.findings if one.code == "carried-over")
    assert "0 labels kept" in finding.subject
    assert "model.head.pooling was backbone and is mean_deviation." in finding.evidence
    card, before = run.record.model, trained.record.model
    assert (
        card.preprocessing.width == before.preprocessing.width == 64
    )  # Of the run, not the default.


def test_more_classes_begin_at_nothing_and_old_rows_stay(trained, digits, tmp_path):
    more = tmp_path / "more"
    shutil.copytree(digits, more)
    shutil.copytree(digits / "0", more / "nothing")
    for number, path in enumerate(sorted((more / "nothing").iterdir())):
        path.write_bytes(path.read_bytes() + bytes([number]))  # Other bytes, the same picture.
    run = affinage.train(
        more, data=tmp_path / "data", output=tmp_path / "run", start=trained.path,
        settings=[*SMALL, "finetune.steps=1"], stages="finetune", reporter=Silent(),
    )  # fmt: skip
    finding = next(one for one in run.record.findings if one.code == "carried-over")
    assert "1 begin at 0 (nothing)" in finding.subject


def test_a_start_that_is_no_run_is_refused(digits, tmp_path):
    with pytest.raises(RunError):
        affinage.train(digits, output=tmp_path / "run", start=tmp_path, reporter=Silent())
    assert not (tmp_path / "run").exists()
