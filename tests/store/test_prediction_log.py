import csv
import json

import numpy as np
import pytest

from affinage.errors import AffinageError, RunError
from affinage.records.bundle import MEASURES
from affinage.records.served import Served
from affinage.store.prediction_log import FILES, PredictionLog, _append


def served(number=0, *, name="a.jpg", length=8):
    random = np.random.default_rng(number)
    return Served(
        at=f"2026-01-01T00:00:{number % 60:02d}.000+00:00",
        image=f"{number:064x}",
        name=name,
        bundle="b",
        label="cat",
        outputs=random.random(3).astype(np.float32),
        measures=random.random(len(MEASURES)).astype(np.float32),
        features=random.random(length).astype(np.float16),
        notes=("EXIF rotation applied",),
    )


def test_what_is_logged_is_read_again(tmp_path):
    log = PredictionLog(tmp_path / "log")
    log.append([served(1), served(2, name='ü "x"\n')])
    found = list(PredictionLog(tmp_path / "log").read())
    assert [one.image for one in found] == [f"{1:064x}", f"{2:064x}"]
    assert found[1].name == 'ü "x"\n'
    assert np.array_equal(found[0].features, served(1).features)
    assert np.array_equal(found[0].outputs, served(1).outputs)
    assert np.array_equal(found[0].measures, served(1).measures)


def test_a_line_that_a_crash_cut_is_passed_over_and_the_next_is_whole(tmp_path):
    log = PredictionLog(tmp_path)
    log.append([served(1)])
    file = log.files()[0]
    file.write_bytes(file.read_bytes() + b'{"format": 1, "at": "20')
    PredictionLog(tmp_path).append([served(2)])
    assert [one.image for one in log.read()] == [f"{1:064x}", f"{2:064x}"]


def test_the_log_stays_within_its_bound_and_keeps_the_newest(tmp_path):
    log = PredictionLog(tmp_path, megabytes=1)
    for start in range(0, 600, 4):
        log.append([served(number, length=1280) for number in range(start, start + 4)])
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size <= 1_000_000
    assert 2 <= len(log.files()) <= FILES
    assert [one.image for one in log.read()][-1] == f"{599:064x}"


def test_a_log_that_is_opened_again_goes_on_where_it_was(tmp_path):
    for number in range(5):
        PredictionLog(tmp_path, megabytes=1).append([served(number)])
    assert len(list(PredictionLog(tmp_path).read())) == 5


def test_pictures_are_bounded_and_found_by_id_only(tmp_path):
    log = PredictionLog(tmp_path, megabytes=1)
    for number in range(8):
        log.keep_picture(f"{number:064x}", bytes(300_000))
    assert len(list((tmp_path / "pictures").iterdir())) == 3
    assert log.picture(f"{7:064x}") is not None
    assert log.picture(f"{0:064x}") is None
    assert log.picture("../" * 20 + "etcpasswd0") is None


def test_corrections_are_a_table_that_can_be_read(tmp_path):
    log = PredictionLog(tmp_path)
    log.correct("a" * 64, "x,y.jpg", "cat", 'a "dog"', "2026-01-01T00:00:00+00:00")
    log.correct("b" * 64, "", "", "bird", "2026-01-01T00:00:01+00:00")
    with log.corrections.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ['a "dog"', "bird"]
    assert rows[0]["name"] == "x,y.jpg"


def test_a_folder_without_a_log_says_so(tmp_path):
    with pytest.raises(RunError, match="holds no log"):
        list(PredictionLog(tmp_path).read())


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(AffinageError, match="could not be written"):
        PredictionLog(tmp_path / "file" / "log").append([served()])


def test_a_file_that_someone_deleted_is_begun_anew(tmp_path):
    log = PredictionLog(tmp_path)
    log.append([served(1)])
    log.files()[0].unlink()
    log.append([served(2)])
    assert [one.image for one in log.read()] == [f"{2:064x}"]


def test_corrections_are_bounded_and_none_is_thrown_away(tmp_path):
    log = PredictionLog(tmp_path, megabytes=1)
    log.correct("a" * 64, "x.jpg", "cat", "dog", "2026-01-01")
    with log.corrections.open("ab") as handle:
        handle.write(b"x" * 1_000_000)
    with pytest.raises(AffinageError, match="bound of 1 MB"):
        log.correct("b" * 64, "x.jpg", "cat", "dog", "2026-01-01")
    assert log.corrections.read_text().splitlines()[1].startswith("a" * 64)


class Full:
    """A file on a disk that takes so many bytes and no more."""

    def __init__(self, path, room):
        self._file, self._room = path.open("a+b", buffering=0), room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        return self._file.write(data[: self._room])


def test_a_line_that_finds_no_room_leaves_nothing_behind(tmp_path):
    file = tmp_path / "lines"
    file.write_bytes(b"whole\n")
    full = Full(file, room=3)
    with pytest.raises(OSError, match="No space left"):
        _append(full, b"a line\n")
    full.close()
    assert file.read_bytes() == b"whole\n"


def test_a_table_that_a_full_disk_left_empty_gets_its_header(tmp_path):
    log = PredictionLog(tmp_path)
    log.corrections.touch()
    log.correct("a" * 64, "x.jpg", "cat", "dog", "2026-01-01")
    with log.corrections.open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["dog"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outputs", [0.1, float("nan"), 0.2]),
        ("outputs", [1e999, 0.1, 0.2]),
        ("outputs", "0.5"),
        ("measures", ["x"]),
        ("features", "!!!"),
        ("features", "AA=="),
        ("image", 3),
        ("format", 99),
        ("notes", None),
    ],
)
def test_a_damaged_line_is_left_out_and_counted(tmp_path, name, value):
    log = PredictionLog(tmp_path)
    log.append([served(1)])
    file = log.files()[0]
    line = json.loads(file.read_text())
    file.write_text(json.dumps(line | {name: value}) + "\n")
    log.append([served(2)])
    assert [one.image for one in log.read()] == [f"{2:064x}"]
    assert log.damaged == 1
