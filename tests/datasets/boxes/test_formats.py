from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affinage.datasets.boxes.formats import kind_named, read_annotations
from affinage.errors import DataError, RecipeError
from affinage.workflows.counts import counts

from .written import WRITERS, write_coco, write_corners, write_image, write_voc, write_yolo

SIZE = (640, 480)
NAMES = ("a.jpg", "b.png", "c 1.jpg")

across, down = st.integers(-20, 660), st.integers(-20, 500)
rows = st.lists(
    st.tuples(
        st.sampled_from(["car", "traffic cone", "a<b>&"]), across, down, across, down
    ).map(lambda row: (row[0], *map(float, row[1:]))),
    max_size=5,
)  # fmt: skip
boxes = st.fixed_dictionaries(dict.fromkeys(NAMES, rows)).filter(lambda found: any(found.values()))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    for name in NAMES:
        write_image(folder / "images" / name, *SIZE)
    return folder


def table_of(source: Path, root: Path, **rules) -> pl.DataFrame:
    counts(source, into=root / "counts.csv", images=root / "images", **rules)
    return pl.read_csv(root / "counts.csv")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(boxes, st.sampled_from([None, (320, 240), (100, 200)]), st.integers(0, 30))
def test_every_format_gives_the_same_counts(root, boxes, size, min_box):
    tables = {
        name: table_of(write(root, boxes, SIZE), root, size=size, min_box=min_box)
        for name, write in WRITERS.items()
    }
    (first, *others) = tables.values()
    assert first.height == len(NAMES)
    for table in others:
        assert table.drop("split", strict=False).equals(first.drop("split", strict=False))


ONE = {"a.jpg": [("car", 10.0, 10.0, 60.0, 70.0)], "b.png": [], "c 1.jpg": []}


@pytest.mark.parametrize(
    ("write", "kind"),
    [(write_coco, "coco"), (write_voc, "voc"), (write_yolo, "yolo"), (write_corners, "table")],
)
def test_formats_are_recognised_by_their_content(tmp_path, write, kind):
    for name in NAMES:
        write_image(tmp_path / "images" / name, *SIZE)
    source = write(tmp_path, ONE, SIZE)
    for given_ in (source, tmp_path):
        found = read_annotations(given_)
        assert found.kind == kind
        assert sum(len(image.boxes) for image in found.images) == 1


def test_annotations_of_several_formats_are_not_guessed_at(tmp_path):
    write_image(tmp_path / "images/a.jpg")
    write_voc(tmp_path, {"a.jpg": ONE["a.jpg"]}, (64, 48))
    write_coco(tmp_path, ONE, SIZE)
    with pytest.raises(DataError, match="several formats: voc, coco") as caught:
        read_annotations(tmp_path)
    assert "--format voc" in caught.value.remedy
    assert read_annotations(tmp_path, kind="coco").kind == "coco"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.bin", "\0\1"),
        ("a.json", '{"shapes": []}'),
        ("a.json", "[1, 2]"),
        ("a.json", ""),
        ("a.xml", "<kml/>"),
        ("a.csv", "path,label\na.jpg,x\n"),
        ("a.csv", ""),
        ("a.yaml", "names: 3"),
        ("empty/readme.md", "nothing"),
    ],
)
def test_what_is_no_annotation_is_refused_with_what_is(tmp_path, name, text):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_annotations(file if file.parent == tmp_path else file.parent)
    assert caught.value.remedy


def test_a_format_that_is_none_is_refused():
    with pytest.raises(RecipeError, match="'kitti'"):
        kind_named("kitti")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_annotations(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["a.json", "a.xml", "a.csv", "a.yaml", "labels/a.txt"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=120))
def test_no_bytes_bring_a_reader_down(tmp_path, name, data):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    starts = {
        ".json": b'{"images": [{"id": 1, "file_name": "a"}], "categories": [], "annotations": [',
        ".xml": b"<annotation><object><name>",
        ".csv": b"path,label,x,y,w,h\n",
        ".yaml": b"names: ",
        ".txt": b"0 .5 .5 ",
    }
    if file.suffix == ".txt":
        (tmp_path / "classes.txt").write_text("car\n")
        write_image(tmp_path / "images/a.jpg")
    for start in (b"", starts[file.suffix]):
        file.write_bytes(start + data)
        try:
            read_annotations(tmp_path if file.suffix == ".txt" else file)
        except DataError:
            continue
