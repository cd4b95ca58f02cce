from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affinage.datasets.sources import scan
from affinage.datasets.tables import table_places
from affinage.errors import DataError

from .conftest import Draw


@pytest.fixture
def root(draw: Draw) -> Path:
    return draw("a/1.png", "a/2.png", "b/é 3.png", under="data")


def rows(root: Path, text: str | bytes, name: str = "labels.csv") -> list[tuple[object, ...]]:
    data = text.encode() if isinstance(text, str) else text
    (root / name).write_bytes(data)
    return [(p.path, p.label, p.part, p.status) for p in table_places(root / name)]


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_separator_and_encoding_is_read(root, mark, encoding):
    text = "Path,LABEL,Split\r\na/1.png,x,Train\r\nb/é 3.png,ü,valid\r\n".replace(",", mark)
    assert rows(root, text.encode(encoding), "t.txt") == [
        ("a/1.png", "x", "train", None),
        ("b/é 3.png", "ü", "validation", None),
    ]


def test_parquet_is_read_as_text(root):
    table = pl.DataFrame({"path": ["a/1.png", "a/2.png"], "label": [0, None], "dose": [1.5, None]})
    table.write_parquet(root / "t.parquet")
    places = table_places(root / "t.parquet")
    assert [(p.label, p.status, p.columns["dose"]) for p in places] == [
        ("0", None, "1.5"),
        (None, "excluded", None),
    ]


def test_further_columns_are_kept_beside_the_manifests_own(root):
    (root / "t.csv").write_text(
        "path,label,width,slide,,slide\na/1.png,x,12,S1,q,S2\na/2.png,y,9,,,\n"
    )
    table = scan([root / "t.csv"]).manifest.table.sort("path")
    assert table["width_given"].to_list() == ["12", "9"]
    assert table["width"].to_list() == [12, 12]
    assert table.select("slide", "column_5", "slide_given").row(0) == ("S1", "q", "S2")
    assert table["slide"].to_list() == ["S1", None]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd.png", "an absolute path"),
        ("C:\\photos\\1.png", "an absolute path"),
        ("\\\\server\\1.png", "an absolute path"),
        ("../secret.png", "leaves the table's folder"),
        ("a/../../secret.png", "leaves the table's folder"),
        ("..\\secret.png", "leaves the table's folder"),
        ("way/out.png", "a link that leaves the folder"),
        ("https://example.org/1.png", "an address"),
        ("a/missing.png", "no such file"),
        ("a/nul\0.png", "null byte"),
    ],
)
def test_paths_that_lead_elsewhere_fail_with_a_reason(root, path, why):
    (root.parent / "secret.png").write_bytes((root / "a/1.png").read_bytes())
    (root.parent / "other").mkdir()
    (root.parent / "other/out.png").write_bytes((root / "a/1.png").read_bytes())
    (root / "way").symlink_to(root.parent / "other")
    (root / "t.csv").write_text(f"path,label\n{path},x\na/1.png,x\na/2.png,y\n")
    table = scan([root / "t.csv"]).manifest.table
    failed = table.filter(pl.col("status") == "failed")
    assert failed.height == 1
    assert why in failed["reason"][0]
    assert "etc" not in failed["path"][0]
    assert "photos" not in failed["path"][0]


@pytest.mark.parametrize("path", ["a\\1.png", " a/1.png ", "./a/1.png", "b/../a/1.png", "a//1.png"])
def test_other_spellings_of_a_path_are_found(root, path):
    assert rows(root, f"path,label\n{path},x\n") == [("a/1.png", "x", None, None)]


def test_accents_are_found_in_either_unicode_form(root):
    assert rows(root, "path,label\nb/e\u0301 3.png,x\n")[0][0] == "b/é 3.png"


def test_rows_that_lack_something_are_left_out_with_a_reason(root):
    (root / "t.csv").write_text(
        "path,label,split\na/1.png,x,\na/2.png,y\n,x,train\nb/é 3.png, ,train\na/1.png,x,later\n"
        "\n\na/2.png,y,test,more\na,y,test\n"
    )
    table = scan([root / "t.csv"]).manifest.table
    assert table.filter(pl.col("status") == "kept").height == 2
    assert sorted(table.filter(pl.col("status") != "kept")["reason"]) == [
        "a folder or device, not a file",
        "its row of the table has 4 fields, the header 3",
        "split 'later' is not train, validation or test",
        "without a label in the table",
        "without a path in the table",
    ]


def test_a_path_listed_twice_is_one_image_or_a_conflict(root):
    text = "path,label\na/1.png,x\na/1.png,x\na/2.png,x\na/2.png,y\nb/é 3.png,y\n"
    (root / "t.csv").write_text(text)
    first = scan([root / "t.csv"]).manifest
    assert first.kept["path"].sort().to_list() == ["a/1.png", "a/1.png", "b/é 3.png"]
    header, *lines = text.splitlines()
    (root / "t.csv").write_text("\n".join([header, *reversed(lines)]))
    assert scan([root / "t.csv"]).manifest.table.equals(first.table)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("photo,labels\na,b\n", "has no column 'path'", "path,label"),
        ("url,label\na,b\n", "has no column 'path'", "affinage collect "),
        ("path,lable\na,b\n", "has no column 'label'", "Rename 'lable' to 'label'"),
        ("path,Path,label\na,b,c\n", "2 columns 'path'", ""),
        ("", "has no column 'path'", "Begin it with"),
        ("a/1.png,x\n", "has no column 'path'", "Begin it with"),
    ],
)
def test_a_table_without_its_columns_is_refused(root, text, problem, remedy):
    (root / "t.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        table_places(root / "t.csv")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_broken_parquet_is_refused(root):
    (root / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        table_places(root / "t.parquet")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_no_bytes_bring_a_table_down(tmp_path, data):
    for start in (b"", b"path,label\n", b"path\tlabel\tsplit\n"):
        (tmp_path / "t.csv").write_bytes(start + data)
        try:
            places = table_places(tmp_path / "t.csv")
        except DataError:
            continue
        assert all(place.status for place in places if place.path != ".")
