import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import affinage
from affinage.bundle import open_bundle
from affinage.cli.main import app
from affinage.errors import AffinageError, ImageError, ModelError, RunError
from affinage.imaging.resize import prepare
from affinage.records.estimate import Estimate
from affinage.workflows.export import export
from affinage.workflows.reporter import Silent


@pytest.fixture(scope="module")
def photos(digits, tmp_path_factory):
    """A copy of the digits, which a test may take away."""
    return shutil.copytree(digits, tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    """A small network on three digits, from scratch."""
    folder = tmp_path_factory.mktemp("small")
    settings = [
        "stages=[finetune]", "model.backbone=three_conv", "model.pretrained=false", "model.width=32",
        "model.height=32", "finetune.epochs=3", "finetune.batch_size=16",
        "augment.horizontal_flip=false",
    ]  # fmt: skip
    return affinage.train(
        photos, data=folder / "data", output=folder / "run", settings=settings, reporter=Silent()
    )


@pytest.fixture(scope="module")
def pictures(digits):
    return sorted(digits.rglob("*.png"))


@pytest.fixture(scope="module")
def plain(run, tmp_path_factory):
    """The bundle that most people make."""
    path = tmp_path_factory.mktemp("bundles") / "plain"
    export(run.path, into=path, speed=False)
    return path


def told(answers):
    return [(one.label, round(one.confidence, 3)) for one in answers]


@pytest.mark.parametrize(
    "asked",
    [
        {"model_format": "onnx", "batch": 1},
        {"model_format": "openvino"},
    ],
    ids=["onnx-one", "openvino"],
)
def test_each_format_answers_as_the_run(run, pictures, tmp_path, asked):
    done = export(run.path, into=tmp_path / "bundle", speed=False, **asked)
    assert done.parity.images > 0
    assert done.parity.changed_top1 == 0
    assert not done.bundle.any_size
    reader = open_bundle(done.path, threads=1)
    assert told(reader.predict_all(pictures)) == told(run.predict(pictures))


def test_a_plain_script_answers_as_the_run_image_by_image(run, plain, pictures):
    reading = json.loads((plain / "bundle.json").read_text())["reading"]
    session = onnxruntime.InferenceSession(plain / "model.onnx")
    for path, wanted in zip(pictures, run.predict(pictures), strict=True):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        (row,) = session.run(["outputs"], {"images": pixels[None]})[0]
        assert reading["labels"][int(row.argmax())] == wanted.label
        assert float(row.max()) == pytest.approx(wanted.confidence, abs=0.01)


def test_the_card_says_why_the_model_was_kept_and_what_it_learnt_at_the_end(run, plain):
    assert run.record.choice
    assert run.record.choice in (plain / "card.md").read_text(encoding="utf-8")


def test_a_program_of_pytorch_answers_as_the_run(run, plain, pictures, tmp_path):
    done = export(run.path, into=tmp_path / "torch", model_format="torch", speed=True)
    assert done.bundle.speed is None
    program = torch.export.load(tmp_path / "torch" / "model.pt2").module()
    reader = open_bundle(plain, threads=1)
    views = np.stack([reader.view(reader.pixels(path)) for path in pictures])
    with torch.inference_mode():
        _, outputs, _ = program(torch.from_numpy(views))
    assert np.allclose(outputs.numpy(), reader.compute(views)["outputs"], atol=1e-4)
    with pytest.raises(ModelError, match="does without"):
        open_bundle(tmp_path / "torch")


@pytest.mark.parametrize(
    ("model_format", "precision"), [("onnx", "int8"), ("openvino", "int8"), ("openvino", "bf16")]
)
def test_a_lower_precision_tells_what_it_costs(run, pictures, tmp_path, model_format, precision):
    done = export(
        run.path, into=tmp_path / "small", model_format=model_format, precision=precision,
        max_loss=30, speed=False,
    )  # fmt: skip
    loss = done.bundle.loss
    assert loss is not None
    assert loss.before.n == loss.after.n == done.parity.images
    assert loss.lost.low <= loss.lost.value <= min(loss.lost.high, 30)
    assert (done.bundle.quantised is not None) == (precision == "int8")
    alike = [
        one.label == other.label
        for one, other in zip(
            open_bundle(done.path, threads=1).predict_all(pictures),
            run.predict(pictures),
            strict=True,
        )
    ]
    assert np.mean(alike) > 0.7


@pytest.mark.parametrize("allowed", [{"max_loss": 0.5}, {"surely": True}])
def test_a_loss_allowed_to_fp32_is_refused(run, tmp_path, allowed):
    with pytest.raises(ModelError, match="may change no answer"):
        export(run.path, into=tmp_path / "bundle", speed=False, **allowed)


def test_too_few_images_for_surely_are_told_before_anything_is_tried(run, tmp_path, monkeypatch):
    monkeypatch.setattr("affinage.exporting.quantise._Workshop.make", None)  # Nothing is tried.
    with pytest.raises(ModelError, match="too few for --surely: even a bundle that changes no"):
        export(run.path, into=tmp_path / "bundle", precision="int8", surely=True, speed=False)
    assert left(tmp_path) == []


def test_the_view_of_the_docs_is_what_the_bundle_sees(plain, samples):
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    code = text.split("## Views")[1].split("```python\n")[1].split("views = ")[0]
    known = {"np": np}
    exec(code, known)
    reader = open_bundle(plain, threads=1)
    how = json.loads((plain / "bundle.json").read_text())["preprocessing"]
    for whole in (False, True):
        record = replace(reader.record.preprocessing, whole=whole, width=96, height=96)
        for path in sorted((samples / "flowers12").rglob("*.jpg"))[:20]:
            shown = known["view"](path, how | {"whole": whole, "width": 96, "height": 96})
            difference = np.abs(shown.astype(int) - prepare(reader.pixels(path), record))
            assert shown.shape == (96, 96, 3)
            assert difference.max() <= 3
            assert difference.mean() < 0.3


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_without_the_proof_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr("affinage.workflows.export.activation", lambda _: lambda raw: raw)
    with pytest.raises(ModelError, match="activation is missing"):
        export(run.path, into=tmp_path / "bundle", speed=False)
    assert left(tmp_path) == []


def test_what_costs_too_much_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr("affinage.exporting.loss._lost", lambda *_: _points(7.0))
    with pytest.raises(ModelError, match=r"bf16 costs too much.*7\.0"):
        export(
            run.path,
            into=tmp_path / "bundle",
            model_format="openvino",
            precision="bf16",
            speed=False,
        )
    assert left(tmp_path) == []


def _points(value):
    return Estimate(value=value, low=value - 1, high=value + 1, n=12)


def test_what_is_in_the_way_is_left_as_it_is(run, tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="bundle"):
        export(run.path, into=tmp_path / "bundle")
    assert left(tmp_path / "bundle") == ["mine.txt"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"precision": "bf16"}, "bf16"),
        ({"model_format": "torch", "precision": "int8"}, "int8"),
    ],
)
def test_what_a_format_cannot_be_is_refused_with_what_can(run, tmp_path, asked, words):
    with pytest.raises(AffinageError, match=words) as told:
        export(run.path, into=tmp_path / "bundle", **asked)
    assert "--format" in told.value.remedy


def test_lost_images_are_told_and_nothing_is_written(run, photos, tmp_path):
    away = photos.rename(photos.with_name("away"))
    try:
        with pytest.raises(ImageError, match=r"\.png"):
            export(run.path, into=tmp_path / "bundle", speed=False)
    finally:
        away.rename(photos)
    assert left(tmp_path) == []


def test_the_command_prints_json(run, tmp_path):
    path = tmp_path / "bundle"
    given = ["export", str(run.path), "--into", str(path), "--images", "5", "--no-speed", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["format"], found["command"], found["path"]) == (1, "export", str(path))
    assert found["parity"]["images"] == 5
    assert found["parity"]["changed_top1"] == 0
    assert set(found["parity"]["max_abs_difference"]) >= {"pixels", "tensor", "features", "outputs"}
