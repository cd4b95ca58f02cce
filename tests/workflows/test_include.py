import pytest

from affinage.errors import DataError
from affinage.workflows.exclude import exclude
from affinage.workflows.include import decisions, include
from affinage.workflows.relabel import relabel
from sourced_digits import data_set, opened


@pytest.fixture
def data(tmp_path):
    return data_set(tmp_path).path


def kept(data):
    return opened(data).manifest.kept.select("key", "label").rows()


def test_the_same_rule_takes_back(data):
    before = kept(data)
    exclude(data, where="domain=museum.example")
    result = include(data, where="domain=museum.example")
    assert result.images == 15
    assert kept(data) == before
    assert [entry.decision.action for entry in decisions(data)] == ["exclude", "include"]


def test_a_wider_rule_takes_back_some_of_another(data):
    exclude(data, where="label=0")
    assert include(data, where="domain=museum.example").images == 5


def test_the_last_decision_is_taken_back_whatever_it_was(data):
    before = kept(data)
    path = opened(data).manifest.kept["path"][0]
    exclude(data, where="label=0")
    half = kept(data)
    relabel(data, where="label=1", label="2")
    include(data, last=True)
    assert kept(data) == half
    include(data, last=True)
    assert kept(data) == before
    with pytest.raises(DataError, match="no decision to take back"):
        include(data, last=True)
    exclude(data, images=path)
    assert include(data, images=path).images == 1


def test_a_decision_is_taken_back_by_its_number_once(data):
    exclude(data, where="label=0")
    exclude(data, where="domain=museum.example")
    result = include(data, number=1)
    assert result.images == 15
    assert [entry.stands for entry in decisions(data)] == [False, True, True]
    for number in (0, 1, 4):
        with pytest.raises(DataError, match="still stands"):
            include(data, number=number)


def test_an_undo_is_undone_by_its_number(data):
    exclude(data, where="label=0")
    half = kept(data)
    include(data, last=True)
    include(data, number=2)
    assert kept(data) == half


def test_a_rule_takes_back_what_it_struck_even_where_it_no_longer_reaches(tmp_path):
    data = data_set(tmp_path).path
    exclude(data, where="domain=museum.example")
    table = tmp_path / "digits" / "labels.csv"
    table.write_text(table.read_text().replace(",museum.example", ",garden.example", 1))
    assert len(kept(data)) == len(opened(table, data).manifest.kept) == 45
    assert include(data, where="domain=museum.example").images == 15


def test_what_no_decision_left_out_is_told_with_its_reason(tmp_path):
    folder = tmp_path / "digits"
    data = data_set(tmp_path).path
    file = sorted((folder / "0").iterdir())[0]
    with (folder / "labels.csv").open("a") as table:
        table.write(f"0/{file.name},1,garden.example\n")
    opened(folder / "labels.csv", data)
    with pytest.raises(DataError, match="same bytes under labels 0, 1") as caught:
        include(data, images=f"0/{file.name}")
    assert "relabel" in caught.value.remedy


def test_taking_back_what_is_there_changes_nothing(data):
    result = include(data, where="label=0")
    assert not result.made
    assert "Nothing changes" in result.messages[0]


def test_a_whole_decision_goes_with_nothing_else(data):
    with pytest.raises(DataError, match="go with nothing else"):
        include(data, last=True, where="label=0")
