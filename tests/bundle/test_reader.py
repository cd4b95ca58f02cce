import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import affinage
from affinage.bundle import open_bundle
from affinage.errors import DataError, ImageError, RunError
from affinage.workflows.reporter import Silent
from real_digits import SMALL

SCRATCH = (
    "model.backbone=three_conv",
    "model.pretrained=false",
    "finetune.unfreeze=all",
    "finetune.batchnorm=adapt",
)
NEVER = ("torch", "polars", "pydantic", "cv2", "scipy", "timm", "simplejpeg")


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return affinage.train(
        digits, data=folder / "data", output=folder / "run", stages=("finetune",),
        settings=[*SMALL, *SCRATCH],
        reporter=Silent(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return affinage.export(run.path, into=tmp_path_factory.mktemp("b") / "bundle", speed=False)


@pytest.fixture(scope="module")
def pictures(digits):
    return sorted(path for path in digits.rglob("*") if path.is_file())


def test_the_reader_answers_as_the_run_does(run, exported, pictures):
    theirs = affinage.predict(run.path, pictures)
    ours = open_bundle(exported.path, threads=1).predict_all(pictures)
    assert [one.label for one in ours] == [one.label for one in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert list(a.probabilities) == list(b.probabilities)
        assert np.allclose(
            list(a.probabilities.values()), list(b.probabilities.values()), atol=1e-4
        )


def test_plain_onnx_runtime_answers_as_the_run_does(run, exported, pictures):
    model = onnxruntime.InferenceSession(str(Path(exported.path) / "model.onnx"))
    labels = exported.bundle.reading.labels
    theirs = affinage.predict(run.path, pictures)
    for path, wanted in zip(pictures, theirs, strict=True):
        pixels = np.asarray(Image.open(path).convert("RGB"))[None]
        (outputs,) = model.run(["outputs"], {"images": pixels})
        assert labels[int(outputs[0].argmax())] == wanted.label


def test_it_loads_no_torch_and_little_else(exported, pictures):
    code = (
        "import sys; from affinage.bundle import open_bundle; "
        f"print(open_bundle({exported.path!r}).predict({str(pictures[0])!r}).label); "
        f"print([name for name in {NEVER} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    label, loaded = done.stdout.split("\n")[:2]
    assert label in exported.bundle.reading.labels
    assert loaded == "[]"


def test_files_bytes_pictures_and_pixels_get_one_answer(exported, pictures):
    model = open_bundle(exported.path, threads=1)
    path = pictures[0]
    pixels = np.asarray(Image.open(path).convert("RGB"))
    given = (path, str(path), path.read_bytes(), Image.open(path), pixels)
    answers = [model.predict(one).probabilities for one in given]
    assert all(one == answers[0] for one in answers)


def test_an_unreadable_file_gets_a_reason_and_the_others_an_answer(exported, pictures, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not an image")
    first, second, third = open_bundle(exported.path).predict_all(
        [pictures[0], broken, "missing.jpg"]
    )
    assert first.answered
    assert not second.answered
    assert "cannot be opened" in third.reason
    with pytest.raises(ImageError):
        open_bundle(exported.path).predict(broken)


def test_pixels_of_another_kind_are_refused(exported):
    with pytest.raises(DataError, match="uint8 of shape"):
        open_bundle(exported.path).predict(np.zeros((4, 4), np.uint8))


def test_a_bundle_carries_its_baseline_card_and_licence(exported):
    folder = open_bundle(exported.path).folder
    baseline, origin = folder.read_baseline(), exported.bundle.origin
    assert len(baseline.train) == origin.train
    assert len(baseline.validation) == origin.validation
    assert baseline.train.features.shape[1] == exported.bundle.features
    assert np.isfinite(baseline.train.measures).all()
    card = folder.card.read_text()
    assert all(label in card for label in exported.bundle.reading.labels)
    assert f"{exported.parity.images:,} images of the validation part" in card
    assert origin.licence in folder.licence.read_text()


def test_no_path_of_this_machine_is_in_the_model(exported, tmp_path):
    data = (Path(exported.path) / "model.onnx").read_bytes()
    assert str(Path(affinage.__file__).parent).encode() not in data
    assert str(Path(exported.path).parent).encode() not in data
    assert b"site-packages" not in data


def test_what_is_there_is_not_overwritten(run, exported):
    with pytest.raises(RunError, match="there already"):
        affinage.export(run.path, into=exported.path)


def test_python_m_affinage_bundle_prints_lines_of_json(exported, pictures):
    done = subprocess.run(
        [sys.executable, "-m", "affinage.bundle", exported.path, str(pictures[0]), "missing.jpg"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 2
    assert '"label": null' in done.stdout.splitlines()[1]


def test_its_cost_is_measured(exported):
    speed = affinage.bench_bundle(exported.path, images=20, threads=1)
    many = affinage.bench_bundle(exported.path, images=20, threads=100_000)
    assert max(one.threads for one in many.latencies) == many.cores
    (latency,) = speed.latencies
    assert 0 < latency.median_ms <= latency.p95_ms <= latency.p99_ms
    assert speed.size_mb == pytest.approx((Path(exported.path) / "model.onnx").stat().st_size / 1e6)
    assert speed.peak_mb is None or speed.peak_mb > speed.size_mb
