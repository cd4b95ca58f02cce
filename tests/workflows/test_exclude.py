import json

import polars as pl
import pytest

from affinage.errors import DataError
from affinage.records.decision import ClassChange
from affinage.records.finding import Finding
from affinage.workflows.exclude import exclude
from affinage.workflows.include import decisions
from sourced_digits import data_set, opened


@pytest.fixture
def data(tmp_path):
    return data_set(tmp_path)


def test_a_rule_tells_what_each_class_loses_and_is_logged(data):
    result = exclude(data.path, where="domain=museum.example", reason=" not  digits\n")
    assert result.made
    assert (result.images, result.kept) == (15, 45)
    assert result.classes == tuple(ClassChange(label=name, before=20, after=15) for name in "012")
    [line] = (data.path / "decisions.jsonl").read_text().splitlines()
    logged = json.loads(line)
    assert logged["format"] == 1
    assert logged["where"] == ["Domain=museum.example"]
    assert logged["reason"] == "not digits"
    assert len(logged["images"]) == 15
    assert logged["at"].endswith("+00:00")
    rows = opened(data.path).manifest.table.filter(status="excluded")
    assert rows["reason"].unique().to_list() == ["excluded: not digits"]


def test_a_dry_run_changes_nothing(data):
    before = sorted(path.name for path in data.path.iterdir())
    result = exclude(data.path, where="domain=*museum.example", dry_run=True)
    assert not result.made
    assert result.images == 30
    assert sorted(path.name for path in data.path.iterdir()) == before


def test_the_users_folder_is_only_read(data, tmp_path):
    folder = tmp_path / "digits"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    exclude(data.path, where="label=0")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_decision_made_twice_is_logged_once(data):
    exclude(data.path, where="label=0")
    again = exclude(data.path, where="label=0")
    assert not again.made
    assert "Nothing changes" in again.messages[0]
    assert len(decisions(data.path)) == 1


def test_classes_left_too_small_are_named(data):
    result = exclude(data.path, where=["label=0", "label=1", "domain!=museum.example"])
    assert result.messages == (
        "'0' is left with 5 images: too few to judge (10 or more are wanted).",
        "'1' is left with 5 images: too few to judge (10 or more are wanted).",
    )
    result = exclude(data.path, where=["label=0", "label=1"], dry_run=True)
    assert "'0' is left without any image." in result.messages
    assert "1 class left: nothing can be trained on that." in result.messages


def test_images_and_findings_are_left_out(data):
    table = opened(data.path).manifest.kept
    path, image = table.row(0, named=True)["path"], table.row(1, named=True)["image"]
    assert exclude(data.path, images=[path, image[:16]]).images == 2
    told = Finding(code="blank", severity="warning", subject="s", ids=tuple(table["image"][5:9]))
    data.save_findings([told])
    result = exclude(data.path, finding="blank")
    assert result.images == 4
    assert result.decision.finding == "blank"
    reasons = opened(data.path).manifest.table.filter(status="excluded")["reason"]
    assert set(reasons) == {"excluded: chosen one by one", "excluded: finding blank"}


def test_the_source_finds_its_data_set(data, tmp_path, elsewhere):
    from affinage.workflows.opened import open_data
    from affinage.workflows.reporter import Silent

    source = tmp_path / "digits"
    (source / "labels.csv").unlink()
    open_data([source], None, reporter=Silent(), threads=1, beside=elsewhere)
    assert exclude(source, where="label=0").data == "digits"


def test_no_data_set_is_told(tmp_path):
    with pytest.raises(DataError, match=r"no manifest\.parquet"):
        exclude(tmp_path / "none", where="label=0")


def test_a_manifest_that_another_program_wrote_is_told_as_that(data):
    file = data.path / "manifest.parquet"
    pl.read_parquet(file).write_parquet(file)
    with pytest.raises(DataError, match="lacks the metadata"):
        exclude(data.path, where="label=0")


def test_a_finding_of_no_audit_is_told(data):
    with pytest.raises(DataError, match="found no 'blank'") as caught:
        exclude(data.path, finding="blank")
    assert "affinage audit" in caught.value.remedy


def test_a_finding_that_the_audit_did_not_make_is_told_with_those_that_it_made(data):
    data.save_findings([Finding(code="blurred-images", severity="note", subject="s")])
    with pytest.raises(DataError, match="it found blurred-images") as raised:
        exclude(data.path, finding="off-topic")
    assert raised.value.remedy.startswith("Name one of these")
