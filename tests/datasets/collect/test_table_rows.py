import polars as pl
import pytest

from affinage.datasets.collect.table_rows import open_table
from affinage.errors import DataError

TEXT = 'Url,LABEL,note,domain\r\nhttp://a.example/1,x,"q, r",d\r\nhttp://b.example/é,ü,,\r\n'


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_separator_and_encoding_is_read(tmp_path, mark, encoding):
    file = tmp_path / "t.txt"
    text = TEXT.replace('"q, r"', "q r").replace(",", mark)
    file.write_bytes(text.encode(encoding))
    table = open_table(file)
    assert table.columns == ("note", "domain_given")
    assert list(table.rows) == [
        ("http://a.example/1", "x", ["q r", "d"], None),
        ("http://b.example/é", "ü", [None, None], None),
    ]


def test_parquet_is_read_piece_by_piece_as_text(tmp_path, monkeypatch):
    monkeypatch.setattr("affinage.datasets.collect.table_rows._ROWS", 7)
    table = pl.DataFrame({"label": range(20), "url": [f"http://a.example/{n}" for n in range(20)]})
    table.write_parquet(tmp_path / "t.parquet")
    rows = list(open_table(tmp_path / "t.parquet").rows)
    assert rows == [(f"http://a.example/{n}", f"{n}", [], None) for n in range(20)]


def test_names_of_columns_are_unique_and_not_the_manifests_own(tmp_path):
    (tmp_path / "t.csv").write_text("url,label,Path,path,,image,x,x\nu,l,1,2,3,4,5,6\n")
    table = open_table(tmp_path / "t.csv")
    assert table.columns == ("Path_given", "path_given", "column_5", "image_given", "x", "x_given")
    assert next(iter(table.rows))[2] == ["1", "2", "3", "4", "5", "6"]


def test_rows_that_are_too_long_say_so_and_short_ones_are_filled(tmp_path):
    (tmp_path / "t.csv").write_text("url,label,x\nu,l,1,2\nu\n\nu,l,1,,\n")
    rows = list(open_table(tmp_path / "t.csv").rows)
    assert rows[0][3] == "its row of the table has 4 fields, the header 3"
    assert rows[1] == ("u", "", [None], None)
    assert rows[2][3] is None


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("t.csv", b"adress,label\n", "0 columns 'url'"),
        ("t.csv", b"url,URL,label\n", "2 columns 'url'"),
        ("t.csv", b"", "0 columns 'url'"),
        ("t.parquet", b"PAR1 not really", "cannot be read as Parquet"),
        ("t.xlsx", b"PK", "is no table"),
        ("t.csv", b'url,label\n"' + b"x" * 200_000, "at line"),
        ("t.csv", b'url,label\nhttp://a/1,"x\nhttp://a/2,y\nhttp://a/3,z\n', "mark at line 2"),
        (
            "t.csv",
            b'label,url,n\n"x,http://a/1,\ny,http://a/2,\n"z",http://a/3,\n',
            "mark at line 2",
        ),
    ],
)
def test_what_is_no_table_of_addresses_is_refused(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=why):
        list(open_table(tmp_path / name).rows)
    with pytest.raises(DataError, match="There is no table"):
        open_table(tmp_path / "none.csv")


def test_a_field_may_go_over_several_lines(tmp_path):
    text = 'url,label,note\nhttp://a/1,"x\ny","see\nhttp://b, there"\nhttp://a/2,z,\n'
    (tmp_path / "t.csv").write_text(text)
    rows = list(open_table(tmp_path / "t.csv").rows)
    assert [row[1] for row in rows] == ["x\ny", "z"]


def test_of_two_columns_of_one_name_one_is_to_stay(tmp_path):
    (tmp_path / "t.csv").write_text("url,URL,label\n")
    with pytest.raises(DataError) as raised:
        open_table(tmp_path / "t.csv")
    assert raised.value.remedy == "Keep one 'url', and give the others other names."
