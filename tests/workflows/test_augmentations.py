"""The verb `augmentations`, on real scanned digits."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

import affinage
from affinage.errors import DataError
from affinage.workflows.reporter import Silent
from real_digits import write_digits


def sixes_and_nines(folder):
    """Write 60 real scanned digits of each of four kinds."""
    write_digits(folder, classes=10, per_class=60)
    for other in "234578":
        shutil.rmtree(folder / other)
    return folder


SIZE = ("model.width=64", "model.height=64")


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tried")
    return affinage.augmentations(
        sixes_and_nines(folder / "digits"), data=folder / "data", settings=SIZE, reporter=Silent()
    )


def test_a_six_turned_upside_down_costs_most(tried):
    turned = next(trial for trial in tried.trials if trial.change == "rotation by 180°")
    assert turned.verdict in ("mixes classes up", "costs accuracy")
    assert turned.difference.value == min(trial.difference.value for trial in tried.trials)


def test_grey_digits_lose_nothing_without_colour(tried):
    grey = next(trial for trial in tried.trials if trial.change == "without colour")
    assert grey.difference.value == 0
    assert grey.verdict == "keeps the label"


def test_the_page_shows_before_and_after(tried):
    text = Path(tried.sheet).read_text()
    assert text.count("data:image/jpeg") == 36
    assert "epoch 5" in text


def test_a_flip_that_mixes_classes_up_is_told_before_the_training(tmp_path):
    letters = tmp_path / "letters"
    sixes_and_nines(letters)
    for path in (letters / "9").iterdir():
        path.unlink()
    for path in (letters / "6").iterdir():  # A class that differs by a flip alone.
        with Image.open(path) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(letters / "9" / path.name)
    run = affinage.train(
        letters, data=tmp_path / "data", output=tmp_path / "run",
        settings=[*SIZE, "augment.horizontal_flip=true", "finetune.steps=1"], reporter=Silent(),
    )  # fmt: skip
    told = [f for f in run.record.findings if f.code == "augmentation-changes-labels"]
    assert "--set augment.horizontal_flip=false" in told[0].remedy
    assert any({"6", "9"} <= set(line.split(":")[0].split()) for line in told[0].evidence)


def test_a_silly_number_of_images_is_refused(digits):
    with pytest.raises(DataError, match="5 images cannot be tried"):
        affinage.augmentations(digits, n=5)
