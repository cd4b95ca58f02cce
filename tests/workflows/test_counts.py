"""Counts from boxes: on blood cells, where they are there, and on small sets made for a case."""

import csv
import json
import shlex
from collections import Counter, defaultdict

import cv2
import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from affinage.cli.counts import counts as command
from affinage.datasets.sources import scan
from affinage.errors import AffinageError, DataError, RecipeError
from affinage.imaging.hashing import content_id
from affinage.records.plain import from_plain, to_plain
from affinage.workflows.counts import counts

CELLS = ("Platelets", "RBC", "WBC")


@pytest.fixture(scope="module")
def cells(samples, tmp_path_factory):
    """A folder with the blood cells' boxes and images."""
    root = tmp_path_factory.mktemp("cells")
    (root / "images").mkdir()
    for image in (samples / "bccd_count/images").iterdir():
        (root / "images" / image.name).write_bytes(image.read_bytes())
    (root / "boxes.csv").write_bytes((samples / "bccd_count/boxes.csv").read_bytes())
    return root


@pytest.fixture(scope="module")
def plain_boxes(samples):
    """Label and edges of each box of each blood image, read in the plainest way."""
    found = defaultdict(list)
    with (samples / "bccd_count/boxes.csv").open() as file:
        for row in csv.DictReader(file):
            edges = [int(row[edge]) for edge in ("xmin", "ymin", "xmax", "ymax")]
            found[row["image"]].append((row["label"], *edges))
    return found


def photos(root, *names, width=64, height=48):
    for number, name in enumerate(names):
        pixels = np.full((height, width, 3), 40 + number, np.uint8)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), pixels)


def boxes_csv(root, *rows, header="path,label,x1,y1,x2,y2"):
    (root / "boxes.csv").write_text("\n".join([header, *rows]) + "\n")
    return root / "boxes.csv"


def found(result):
    return {finding.code: finding for finding in result.findings}


# Real cells.


