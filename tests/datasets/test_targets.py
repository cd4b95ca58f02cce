"""Targets: labels, sets of labels and counts, from the columns of tables."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from affinage.datasets.sources import scan
from affinage.datasets.split import make_split
from affinage.datasets.targets import for_task, read_targets, strata
from affinage.errors import DataError
from affinage.records.settings.split import SplitSettings
from affinage.records.task import CLASSIFY, COUNT, MULTILABEL


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def table(folder, *lines, counts=()):
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return scan([folder / "t.csv"], classes_needed=1, counts=counts).manifest


def by_path(manifest, targets):
    paths = dict(manifest.kept.select("image", "path").iter_rows())
    rows = zip(targets.images, targets.values.tolist(), strict=True)
    return {paths[image]: value for image, value in rows}


def test_counts_are_read_by_their_columns(folder):
    manifest = table(folder, "path,count:cell,count:dot", "0.png,3,0", "1.png,0,12.0")
    targets = read_targets(for_task(manifest, COUNT), COUNT)
    assert targets.names == ("cell", "dot")
    assert targets.values.dtype == np.float32
    assert by_path(manifest, targets) == {"0.png": [3, 0], "1.png": [0, 12]}


def test_columns_that_are_named_hold_counts_too(folder):
    manifest = table(folder, "image,split,RBC,note", "0.png,train,3,x", counts=("rbc",))
    targets = read_targets(for_task(manifest, COUNT), COUNT)
    assert (targets.names, targets.values.tolist()) == (("RBC",), [[3]])
    assert manifest.table["note"].to_list() == ["x"]


def test_a_named_column_that_is_not_there_is_refused_with_the_nearest(folder):
    with pytest.raises(DataError, match="no column 'RCB'") as caught:
        table(folder, "path,RBC", "0.png,3", counts=("RCB",))
    assert "such as RBC" in caught.value.remedy


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "without a count of a"),
        ("-1", "'-1' is not a count of a"),
        ("nan", "'nan' is not"),
        ("many", "'many' is not a count of a"),
        ("inf", "'inf' is not"),
    ],
)
def test_what_is_no_count_is_left_out_with_its_reason(folder, cell, reason):
    manifest = for_task(table(folder, "path,count:a", f"0.png,{cell}", "1.png,2"), COUNT)
    left = manifest.table.filter(pl.col("status") == "excluded")
    assert left["path"].to_list() == ["0.png"]
    assert reason in left["reason"][0]
    assert read_targets(manifest, COUNT).values.tolist() == [[2]]


def test_rows_that_contradict_each_other_are_left_out(folder):
    lines = ("path,count:a", "0.png,1", "0.png,2", "1.png,2", "1.png,2")
    manifest = for_task(table(folder, *lines), COUNT)
    assert set(manifest.kept["path"]) == {"1.png"}
    assert "different answers" in str(manifest.table["reason"].to_list())


@pytest.mark.parametrize("between", [";", "|", " ; "])
def test_sets_of_labels_are_listed_in_a_cell(folder, between):
    manifest = table(folder, "path,labels", f"0.png,tree{between}dog", "1.png,", "2.png,dog")
    targets = read_targets(for_task(manifest, MULTILABEL), MULTILABEL)
    assert targets.names == ("dog", "tree")
    assert by_path(manifest, targets) == {"0.png": [1, 1], "1.png": [0, 0], "2.png": [1, 0]}


def test_sets_of_labels_are_columns_of_switches(folder):
    manifest = for_task(
        table(folder, "path,label:b,label:a", "0.png,1,no", "1.png,TRUE,1", "2.png,?,0"), MULTILABEL
    )
    targets = read_targets(manifest, MULTILABEL)
    assert targets.names == ("b", "a")
    assert by_path(manifest, targets) == {"0.png": [1, 0], "1.png": [1, 1]}
    assert "'?' is neither 0 nor 1 for b" in manifest.table["reason"].to_list()


def test_counts_become_presence(folder):
    manifest = table(folder, "path,count:a,count:b", "0.png,3,0", "1.png,0,1")
    targets = read_targets(for_task(manifest, MULTILABEL), MULTILABEL)
    assert by_path(manifest, targets) == {"0.png": [1, 0], "1.png": [0, 1]}


def test_one_label_each_is_a_set_of_labels_too(folder):
    manifest = table(folder, "path,label", "0.png,a", "1.png,b")
    targets = read_targets(for_task(manifest, MULTILABEL), MULTILABEL)
    assert by_path(manifest, targets) == {"0.png": [1, 0], "1.png": [0, 1]}


def test_labels_are_indices(folder):
    manifest = table(folder, "path,label", "0.png,b", "1.png,a")
    targets = read_targets(for_task(manifest, CLASSIFY), CLASSIFY)
    assert by_path(manifest, targets) == {"0.png": 1, "1.png": 0}


@pytest.mark.parametrize(
    ("header", "task", "flag"),
    [("count:a", CLASSIFY, "--task count"), ("labels", CLASSIFY, "--task multilabel")],
)
def test_a_task_that_the_table_cannot_serve_is_refused_with_the_one_it_can(
    folder, header, task, flag
):
    with pytest.raises(DataError) as caught:
        for_task(table(folder, f"path,{header}", "0.png,1"), task)
    assert flag in caught.value.remedy


def test_counting_what_has_labels_only_is_refused(folder):
    with pytest.raises(DataError, match="labels, but no counts"):
        for_task(table(folder, "path,label", "0.png,a", "1.png,b"), COUNT)


def test_a_stratum_of_counts_depends_on_its_own_image_only(folder):
    lines = ["0.png,0,0", "1.png,1,0", "2.png,1,2", "3.png,9,6"]
    manifest = table(folder, "path,count:a,count:b", *lines)
    told = dict(zip(manifest.table["path"], strata(manifest), strict=True))
    assert told["0.png"] == "0 objects"
    assert told["1.png"] == "1 object"
    assert told["2.png"] == "2 to 3 objects"
    assert told["3.png"] == "8 to 15 objects"


def test_the_real_counts_are_read_and_parted(shared_data):
    manifest = scan(
        [shared_data / "bccd_count" / "counts.csv"], counts=("RBC", "WBC", "Platelets")
    ).manifest
    manifest = for_task(manifest, COUNT)
    targets = read_targets(manifest, COUNT)
    assert targets.names == ("RBC", "WBC", "Platelets")
    assert len(targets.images) == 364
    split, _ = make_split(manifest, SplitSettings())
    assert split.test
    assert split.train | split.validation | split.test == set(targets.images)
    assert float(targets.values[:, 0].mean()) == pytest.approx(11.4, abs=0.6)


def test_a_stratum_of_counts_is_no_class_that_lacks_images(folder):
    manifest = for_task(
        table(folder, "path,count:a", "0.png,0", "1.png,1", "2.png,2", "3.png,9"), COUNT
    )
    _, findings = make_split(manifest, SplitSettings())
    assert not {finding.code for finding in findings} & {"tiny-class", "class-lacks-part"}
