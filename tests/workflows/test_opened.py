import os
import shutil
from pathlib import Path

import pytest

from affinage.errors import DataError
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.exclude import exclude
from affinage.workflows.opened import data_folder, is_data_folder
from affinage.workflows.relabel import relabel
from real_digits import write_digits
from sourced_digits import opened, write_sourced_digits


@pytest.fixture
def source(tmp_path):
    return write_digits(tmp_path / "digits", classes=3, per_class=12)


def ids(found):
    return set(found.manifest.kept["image"].to_list())


def test_a_data_sets_folder_is_a_source_like_the_images_that_it_was_made_of(source, tmp_path):
    scanned = opened(source, tmp_path / "data")
    again = opened(tmp_path / "data")
    assert is_data_folder(tmp_path / "data")
    assert not is_data_folder(source)
    assert again.manifest.table.equals(scanned.manifest.table)
    assert again.manifest.label_order == scanned.manifest.label_order
    assert again.dataset.path == scanned.dataset.path
    assert again.findings == ()


def test_decisions_survive_a_new_scan_and_files_that_move(source, tmp_path):
    data = tmp_path / "data"
    first = opened(source, data)
    hidden, renamed = sorted(source.glob("0/*.png"))[:2]
    exclude(data, images=[f"0/{hidden.name}"], reason="smudged")
    relabel(data, images=[f"0/{renamed.name}"], label="1")
    struck = ids(first) - ids(opened(data))
    assert len(struck) == 1
    hidden.rename(source / "2" / "other name.png")
    renamed.rename(source / "2" / "third name.png")
    rescanned = opened(source, data)
    assert ids(first) - ids(rescanned) == struck
    rows = rescanned.manifest.table.filter(rescanned.manifest.table["path"] == "2/third name.png")
    assert rows["label"].to_list() == ["1"]
    assert rows["raw_label"].to_list() == ["2"]
    [finding] = rescanned.findings
    assert finding.code == "left-out-by-decision"
    assert finding.evidence == ("1 × smudged",)


def test_a_rule_strikes_what_is_collected_later(tmp_path):
    data, folder = tmp_path / "data", tmp_path / "digits"
    opened(write_sourced_digits(folder, per_class=8), data)
    exclude(data, where="domain=garden.example")
    grown = opened(write_sourced_digits(folder, per_class=20), data)
    assert set(grown.manifest.kept["Domain"].unique()) == {
        "museum.example", "www.museum.example", "field.example",
    }  # fmt: skip


def test_a_file_that_changed_is_read_again(source, tmp_path):
    data = tmp_path / "data"
    before = opened(source, data)
    one, other = sorted(source.glob("0/*.png"))[0], sorted(source.glob("1/*.png"))[0]
    shutil.copy(other, one)
    os.utime(one, ns=(1, 1))
    after = opened(data)
    [finding] = after.findings
    assert (finding.code, finding.images) == ("changed-files", (f"0/{one.name}",))
    lost = before.manifest.table.filter(before.manifest.table["path"] == f"1/{other.name}")
    assert lost["image"][0] not in ids(after)  # The same bytes under 0 and 1 now.
    assert len(ids(before) - ids(after)) == 2
    assert opened(data).findings == ()


def test_a_damaged_file_fails_and_a_mended_one_comes_back(source, tmp_path):
    data = tmp_path / "data"
    before = opened(source, data)
    file = sorted(source.glob("0/*.png"))[0]
    whole = file.read_bytes()
    file.write_bytes(b"<html>not found</html>")
    row = opened(data).manifest.table.filter(before.manifest.table["path"] == f"0/{file.name}")
    assert row["status"].to_list() == ["failed"]
    assert "HTML" in row["reason"][0]
    file.write_bytes(whole)
    os.utime(file, ns=(5, 5))
    assert ids(opened(data)) == ids(before)


def test_a_file_that_is_gone_fails_until_it_is_back(source, tmp_path):
    data = tmp_path / "data"
    before = opened(source, data)
    file = sorted(source.glob("0/*.png"))[0]
    file.rename(tmp_path / "away.png")
    without = opened(data)
    assert len(ids(before) - ids(without)) == 1
    assert without.manifest.table.filter(without.manifest.table["status"] == "failed")[
        "reason"
    ].to_list() == ["the file is gone"]
    (tmp_path / "away.png").rename(file)
    assert ids(opened(data)) == ids(before)


def test_a_source_that_is_gone_altogether_is_told(source, tmp_path):
    opened(source, tmp_path / "data")
    emptied = source.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="no longer in") as caught:
        opened(tmp_path / "data")
    assert "--data" in caught.value.remedy
    source.mkdir()
    with pytest.raises(DataError, match="None of the 36 files"):
        opened(tmp_path / "data")
    assert len(ids(opened(emptied, tmp_path / "data"))) == 36


def test_a_folder_that_holds_its_own_images_can_be_moved(tmp_path):
    data = tmp_path / "collected"
    table = write_sourced_digits(data, per_class=8)
    found = opened(table, tmp_path / "aside").manifest
    DatasetFolder(data).save_manifest(found)
    exclude(data, where="domain=garden.example")
    before = opened(data)
    moved = data.rename(tmp_path / "archive")
    after = opened(moved)
    assert ids(after) == ids(before)
    assert Path(after.manifest.sources["labels.csv"]) == moved.resolve()


def test_a_remote_source_is_refused_with_what_to_do(source, tmp_path):
    found = opened(source, tmp_path / "data")
    table = found.manifest.table
    remote = type(found.manifest)(
        table=table, sources={"digits": "s3://bucket/digits"}, label_order=("0", "1", "2")
    )
    found.dataset.save_manifest(remote)
    with pytest.raises(DataError, match="not on this machine") as caught:
        opened(tmp_path / "data")
    assert "Copy" in caught.value.remedy


def test_decisions_that_leave_one_class_are_refused_with_the_way_back(source, tmp_path):
    opened(source, tmp_path / "data")
    exclude(tmp_path / "data", where=["label=0", "label=1"])
    with pytest.raises(DataError, match="'2' of 3") as caught:
        opened(tmp_path / "data")
    assert "affinage include" in caught.value.remedy


def test_a_data_sets_folder_joins_no_other_source(source, tmp_path):
    data = opened(source, tmp_path / "data").dataset.path
    with pytest.raises(DataError, match="cannot be joined"):
        data_folder([data, source], None, beside=tmp_path)
    with pytest.raises(DataError, match="already"):
        data_folder([data], tmp_path / "other", beside=tmp_path)
    assert data_folder([data], data, beside=tmp_path).path == data


def test_a_manifest_of_another_program_makes_no_data_set(source):
    (source / "manifest.parquet").write_bytes(b"PAR1 or so")
    assert not is_data_folder(source)


def test_images_with_copies_that_no_decision_strikes_are_not_counted_as_left_out(source, tmp_path):
    first, second = sorted((source / "0").iterdir())[:2]
    shutil.copy(first, source / "0" / "copy.png")
    opened(source, tmp_path / "data")
    exclude(tmp_path / "data", where="path=0/copy.png", reason="twice")
    assert opened(tmp_path / "data").findings == ()
    exclude(tmp_path / "data", images=[f"0/{second.name}"], reason="smudged")
    [finding] = opened(tmp_path / "data").findings
    assert finding.subject.startswith("1 image is left out")
    assert finding.evidence == ("1 × smudged",)