@pytest.mark.parametrize(
    ("size", "min_box"), [(None, 0), (None, 60), ((320, 240), 15), ((100, 300), 20)]
)
def test_counts_of_real_cells_are_right_to_the_last(cells, plain_boxes, size, min_box):
    counts(cells / "boxes.csv", into=cells / "t.csv", size=size, min_box=min_box)
    width, height = size or (640, 480)
    with (cells / "t.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert rows.keys() == plain_boxes.keys()
    for path, boxes in plain_boxes.items():
        expected = Counter(
            label
            for label, x1, y1, x2, y2 in boxes
            if min((x2 - x1) * width / 640, (y2 - y1) * height / 480) >= max(min_box, 1e-9)
        )
        assert {name: int(rows[path][f"count:{name}"]) for name in CELLS} == {
            name: expected[name] for name in CELLS
        }


def test_known_faults_of_real_cells_are_found(cells, samples):
    with (samples / "bccd_count/known_issues.csv").open() as file:
        known = defaultdict(set)
        for row in csv.DictReader(file):
            known[row["kind"]].add(row["path"])
    result = counts(cells / "boxes.csv", into=cells / "t.csv")
    told = found(result)
    assert set(told["empty-boxes"].images) == known["empty box"]
    assert set(told["boxes-missing"].images) == known["missing labels"]
    assert told["boxes-missing"].hit_rate.value > 0.99
    assert len(told["duplicate-boxes"].images) == 7  # Copies that are off by 2 px.
    assert set(told) == {"empty-boxes", "boxes-missing", "duplicate-boxes"}
    first = told["boxes-missing"]
    assert first.ids[0] == content_id((cells / first.images[0]).read_bytes())


def test_images_of_a_finding_are_left_out_where_asked(cells):
    whole = counts(cells / "boxes.csv", into=cells / "t.csv")
    less = counts(
        cells / "boxes.csv",
        into=cells / "t.csv",
        leave_out=["boxes-missing", "empty-boxes"],
        duplicates="once",
    )
    assert (whole.images, less.images, less.left_out) == (364, 347, 17)
    assert not {"boxes-missing", "empty-boxes"} & set(found(less))
    out = {*found(whole)["boxes-missing"].images, *found(whole)["empty-boxes"].images}
    assert not out & set(pl.read_csv(cells / "t.csv")["path"])
    red = less.classes[1]
    assert red.zero_share == 0
    assert red.dropped == {"duplicate": 7}
    with pytest.raises(RecipeError, match="'crowd-regions'"):
        counts(cells / "boxes.csv", into=cells / "t.csv", leave_out=["crowd-regions"])


# The table.


def test_the_table_can_be_read_as_a_source(tmp_path):
    photos(tmp_path, "images/a 1.png", "images/b,é.png")
    boxes_csv(tmp_path, "images/a 1.png,car,1,1,9,9", '"images/b,é.png","dog, big",1,1,9,9')
    for name in ("counts.csv", "counts.parquet"):
        counts(tmp_path / "boxes.csv", into=tmp_path / name)
        read = pl.read_csv if name.endswith("csv") else pl.read_parquet
        table = read(tmp_path / name)
        assert table.columns == ["path", "width", "height", "boxes", "count:car", "count:dog, big"]
        assert table.row(0) == ("images/a 1.png", 64, 48, '[["car",1.0,1.0,9.0,9.0]]', 1, 0)
        labelled = table.with_columns(label=pl.Series(["x", "y"]))
        labelled.write_csv(tmp_path / "labelled.csv")
        manifest = scan([tmp_path / "labelled.csv"]).manifest
        assert manifest.kept.height == 2
        assert sorted(manifest.kept["count:dog, big"]) == ["0", "1"]


def test_splits_scenes_and_asked_classes_are_columns(tmp_path):
    photos(tmp_path, "a.png", "b.png")
    boxes_csv(
        tmp_path,
        "a.png,car,1,1,9,9,train",
        "a.png,dog,1,1,9,9,train",
        "b.png,cat,1,1,9,9,val",
        header="path,label,x1,y1,x2,y2,split",
    )
    result = counts(tmp_path / "boxes.csv", into=tmp_path / "t.csv", classes=["dog", "car"])
    table = pl.read_csv(tmp_path / "t.csv")
    assert table.columns == [
        "path", "width", "height", "split", "boxes", "count:dog", "count:car",
    ]  # fmt: skip
    assert table["split"].to_list() == ["train", "validation"]
    assert result.splits == {"train": 1, "validation": 1}
    assert result.boxes == 2
    with pytest.raises(RecipeError, match="No class is called 'dgo'") as caught:
        counts(tmp_path / "boxes.csv", into=tmp_path / "t.csv", classes=["dgo"])
    assert "'dog'" in caught.value.remedy


@pytest.mark.parametrize(("asked", "meant"), [("wbc", "'WBC'"), ("platelet", "'Platelets'")])
def test_a_class_is_suggested_whatever_its_case(cells, asked, meant):
    with pytest.raises(RecipeError) as caught:
        counts(cells / "boxes.csv", into=cells / "t.csv", classes=[asked])
    assert meant in caught.value.remedy


def test_nothing_is_suggested_for_a_class_like_no_other(cells):
    with pytest.raises(RecipeError) as caught:
        counts(cells / "boxes.csv", into=cells / "t.csv", classes=["zebra"])
    assert "Did you mean" not in caught.value.remedy


def test_what_a_finding_suggests_can_be_run_as_it_stands(cells):
    table = cells / "my table.csv"
    told = found(counts(cells / "boxes.csv", into=table, size=(400, 300), classes=["WBC", "RBC"]))
    remedy = told["boxes-missing"].remedy
    words = shlex.split(remedy[remedy.index("affinage counts") :])
    app = typer.Typer()
    app.command()(command)
    ran = CliRunner().invoke(app, [*words[2:], "--json"])
    assert ran.exit_code == 0, ran.output
    again = json.loads(ran.stdout)
    assert "boxes-missing" not in {finding["code"] for finding in again["findings"]}
    assert [one["name"] for one in again["classes"]] == ["WBC", "RBC"]
    assert again["size"] == [400, 300]


@pytest.mark.parametrize("finding", ["duplicate-boxes", "boxes-missing"])
def test_no_suggestion_leaves_a_gap_to_fill_in(cells, finding):
    told = found(counts(cells / "boxes.csv", into=cells / "t.csv"))
    assert "ANNOTATIONS" not in told[finding].remedy
    assert "TABLE" not in told[finding].remedy


def test_nothing_but_counts_is_ever_replaced(tmp_path):
    photos(tmp_path, "a.png")
    source = boxes_csv(tmp_path, "a.png,car,1,1,9,9")
    (tmp_path / "mine.csv").write_text("path,label\na.png,x\n")
    for target in (source, tmp_path / "mine.csv", tmp_path / "a.txt", tmp_path):
        before = target.read_bytes() if target.is_file() else b""
        with pytest.raises(DataError):
            counts(source, into=target)
        assert (target.read_bytes() if target.is_file() else b"") == before
    counts(source, into=tmp_path / "t.csv")
    counts(source, into=tmp_path / "t.csv")


def test_annotations_without_images_ask_for_them(tmp_path):
    source = boxes_csv(tmp_path, "a.png,car,1,1,9,9,64,48", header=HEADER_WITH_SIZE)
    with pytest.raises(DataError, match="None of the 1 annotated images") as caught:
        counts(source, into=tmp_path / "t.csv")
    assert "--images FOLDER" in caught.value.remedy
    result = counts(source, into=tmp_path / "t.csv", missing="keep")
    assert (result.images, result.counted) == (1, 1)


HEADER_WITH_SIZE = "path,label,x1,y1,x2,y2,image_width,image_height"


# Findings.


def test_each_fault_is_found_once_and_the_rest_still_counted(tmp_path):
    photos(tmp_path, *(f"{name}.png" for name in "abcdefgh"))
    source = boxes_csv(
        tmp_path,
        "a.png,car,1,1,40,40,0,0,,", "a.png,car,1,1,40,40.5,0,0,,", "a.png,Car,20,1,40,9,0,0,,",
        "b.png,car,5,5,5,9,0,0,,", "b.png,car,1,1,nan,9,0,0,,", "b.png,car,1,1,1.5,9,0,0,,",
        "c.png,car,60,40,90,80,0,0,,", "c.png,car,40,30,70,46,0,0,,",
        "d.png,dog,0,0,60,40,1,0,,", "d.png,dog,0,0,9,9,0,1,,",
        "e.png,,,,,,,,,",
        "f.png,dog,1,1,6,30,0,0,,", "f.png,dog,1,1,9,30,0,0,640,200",
        "gone.png,car,1,1,9,9,0,0,,", "../a.png,car,1,1,9,9,0,0,,", "bad.png,car,1,1,9,9,0,0,,",
        "g.png,car,1,1,9,9,0,0,640,200", "h.png,car,1,1,90,90,0,0,640,480",
        header="path,label,x1,y1,x2,y2,crowd,difficult,image_width,image_height",
    )  # fmt: skip
    (tmp_path / "bad.png").write_bytes(b"no image")
    photos(tmp_path, "unmentioned.png")
    result = counts(source, into=tmp_path / "t.csv", min_box=6)
    told = found(result)
    assert {code: finding.images for code, finding in told.items()} == {
        "missing-images": ("gone.png",),
        "path-leaves-folder": ("../a.png",),
        "unreadable-images": ("bad.png",),
        "size-disagrees": ("g.png",),
        "frame-scaled": ("h.png",),
        "duplicate-boxes": ("a.png",),
        "label-variants": ("a.png",),
        "empty-boxes": ("b.png",),
        "boxes-not-numbers": ("b.png",),
        "thin-boxes": ("b.png",),
        "boxes-outside": ("c.png",),
        "boxes-clipped": ("c.png",),
        "crowd-regions": ("d.png",),
        "difficult-boxes": ("d.png",),
        "images-without-boxes": ("e.png",),
        "images-not-annotated": ("unmentioned.png",),
        "small-boxes": (),
    }
    assert len(told) == len(result.findings)
    assert all(finding.remedy for finding in result.findings if finding.severity == "warning")
    table = pl.read_csv(tmp_path / "t.csv")
    assert dict(table.select("path", "count:car").iter_rows()) == {
        "a.png": 3, "b.png": 0, "c.png": 1, "d.png": 0, "e.png": 0, "f.png": 0, "h.png": 1,
    }  # fmt: skip
    assert dict(table.select("path", "count:dog").iter_rows())["d.png"] == 1
    assert result.left_out == 4


def test_what_a_smallest_box_costs_is_said_per_class(tmp_path):
    photos(tmp_path, "a.png", width=1600, height=900)
    rows = [f"a.png,cone,{x},10,{x + side},90" for x, side in ((0, 30), (90, 30), (200, 60))]
    boxes_csv(tmp_path, *rows, "a.png,child,500,10,520,40", "a.png,car,600,10,900,300")
    result = counts(tmp_path / "boxes.csv", into=tmp_path / "t.csv", size=(400, 225), min_box=10)
    told = found(result)
    assert told["small-boxes"].subject == (
        "A smallest box of 10 px at 400 × 225 drops 3 boxes of 5: 100 % of child, 67 % of cone."
    )
    assert "'child'" in told["class-vanishes"].evidence[0]
    by_name = {one.name: one for one in result.classes}
    assert by_name["cone"].dropped == {"small": 2}
    assert (by_name["car"].counted, by_name["child"].counted) == (1, 0)


def test_healthy_annotations_bring_no_finding(tmp_path):
    names = [f"{n}.png" for n in range(40)]
    photos(tmp_path, *names)
    random = np.random.default_rng(1)
    rows = [
        f"{name},{label},{x},{y},{x + 12},{y + 9}"
        for name in names
        for label, mean in (("car", 4), ("dog", 1))
        for x, y in random.integers(0, (50, 38), (1 + random.poisson(mean), 2))
    ]
    result = counts(boxes_csv(tmp_path, *dict.fromkeys(rows)), into=tmp_path / "t.csv")
    assert result.findings == ()
    assert result.counted == result.boxes == len(dict.fromkeys(rows))


# The command.

app = typer.Typer()
app.command()(command)


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_the_command_prints_a_table_and_its_json_is_the_record(tmp_path):
    photos(tmp_path, "a.png")
    source = boxes_csv(tmp_path, "a.png,car,1,1,40,40", "a.png,[b]dog[/b],1,1,9,9")
    words = (source, "--into", tmp_path / "t.csv", "--size", "32x24", "--min-box", "8")
    shown = run(*words)
    assert shown.exit_code == 0
    assert "1 of 2 boxes counted in 1 images" in shown.stdout
    assert "[b]dog[/b]" in shown.stdout
    printed = json.loads(run(*words, "--json").stdout)
    assert (printed.pop("format"), printed.pop("command")) == (1, "counts")
    result = counts(source, into=tmp_path / "t.csv", size=(32, 24), min_box=8)
    assert printed == to_plain(result)
    assert from_plain(type(result), printed) == result


def test_the_caller_can_ask_to_fail_on_findings(tmp_path):
    photos(tmp_path, "a.png")
    source = boxes_csv(tmp_path, "a.png,car,1,1,40,40", "gone.png,car,1,1,9,9")
    words = (source, "--into", tmp_path / "t.csv")
    assert run(*words).exit_code == 0
    assert run(*words, "--fail-on", "warning").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--size", "400"),
        ("--size", "0x0"),
        ("--min-box", "-1"),
        ("--min-box", "nan"),
        ("--format", "kitti"),
        ("--images", "nowhere"),
        ("--leave-out", "nothing"),
        ("--classes", "unknown"),
    ],
)
def test_a_mistake_is_said_in_words(tmp_path, words):
    photos(tmp_path, "a.png")
    source = boxes_csv(tmp_path, "a.png,car,1,1,40,40")
    done = run(source, "--into", tmp_path / "t.csv", *words)
    assert isinstance(done.exception, AffinageError)
    assert done.exception.remedy
    assert not (tmp_path / "t.csv").exists()
