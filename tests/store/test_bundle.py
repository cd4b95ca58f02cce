import dataclasses
import json

import numpy as np
import pytest

from affinage.errors import RunError
from affinage.records.bundle import (
    MEASURES,
    Baseline,
    BaselinePart,
    Bundle,
    Origin,
    Parity,
    Reading,
    Stage,
)
from affinage.records.estimate import Estimate
from affinage.records.preprocessing import Preprocessing
from affinage.store.bundle import BundleFolder, write_bundle

BUNDLE = Bundle(
    model_format="onnx",
    precision="fp32",
    model_file="model.onnx",
    any_size=True,
    preprocessing=Preprocessing(),
    features=4,
    reading=Reading(task="classify", labels=("a", "ü 'b'"), kind="probability", threshold=0.25),
    origin=Origin(
        run="r", created="2026-01-01T00:00:00Z", affinage="0", data="d", backbone="b", weights="w",
        licence="l", parameters=1, train=2, validation=1, test=0,
        scores={"validation": {"accuracy": Estimate(value=1.0, low=0.2, high=1.0, n=1)}},
    ),
    parity=Parity(
        images=1,
        changed_top1=0,
        max_abs_difference={"view": 1.0},
        stages=(Stage(name="view", max_abs_difference=1, mean_abs_difference=0, allowed=None),),
        against="PyTorch",
    ),
)  # fmt: skip


def part(n):
    return BaselinePart(
        images=tuple(f"{i:064x}" for i in range(n)),
        measures=np.ones((n, len(MEASURES)), np.float32),
        features=np.ones((n, 4), np.float16),
        outputs=np.ones((n, 2), np.float32) / 2,
        targets=np.zeros(n, np.int64),
    )


@pytest.fixture
def written(tmp_path):
    def fill(folder):
        (folder.path / "model.onnx").write_bytes(b"weights")
        return BUNDLE, Baseline(train=part(2), validation=part(1))

    write_bundle(tmp_path / "b", fill)
    return BundleFolder(tmp_path / "b")


def test_what_is_written_is_read_again(written):
    assert written.read() == dataclasses.replace(BUNDLE)
    baseline = written.read_baseline()
    assert (len(baseline.train), len(baseline.validation)) == (2, 1)
    assert baseline.train.images == part(2).images
    assert baseline.train.features.dtype == np.float16
    assert np.array_equal(baseline.validation.outputs, part(1).outputs)


def test_a_changed_byte_is_seen_and_named(written):
    (written.path / "model.onnx").write_bytes(b"Weights")
    with pytest.raises(RunError, match=r"model\.onnx is not as it was written"):
        written.read()
    assert written.read(verify=False) == BUNDLE


def test_a_missing_file_is_named(written):
    written.baseline.unlink()
    with pytest.raises(RunError, match="is missing"):
        written.read()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda v: v["reading"].update(labels="ab"), "bundle.reading.labels"),
        (lambda v: v["reading"].update(kind="guess"), "bundle.reading.kind"),
        (lambda v: v["parity"].update(images="1"), "bundle.parity.images"),
        (lambda v: v.pop("precision"), "precision missing"),
        (lambda v: v.update(more=1), "at 'bundle'"),
    ],
)
def test_a_record_changed_by_hand_is_refused_with_the_place(written, change, place):
    value = json.loads(written.record.read_text())
    change(value)
    written.record.write_text(json.dumps(value))
    with pytest.raises(RunError, match=place):
        written.read(verify=False)


def test_another_format_is_refused(written):
    value = {**json.loads(written.record.read_text()), "format": 99}
    written.record.write_text(json.dumps(value))
    with pytest.raises(RunError, match="format 99"):
        written.read(verify=False)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a bundle"):
        BundleFolder(tmp_path).read()


def test_nothing_is_left_where_filling_fails(tmp_path):
    def fail(folder):
        (folder.path / "model.onnx").write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_bundle(tmp_path / "b", fail)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_overwritten(written):
    with pytest.raises(RunError, match="there already"):
        write_bundle(written.path, lambda _: (BUNDLE, Baseline(train=part(1), validation=part(1))))
    assert written.read() == BUNDLE


def test_checksums_cannot_point_outside_the_folder(written):
    written.sums.write_text(f"{'0' * 64}  ../secret\n{'0' * 64}  bundle.json\n")
    with pytest.raises(RunError, match="does not list"):
        written.read()
