import pytest

import affinage
from affinage.errors import DataError
from real_digits import write_digits


def test_new_images_are_measured(trained, tmp_path):
    source = write_digits(tmp_path / "june", classes=3, per_class=10, first=50)
    result = affinage.evaluate(trained.path, source)
    assert result.evaluation.n == 30
    assert result.evaluation.accuracy.low <= result.evaluation.accuracy.value
    assert result.looks == ()


def test_images_of_the_training_are_left_out_and_a_look_at_the_test_part_is_entered(
    trained, digits
):
    result = affinage.evaluate(trained.path, digits)
    assert result.evaluation.n == trained.record.split["test"]
    assert any(item.code == "seen-in-training" for item in result.findings)
    assert result.looks[-1].command == "evaluate"
    assert result.evaluation.accuracy == trained.record.evaluations["test"].accuracy


def test_unknown_labels_are_told(trained, tmp_path):
    source = write_digits(tmp_path / "july", classes=5, per_class=4, first=60)
    result = affinage.evaluate(trained.path, source)
    assert {
        item.subject.split("'")[1] for item in result.findings if item.code == "unknown-label"
    } == {"3", "4"}
    assert result.evaluation.n == 12


def test_what_is_left_out_is_counted_in_words(trained, tmp_path):
    source = write_digits(tmp_path / "may", classes=4, per_class=8, first=70)
    for number in range(7):
        (source / "0" / f"bad{number}.png").write_bytes(b"")
    for path in sorted((source / "3").iterdir())[1:]:
        path.unlink()
    findings = {item.code: item for item in affinage.evaluate(trained.path, source).findings}
    assert findings["left-out"].subject == "7 files left out."
    assert findings["left-out"].evidence[-1] == "and 2 more"
    assert findings["unknown-label"].subject.startswith("1 image of the label '3', which")


def test_nothing_to_measure_on_is_said(trained, tmp_path):
    source = write_digits(tmp_path / "four", classes=5, per_class=3, first=60)
    for label in "012":
        for path in (source / label).iterdir():
            path.unlink()
    with pytest.raises(DataError, match="No image is left"):
        affinage.evaluate(trained.path, source)
