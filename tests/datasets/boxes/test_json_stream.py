import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affinage.datasets.boxes.json_stream import JsonStream, json_list
from affinage.errors import DataError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
on_disk = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_disk
@given(
    st.dictionaries(st.text(max_size=4), values, max_size=5), st.integers(1, 9), st.sampled_from([None, 1])
)  # fmt: skip
def test_members_are_those_of_the_whole_document(tmp_path, document, chunk, indent):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    with JsonStream(file, chunk=chunk) as stream:
        found = {}
        for key in stream.keys():  # noqa: SIM118
            found[key] = list(stream.items()) if stream.peek() == "[" else stream.value()
        stream.finish()
    assert found == document


def test_numbers_are_not_cut_where_reading_stopped(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("[12345, -6.5e10]")
    with JsonStream(file, chunk=2) as stream:
        assert list(stream.items()) == [12345, -6.5e10]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1,\n "b": [1,\n 2 3]}', 3),
        ('{"a": [1,\n\n 2', 3),
        ('{"a"\n 1}', 2),
        ('{"a": 1}\n\n}', 3),
        ('{"a": 1\n "b"}', 2),
        ("{\n7: 1}", 2),
        ('{"a": \nwrong}', 2),
        ("", 1),
    ],
)
def test_a_broken_document_is_refused_with_its_line(tmp_path, text, line, chunk):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(DataError, match=f"line {line}: "):
        _whole(file, chunk)


def _whole(file, chunk):
    with JsonStream(file, chunk=chunk) as stream:
        for _ in stream.keys():  # noqa: SIM118
            list(stream.items())
        stream.finish()


@pytest.mark.parametrize("data", [b"[" * 100_000, b"[" + b"9" * 5000 + b"]", b"\xff\xfe{\x00"])
def test_hostile_documents_are_refused(tmp_path, data):
    file = tmp_path / "a.json"
    file.write_bytes(data)
    with pytest.raises(DataError):
        _first_value(file)


def _first_value(file):
    with JsonStream(file) as stream:
        return stream.value()


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", '["a"]'])
def test_a_list_of_objects_is_asked_for(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(DataError, match="is not a list"):
        list(json_list(file))
