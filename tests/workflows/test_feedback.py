import csv
import dataclasses
import shutil

import onnx
import pytest

import affinage
from affinage.errors import DataError, RunError
from affinage.imaging.hashing import content_id
from affinage.records.bundle import Baseline
from affinage.store.bundle import write_bundle
from affinage.store.dataset_folder import DatasetFolder
from affinage.store.prediction_log import PredictionLog
from colour_bundle import model, part, record
from real_digits import write_digits


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on three digits of 15 real images each, and a bundle that says it comes from it."""
    place = tmp_path_factory.mktemp("feedback")
    source = write_digits(place / "digits", classes=3, per_class=15)
    settings = ["model.backbone=three_conv", "stages=[finetune]", "finetune.epochs=1"]
    run = affinage.train(source, data=place / "data", output=place / "run-1", settings=settings)

    def fill(folder):
        onnx.save(model(), folder.path / "model.onnx")
        made = record()
        origin = dataclasses.replace(made.origin, run="run-1")
        return dataclasses.replace(made, origin=origin), Baseline(
            train=part([0]), validation=part([1])
        )

    write_bundle(place / "bundle", fill)
    return place, run


@pytest.fixture
def field(trained, tmp_path):
    """Fresh copies of run and data; images of the digits that the run has not seen."""
    place, _ = trained
    more = write_digits(tmp_path / "more", classes=3, per_class=40)
    known = {content_id(path.read_bytes()) for path in (place / "digits").rglob("*.png")}
    new = [
        path for path in sorted(more.rglob("*.png")) if content_id(path.read_bytes()) not in known
    ]
    backup = tmp_path / "backup"
    shutil.copytree(place / "data", backup)
    yield new
    shutil.rmtree(place / "data")
    shutil.copytree(backup, place / "data")


def write(path, rows, columns=("image", "label", "said", "at")):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def add(trained, table, **given):
    place, run = trained
    return affinage.feedback_add(place / "bundle", table, run=run.path, **given)


def rows_of(paths):
    return [(content_id(path.read_bytes()), path.parent.name, "2", "2026-01-01") for path in paths]


def test_corrected_images_become_rows_with_their_provenance_and_the_others_stay(
    trained, field, tmp_path
):
    dataset = DatasetFolder(trained[0] / "data")
    before = dataset.load_manifest().table
    table = write(tmp_path / "c.csv", rows_of(field[:6]))
    result = add(trained, table, images=tmp_path / "more")
    assert (result.added, result.rows, result.not_found) == (6, 6, 0)
    after = dataset.load_manifest().table
    assert (
        after.filter(after["key"].is_in(before["key"].to_list()))
        .select(before.columns)
        .equals(before)
    )
    new = after.filter(~after["key"].is_in(before["key"].to_list()))
    assert sorted(new["image"].to_list()) == sorted(content_id(p.read_bytes()) for p in field[:6])
    assert set(new["said"].to_list()) == {"2"}
    assert new["status"].unique().to_list() == ["kept"]


def test_adding_again_changes_nothing_and_a_later_correction_wins(trained, field, tmp_path):
    table = write(tmp_path / "c.csv", rows_of(field[:3]))
    add(trained, table, images=tmp_path / "more")
    again = add(trained, table, images=tmp_path / "more")
    assert (again.added, again.rows) == (0, 3)
    first = rows_of(field[:1])[0]
    other = next(name for name in ("0", "1") if name != first[1])
    write(table, [first, (first[0], other, "2", "2026-01-02")])
    assert add(trained, table, images=tmp_path / "more").labels[other] >= 1


def test_images_come_from_a_log_or_from_beside_the_table(trained, field, tmp_path):
    log = PredictionLog(tmp_path / "log")
    data = field[0].read_bytes()
    log.keep_picture(content_id(data), data)
    table = write(tmp_path / "c.csv", rows_of(field[:1]))
    assert add(trained, table, log=log.path).added == 1
    shutil.copy(field[1], tmp_path / "near.png")
    table = write(tmp_path / "d.csv", [("near.png", "1")], ("path", "label"))
    assert add(trained, table).added == 1


def test_a_path_outside_the_tables_folder_is_not_read(trained, field, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    shutil.copy(field[1], tmp_path / "outside.png")
    table = write(inner / "d.csv", [("../outside.png", "1")], ("path", "label"))
    with pytest.raises(DataError, match="The corrected image was not found"):
        add(trained, table)


def test_what_is_there_already_stays_as_it_is(trained, field, tmp_path):
    known = sorted((trained[0] / "digits").rglob("*.png"))[:2]
    rows = [(content_id(path.read_bytes()), "2", "", "") for path in known]
    table = write(tmp_path / "c.csv", [*rows, *rows_of(field[:1])])
    result = add(trained, table, images=trained[0] / "digits")
    assert (result.there_already, result.not_found) == (2, 1)
    told = " ".join(result.messages)
    assert "under another label, left as it is; to change it: affinage relabel" in told
    assert "1 image not found" in told


def test_what_is_there_already_under_the_same_label_leaves_nothing_to_do(trained, field, tmp_path):
    known = min((trained[0] / "digits").rglob("*.png"))
    row = (content_id(known.read_bytes()), known.parent.name, "", "")
    table = write(tmp_path / "c.csv", [row, *rows_of(field[:1])])
    result = add(trained, table, images=trained[0] / "digits")
    assert "1 image there already under this label: nothing to do." in result.messages


def test_rows_that_contradict_each_other_are_told_and_the_last_counts(trained, field, tmp_path):
    [row] = rows_of(field[:1])
    other = next(name for name in ("0", "1") if name != row[1])
    table = write(tmp_path / "c.csv", [row, (row[0], other, "2", "")])
    result = add(trained, table, images=tmp_path / "more")
    assert result.messages == ("1 image with rows that differ: the last one counts.",)
    assert result.labels[other] >= 1


def test_a_table_of_a_spreadsheet_is_taken_and_folders_that_are_not_there_are_named(
    trained, field, tmp_path
):
    [row] = rows_of(field[:1])
    table = tmp_path / "c.csv"
    table.write_text(f"Image;Label\n{row[0]};{row[1]}\n", encoding="utf-8-sig")
    with pytest.raises(DataError, match="There is no folder"):
        add(trained, table, log=tmp_path / "nowhere")
    assert add(trained, table, images=tmp_path / "more").added == 1


def test_mistakes_are_told_and_change_nothing(trained, field, tmp_path):
    place, run = trained
    state = (place / "data" / "manifest.parquet").read_bytes()
    odd = write(tmp_path / "c.csv", [(rows_of(field[:1])[0][0], "seven", "", "")])
    with pytest.raises(DataError, match="no class 'seven'"):
        add(trained, odd, images=tmp_path / "more")
    with pytest.raises(DataError, match="needs the columns label"):
        add(trained, write(tmp_path / "d.csv", [], ("a", "b")))
    with pytest.raises(RunError, match="comes from the run 'run-1'"):
        affinage.feedback_add(place / "bundle", odd, run=place / "data")
    with pytest.raises(DataError, match="Nothing has been added"):
        affinage.feedback_compare(place / "bundle", run=run.path)
    assert (place / "data" / "manifest.parquet").read_bytes() == state


def test_a_model_that_learnt_it_is_compared_and_nobody_changes_parts(trained, field, tmp_path):
    place, run = trained
    dataset = DatasetFolder(place / "data")
    before, looks = dataset.load_split("default"), len(dataset.looks())
    table = write(tmp_path / "c.csv", rows_of(field[:30]))
    add(trained, table, images=tmp_path / "more")
    result = affinage.feedback_compare(place / "bundle", run=run.path, output=tmp_path / "run-2")
    after = dataset.load_split("default")
    for name in ("train", "validation", "test"):
        assert getattr(before, name) <= getattr(after, name)
    assert result.untouched.n == len(before.test)
    assert result.new.n == len((after.test | after.validation) - before.test - before.validation)
    assert result.new.n > 0
    assert result.proposal in ("better", "not better than noise", "worse")
    assert (tmp_path / "run-2" / "proposal.json").exists()
    assert len(dataset.looks()) > looks
