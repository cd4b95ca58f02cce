import polars as pl
import pytest

from affinage.errors import DataError
from affinage.records.decision import ClassChange
from affinage.records.finding import Finding
from affinage.workflows.exclude import exclude
from affinage.workflows.relabel import relabel
from sourced_digits import data_set, opened


@pytest.fixture
def data(tmp_path):
    return data_set(tmp_path)


@pytest.fixture
def zeros(data):
    return opened(data.path).manifest.kept.filter(label="0").sort("path")


def label_of(data, image):
    rows = opened(data.path).manifest.table.filter(pl.col("image") == image)
    return rows["label"].to_list(), rows["raw_label"].to_list()


def test_an_image_gets_another_label_and_its_raw_one_stays(data, zeros):
    result = relabel(data.path, images=zeros["path"][0], label=" 1 ", reason="a one")
    assert result.images == 1
    assert result.classes[:2] == (
        ClassChange(label="0", before=20, after=19),
        ClassChange(label="1", before=20, after=21),
    )
    assert label_of(data, zeros["image"][0]) == (["1"], ["0"])


def test_a_findings_suggestions_are_followed(data, zeros):
    images = zeros["image"]
    told = Finding(
        code="wrong-labels",
        severity="warning",
        subject="s",
        ids=tuple(images[:3]),
        suggestions=((images[0], "1"), (images[1], "2"), ("gone", "2")),
    )
    data.save_findings([told])
    result = relabel(data.path, finding="wrong-labels")
    assert result.images == 2
    assert "1 suggested before" in result.messages[0]
    assert label_of(data, images[1]) == (["2"], ["0"])
    assert relabel(data.path, finding="wrong-labels", label="1").images == 2


@pytest.mark.parametrize("name", ["checked.csv", "checked.tsv", "checked.parquet"])
def test_a_table_says_which_image_gets_which_label(data, zeros, tmp_path, name):
    rows = {"Path": zeros["path"][:2].to_list(), "note": ["x", "y"], "Label": ["1", "2"]}
    file = tmp_path / name
    if name.endswith("parquet"):
        pl.DataFrame(rows).write_parquet(file)
    else:
        pl.DataFrame(rows).write_csv(file, separator="\t" if name.endswith("tsv") else ",")
    assert relabel(data.path, table=file).images == 2
    assert label_of(data, zeros["image"][1]) == (["2"], ["0"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,lable\nx,1\n", "no column 'label'"),
        ("picture,label\nx,1\n", "no column 'image'"),
        ("path,label\n", "no rows"),
        ("path,label\n0/{0},1\n0/{0},2\n", "Line 3 of 'checked.csv'"),
        ("path,label\n0/{0},\n", "no label"),
        ("path,label\nnone.png,1\n", "no image 'none.png'"),
        ("path,label\n0/{0},1\ndigits/labels.csv,1\n", "no image"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused(data, zeros, tmp_path, text, problem):
    file = tmp_path / "checked.csv"
    file.write_text(text.replace("0/{0}", zeros["path"][0]))
    with pytest.raises(DataError) as caught:
        relabel(data.path, table=file)
    assert problem in caught.value.problem
    assert caught.value.remedy
    assert not (data.path / "decisions.jsonl").exists()


def test_one_image_under_two_names_gets_one_label(data, zeros, tmp_path):
    file = tmp_path / "checked.csv"
    file.write_text(f"path,label\n{zeros['path'][0]},1\n{zeros['image'][0]},2\n")
    with pytest.raises(DataError, match="the same image under another name"):
        relabel(data.path, table=file)


def test_a_rule_joins_two_classes(data):
    result = relabel(data.path, where="label=1", label="2")
    assert (result.images, result.kept) == (20, 60)
    assert opened(data.path).manifest.label_order == ("0", "2")


def test_a_label_that_is_no_class_must_be_meant(data, zeros):
    with pytest.raises(DataError, match="no class 'one'") as caught:
        relabel(data.path, images=zeros["path"][0], label="one")
    assert "--new-class" in caught.value.remedy
    relabel(data.path, images=zeros["path"][0], label="one", new_class=True)
    assert label_of(data, zeros["image"][0])[0] == ["one"]
    assert relabel(data.path, images=zeros["path"][1], label="ONE").decision.labels[0][1] == "one"


def test_images_that_are_left_out_stay_out(data, zeros):
    exclude(data.path, images=zeros["path"][0])
    result = relabel(data.path, images=[zeros["path"][0], zeros["path"][1]], label="1")
    assert result.images == 1
    assert "1 of them are left out" in result.messages[0]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"where": "label=0"}, "which label"),
        ({"images": "x", "label": "  "}, "which label"),
        ({"label": "1"}, "which images"),
        ({"table": "t.csv", "label": "1"}, "A table says"),
        ({"finding": "blank"}, "found no 'blank'"),
        ({"table": "none.csv"}, "cannot be read"),
    ],
)
def test_what_is_missing_is_told(data, arguments, problem):
    with pytest.raises(DataError, match=problem):
        relabel(data.path, **arguments)
