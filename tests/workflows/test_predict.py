import pytest

import affinage
from affinage.errors import DataError, RunError


def test_predictions_agree_with_those_of_the_run(trained, digits):
    import polars as pl

    saved = trained._folder.predictions()
    manifest = pl.read_parquet(trained.path / "manifest.parquet")
    paths = dict(manifest.select("image", "path").iter_rows())
    rows = saved.filter(pl.col("part") == "test")
    answers = trained.predict([digits / paths[image] for image in rows["image"]])
    for answer, predicted, label in zip(answers, rows["predicted"], rows["label"], strict=True):
        assert answer.label == predicted
        assert label in answer.probabilities
        assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_an_unreadable_image_is_told_and_the_others_are_answered(trained, digits, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("<html>not found</html>")
    good = next(digits.glob("0/*.png"))
    first, second = trained.predict([broken, good])
    assert first.label is None
    assert "HTML" in first.reason
    assert second.label is not None


def test_a_folder_is_searched(trained, digits):
    assert len(trained.predict(digits / "1")) == 20


def test_a_missing_image_is_refused(trained):
    with pytest.raises(DataError, match=r"none\.png"):
        trained.predict("none.png")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run"):
        affinage.predict(tmp_path, tmp_path)
