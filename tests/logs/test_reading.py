"""Logs of others give the curves that were written into them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboardX import SummaryWriter

from affinage.errors import RunError
from affinage.logs.naming import named
from affinage.logs.reading import looks_like_logs, signals_of_logs
from affinage.logs.tensorboard import scalars


def values(signals, series, on):
    return [(point.epoch, round(point.value, 6)) for point in signals.curve(series, on)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("loss", ("loss", "train (running)")),
        ("val_loss", ("loss", "validation")),
        ("val_sparse_categorical_accuracy", ("accuracy", "validation")),
        ("train_loss_epoch", ("loss", "train (running)")),
        ("Loss/validation", ("loss", "validation")),
        ("eval_accuracy", ("accuracy", "validation")),
        ("test_acc", ("accuracy", "test")),
        ("lr-Adam", ("learning_rate", "")),
        ("learning_rate", ("learning_rate", "")),
        ("val_mae", ("mae", "validation")),
        ("step", None),
        ("closing", None),
    ],
)
def test_columns_are_known_by_their_words(column, expected):
    assert named(column) == expected


def test_a_csv_of_keras(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,accuracy,loss,val_loss\n0,0.5,1.0,1.2\n1,0.75,0.5,nan\n")
    signals = signals_of_logs(path)
    assert values(signals, "loss", "train (running)") == [(1, 1.0), (2, 0.5)]
    assert values(signals, "loss", "validation") == [(1, 1.2)]
    assert signals.why_missing("layers").startswith("a log holds curves only")


def test_a_csv_of_lightning_has_training_and_validation_in_rows_of_their_own(tmp_path):
    folder = tmp_path / "version_0"
    folder.mkdir()
    (folder / "metrics.csv").write_text(
        "epoch,step,train_loss,val_loss\n0,9,0.9,\n0,9,,1.1\n1,19,0.7,\n1,19,,1.0\n"
    )
    signals = signals_of_logs(tmp_path)
    assert values(signals, "loss", "train (running)") == [(1, 0.9), (2, 0.7)]
    assert values(signals, "loss", "validation") == [(1, 1.1), (2, 1.0)]


def test_a_history_of_keras_and_the_state_of_a_trainer(tmp_path):
    keras, trainer = tmp_path / "history.json", tmp_path / "trainer_state.json"
    keras.write_text(json.dumps({"loss": [1.0, 0.5], "val_acc": [0.1, 0.2]}))
    rows = [{"epoch": 0.5, "loss": 2.0, "learning_rate": 1e-4}, {"epoch": 1.0, "eval_loss": 1.5}]
    trainer.write_text(json.dumps({"log_history": rows}))
    assert values(signals_of_logs(keras), "accuracy", "validation") == [(1, 0.1), (2, 0.2)]
    signals = signals_of_logs(trainer)
    assert values(signals, "loss", "validation") == [(1, 1.5)]
    assert signals.series_of("learning_rate").values == (1e-4,)


def test_events_of_tensorboard_are_those_that_were_written(tmp_path):
    with SummaryWriter(str(tmp_path / "logs"), write_to_disk=True) as writer:
        for step in range(5):
            writer.add_scalar("Loss/train", 1 / (step + 1), step)
            writer.add_scalar("Loss/validation", 2 / (step + 1), step)
    assert looks_like_logs(tmp_path)
    signals = signals_of_logs(tmp_path)
    assert values(signals, "loss", "train (running)") == [
        (step, round(1 / (step + 1), 6)) for step in range(5)
    ]
    assert values(signals, "loss", "validation")[0] == (0, 2.0)


def test_an_events_file_that_breaks_off_gives_what_came_before(tmp_path):
    with SummaryWriter(str(tmp_path), write_to_disk=True) as writer:
        for step in range(5):
            writer.add_scalar("loss", float(step), step)
    (file,) = tmp_path.glob("*.tfevents.*")
    file.write_bytes(file.read_bytes()[:-10])
    assert [value for _, _, value in scalars(file)] == [0.0, 1.0, 2.0, 3.0]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_of_events_fail(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("events") / "a.tfevents.1"
    path.write_bytes(content)
    list(scalars(path))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "{}", "[1, 2]", "not json"])
@pytest.mark.parametrize("name", ["log.csv", "log.json"])
def test_what_holds_no_curve_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(RunError):
        signals_of_logs(path)
