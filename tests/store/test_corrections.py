import pytest

from affinage.errors import DataError
from affinage.store.corrections import read_corrections

ROW = {"image": "ab", "label": "cat"}


@pytest.mark.parametrize(
    "text",
    [
        "image,label\nab,cat\n",
        "\ufeffimage,label\r\nab,cat\r\n",
        "image;label\nab;cat\n",
        "label\timage\ncat\tab",
        '"Image"; "Label"\n"ab"; "cat"\n\n',
        "IMAGE , Label\n ab , cat \n",
    ],
)
def test_what_spreadsheets_write_is_read_alike(tmp_path, text):
    table = tmp_path / "c.csv"
    table.write_text(text, encoding="utf-8", newline="")
    assert read_corrections(table) == [ROW]


def test_short_rows_are_filled_and_long_ones_cut(tmp_path):
    table = tmp_path / "c.csv"
    table.write_text("image,label\nab\ncd,dog,more,fields\n")
    assert read_corrections(table) == [
        {"image": "ab", "label": ""},
        {"image": "cd", "label": "dog"},
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it has none"),
        (b"picture,what\nab,cat\n", "it has 'picture', 'what'"),
        (b"path,label\na.jpg,cat\n", "label, and image; it has 'path', 'label'"),
        (b"image,label\nab,G\xe4nse\n", "not UTF-8"),
    ],
)
def test_what_is_no_such_table_is_told_with_what_it_has(tmp_path, data, words):
    table = tmp_path / "c.csv"
    table.write_bytes(data)
    with pytest.raises(DataError, match=words):
        read_corrections(table, by=("image",))


def test_a_table_that_is_not_there_is_told_in_words(tmp_path):
    with pytest.raises(DataError, match="cannot be opened: No such file or directory"):
        read_corrections(tmp_path / "c.csv")
