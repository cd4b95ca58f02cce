import polars as pl
import pytest

from affinage.errors import DataError, RecipeError
from affinage.records.finding import Finding, Pair
from affinage.workflows.exclude import exclude
from affinage.workflows.include import include
from affinage.workflows.reporter import Silent
from affinage.workflows.split import near_groups, split
from sourced_digits import data_set, opened, write_sourced_digits


@pytest.fixture
def data(tmp_path):
    return data_set(tmp_path)


def cut(source, **how):
    return split(source, reporter=Silent(), **how)


def codes(result):
    return {finding.code for finding in result.findings}


def audit_finds(data, *pairs, code="near-duplicates"):
    made = tuple(Pair(first=a, second=b, first_id=a, second_id=b) for a, b in pairs)
    data.save_findings([Finding(code=code, severity="note", subject="s", pairs=made)])


def test_each_class_is_shown_by_part_and_the_cut_is_kept(data):
    result = cut(data.path)
    assert (result.name, result.data, result.folds) == ("default", "data", 0)
    assert result.images == {"train": 39, "validation": 9, "test": 12}
    assert [one.label for one in result.classes] == ["0", "1", "2"]
    assert all(one.images == {"train": 13, "validation": 3, "test": 4} for one in result.classes)
    kept = data.load_split("default")
    assert (len(kept.train), len(kept.validation), len(kept.test)) == (39, 9, 12)
    assert codes(result) == {"near-duplicates-unknown"}


def test_a_source_gets_a_data_set(tmp_path):
    table = write_sourced_digits(tmp_path / "digits", per_class=10)
    assert cut(table, data=tmp_path / "data").data == "data"
    assert cut(tmp_path / "data").stayed == 30


def test_near_duplicates_of_the_last_audit_are_kept_together_unless_refused(data):
    images = opened(data.path).manifest.kept["image"].sort().to_list()
    pairs = list(zip(images[::2], images[1::2], strict=True))
    audit_finds(data, *pairs)
    apart = cut(data.path, keep_near=False, name="apart")
    assert apart.kept_together == 0
    assert any(
        data.load_split("apart").part_of(a) != data.load_split("apart").part_of(b) for a, b in pairs
    )
    together = cut(data.path)
    kept = data.load_split("default")
    assert all(kept.part_of(a) == kept.part_of(b) for a, b in pairs)
    assert together.kept_together == 60
    assert "near-duplicates-unknown" not in codes(together)
    assert "twins-across-parts" in codes(cut(data.path, name="apart"))


def test_pairs_of_every_finding_on_twins_are_groups(data):
    audit_finds(data, ("b", "c"), ("c", "a"), code="near-conflicts")
    assert near_groups(data) == {"a": "a", "b": "a", "c": "a"}
    audit_finds(data, ("b", "c"), code="placeholders")
    assert near_groups(data) == {}


def test_groups_are_counted_by_part(data):
    result = cut(data.path, group="domain", test=0)
    assert result.groups == {"train": 3, "validation": 1, "test": 0}
    assert "shares-not-reached" not in codes(result)
    assert result.name != "default"
    few = cut(data.path, group="domain")
    assert sum(few.groups.values()) == 4
    assert few.images["test"] == 15


def test_folds_are_kept_under_a_name_of_their_own_with_the_test_part_of_the_cut(data):
    whole = cut(data.path)
    result = cut(data.path, folds=4)
    assert result.name == "default-4-folds"
    assert result.images == {"fold 1": 12, "fold 2": 12, "fold 3": 12, "fold 4": 12, "test": 12}
    table = pl.read_parquet(data.path / "splits" / "default-4-folds.parquet")
    assert table.columns == ["image", "part", "fold"]
    assert table["fold"].unique().sort().to_list() == [None, 1, 2, 3, 4]
    folds = data.load_folds("default-4-folds")
    assert folds.test == data.load_split("default").test
    assert whole.images["test"] == 12
    again = cut(data.path, folds=4)
    assert (again.stayed, again.images) == (60, result.images)


def test_images_that_have_a_part_keep_it_when_the_set_grows(tmp_path):
    table = write_sourced_digits(tmp_path / "digits", per_class=12)
    cut(table, data=tmp_path / "data")
    dataset = opened(table, tmp_path / "data").dataset
    first = dataset.load_split("default")
    grown = cut(write_sourced_digits(tmp_path / "digits", per_class=24), data=tmp_path / "data")
    second = dataset.load_split("default")
    assert grown.stayed == 36
    assert sum(grown.images.values()) == 72
    assert first.train <= second.train
    assert first.test <= second.test


def test_what_was_left_out_for_a_while_comes_back_to_its_part(data):
    cut(data.path)
    before = data.load_split("default")
    exclude(data.path, where="domain=museum.example")
    without = cut(data.path)
    assert sum(without.images.values()) == 45
    assert "left-out-by-decision" in codes(without)
    include(data.path, last=True)
    assert cut(data.path).stayed == 60
    assert data.load_split("default") == before


def test_given_parts_that_leak_can_be_cut_anew(samples, tmp_path):
    table = samples / "malaria" / "labels.csv"
    given = cut(table, data=tmp_path / "data", group="slide")
    [leak] = [one for one in given.findings if one.code == "group-across-parts"]
    assert "--recut --group slide" in leak.remedy
    mended = cut(tmp_path / "data", group="slide", recut=True)
    assert mended.name.endswith("-recut")
    assert codes(mended) == {"near-duplicates-unknown"}
    assert sum(mended.groups.values()) == len(set(opened(tmp_path / "data").manifest.kept["slide"]))


@pytest.mark.parametrize(
    ("how", "error", "problem"),
    [
        ({"group": "domian"}, DataError, "no column 'domian'"),
        ({"test": 1.5}, RecipeError, "split.test"),
        ({"folds": 1}, DataError, "1 folds"),
        ({"name": "../x"}, DataError, "cannot be the name"),
    ],
)
def test_a_cut_that_cannot_be_made_is_refused(data, how, error, problem):
    with pytest.raises(error, match=problem):
        cut(data.path, **how)


def test_folds_and_parts_cannot_share_a_name(data):
    cut(data.path, folds=3)
    with pytest.raises(DataError, match="one of folds"):
        cut(data.path, name="default-3-folds")
