from dataclasses import replace
from itertools import groupby

import pytest

from affinage.errors import DataError
from affinage.imaging.decode import decode
from affinage.records.bench import Bench, Rates, remedies_of
from affinage.workflows import bench as measured
from affinage.workflows.bench import STEPS, bench
from affinage.workflows.reporter import Silent

RATES = Rates(read=0.001, decode=0.002, augment=0.001, compute=0.010)


def test_on_a_processor_the_stages_share_it():
    assert RATES.seconds == pytest.approx(0.013)
    assert RATES.bottleneck == "compute"


def test_with_an_accelerator_the_slowest_counts():
    fast = replace(RATES, compute=0.0005, overlapped=True)
    assert fast.seconds == pytest.approx(0.003)
    assert fast.bottleneck == "decode"


def test_a_slow_disk_is_the_bottleneck():
    slow = replace(RATES, read=0.1)
    assert slow.seconds == pytest.approx(0.1)
    assert slow.bottleneck == "read"


def test_remedies_are_ordered_by_gain_and_small_ones_left_out():
    cures = {
        "small": replace(RATES, augment=0.0009),
        "cache": replace(RATES, read=0, decode=0),
        "bf16": replace(RATES, compute=0.005),
    }
    found = remedies_of(RATES, cures)
    assert [remedy.what for remedy in found] == ["bf16", "cache"]
    assert found[1].times == pytest.approx(13 / 11)
    assert found[1].images_per_second == pytest.approx(1 / 0.011)


def test_the_users_own_images_are_measured_and_nothing_is_written(digits, elsewhere):
    before = sorted((path, path.stat().st_mtime_ns) for path in digits.rglob("*"))
    found = bench(
        digits, settings=["model.width=64", "model.height=64"], images=16, reporter=Silent()
    )
    assert found.images == 16
    assert min(found.rates.read, found.rates.decode, found.rates.augment, found.rates.compute) > 0
    assert found.predicted == pytest.approx(1 / found.rates.seconds)
    assert 0 < found.slowest <= found.measured <= found.fastest
    assert found.steps == STEPS - 1
    assert found.bottleneck in ("read", "decode", "augment", "compute")
    assert sorted((path, path.stat().st_mtime_ns) for path in digits.rglob("*")) == before
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("predicted", "agrees"), [(10.0, True), (14.9, True), (5.0, False), (16.0, False)]
)
def test_parts_that_do_not_add_up_to_the_whole_are_told(predicted, agrees):
    found = Bench(
        images=9, threads=1, backbone="b", device="cpu", from_disk=True, megabytes=1.0, rates=RATES,
        predicted=predicted, measured=10.0, slowest=9.0, fastest=11.0, steps=5, bottleneck="decode",
        remedies=(),
    )  # fmt: skip
    assert found.agrees == agrees


def test_too_few_images_are_refused(tmp_path, digits):
    for number, path in enumerate(sorted(digits.glob("0/*.png"))[:3]):
        (tmp_path / f"{number}.png").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"Of 3 images of .*, 3 can be read; 8 are needed"):
        bench(tmp_path, reporter=Silent())
    with pytest.raises(DataError, match="does not exist"):
        bench(tmp_path / "none", reporter=Silent())
    with pytest.raises(DataError, match="say nothing of a speed"):
        bench(digits, images=2, reporter=Silent())
    with pytest.raises(DataError, match="say nothing of a speed"):
        bench(digits, images=-3, reporter=Silent())


def test_a_table_of_images_is_measured(tmp_path, digits):
    paths = sorted(digits.glob("*/*.png"))[::4]
    for number, path in enumerate(paths):
        (tmp_path / f"{number}.png").write_bytes(path.read_bytes())
    rows = "".join(f"{number}.png,{path.parent.name}\n" for number, path in enumerate(paths))
    table = tmp_path / "digits.csv"
    table.write_text(f"path,label\n{rows}none.png,0\n")
    found = bench(table, settings=["model.width=64", "model.height=64"], reporter=Silent())
    assert found.images == len(paths)
    table.write_text("path,label\nnone.png,0\n")
    with pytest.raises(DataError, match=r"No row of .* leads to an image \(no such file"):
        bench(table, reporter=Silent())


@pytest.mark.parametrize(("reduce", "sides"), [("true", [128]), ("false", [None, 128])])
def test_images_are_decoded_as_a_training_decodes_them(monkeypatch, digits, reduce, sides):
    seen = []

    def noted(data, *, side):
        seen.append(side)
        return decode(data, side=side)

    monkeypatch.setattr(measured, "decode", noted)
    settings = ["model.width=64", "model.height=64", f"compute.reduce={reduce}"]
    bench(digits, settings=settings, images=8, reporter=Silent())
    assert seen.count(sides[0]) >= 8
    assert [side for side, _ in groupby(seen)] == sides  # In passes, one way after the other.
