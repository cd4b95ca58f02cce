import pytest

from affinage.datasets.collect import shelf
from affinage.datasets.collect.shelf import FolderShelf, image_path

PATH, DATA = image_path("ab" * 32, "JPEG"), b"bytes"


@pytest.fixture
def place(tmp_path):
    made = FolderShelf(tmp_path)
    made.begin(lambda image: False)
    return made


def test_bytes_that_arrive_again_while_they_get_their_name_are_one_file(
    place, tmp_path, monkeypatch
):
    times = [place.take(PATH, DATA)]
    monkeypatch.setattr(shelf, "_sync", lambda *_: times.append(place.take(PATH, DATA)))
    place.settle({PATH})
    place.settle({PATH})
    times.append(place.take(PATH, DATA))
    assert set(times) == {(tmp_path / PATH).stat().st_mtime_ns}


def test_a_file_of_another_size_at_its_name_is_replaced(place, tmp_path):
    (tmp_path / PATH).parent.mkdir(parents=True)
    (tmp_path / PATH).write_bytes(DATA[:2])
    modified = place.take(PATH, DATA)
    place.settle({PATH})
    assert (tmp_path / PATH).read_bytes() == DATA
    assert modified == (tmp_path / PATH).stat().st_mtime_ns
