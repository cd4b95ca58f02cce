import pytest

from affinage.errors import AffinageError, RunError
from affinage.store.files import append_line, read_json, read_lines, write_atomically, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, 1)

    def fail(aside):
        aside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert read_json(path) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.json"]


def test_a_full_disk_is_said_in_words(tmp_path):
    def full(aside):
        raise OSError(28, "No space left on device")

    with pytest.raises(AffinageError, match="disk is full") as told:
        write_atomically(tmp_path / "x", full)
    assert "--resume RUN" in told.value.remedy  # The same command may name a run that has begun.


def test_lines_after_a_cut_one_are_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    append_line(path, {"a": 1})
    with path.open("ab") as file:
        file.write(b'{"cut": ')
    append_line(path, {"b": 2})
    assert read_lines(path) == [{"a": 1}, {"b": 2}]


def test_json_that_is_not_there_or_broken_is_said_in_words(tmp_path):
    with pytest.raises(RunError, match="missing"):
        read_json(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        read_json(tmp_path / "broken.json")


def test_a_full_disk_in_the_words_of_another_library_is_said_in_ours(tmp_path):
    def full(aside):
        raise RuntimeError("IoError: No space left on device (os error 28)")

    with pytest.raises(AffinageError, match="disk is full"):
        write_atomically(tmp_path / "x", full)
