import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from affinage.cli.main import app
from affinage.errors import DataError, RecipeError, RunError
from affinage.records.served import Served
from affinage.reporting.markdown import to_markdown
from affinage.reporting.monitor_report import monitor_report
from affinage.store.bundle import BundleFolder
from affinage.store.corrections import read_corrections
from affinage.store.prediction_log import PredictionLog
from affinage.workflows.monitor import monitor
from colour_bundle import LABELS, part, write_colours


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("bundle") / "colours")


@pytest.fixture(scope="module")
def usual():
    """150 pictures as the model sees them, and their labels."""
    return part(range(900, 1050))


def lines(bundle, seen, *, darker=0.0, identity=None):
    identity = identity or BundleFolder(bundle).identity
    answers = [LABELS[k] for k in seen.outputs.argmax(axis=1)]
    measures = seen.measures.copy()
    measures[:, 0] -= darker
    features = seen.features - np.float16(darker)
    return [
        Served(
            at=f"2026-01-01T00:{k // 60:02d}:{k % 60:02d}+00:00",
            image=seen.images[k],
            name=f"{k}.jpg",
            bundle=identity,
            label=answers[k],
            outputs=seen.outputs[k],
            measures=measures[k],
            features=features[k],
        )
        for k in range(len(seen))
    ]


@pytest.fixture
def log(tmp_path):
    return PredictionLog(tmp_path / "served")


def test_a_log_like_the_baseline_is_quiet_and_its_accuracy_is_near(bundle, log, usual):
    log.append(lines(bundle, usual))
    result = monitor(bundle, log.path, window=50, to_label=9)
    assert [window.images for window in result.windows] == [50, 50, 50]
    assert not any(window.alarm for window in result.windows)
    assert result.findings == ()
    truth = (usual.outputs.argmax(axis=1) == usual.targets).mean()
    assert result.known
    assert result.accuracy.low <= truth <= result.accuracy.high
    assert abs(result.accuracy.value - truth) < 0.05
    assert len(result.to_label) <= 9


def test_a_shift_is_told_with_its_windows_and_what_changed(bundle, log, usual):
    log.append(lines(bundle, usual)[:100] + lines(bundle, usual, darker=0.2)[100:])
    result = monitor(bundle, log.path, window=50)
    assert [window.alarm for window in result.windows] == [False, False, True]
    assert "input-drift" in [one.code for one in result.findings]
    drift = next(one for one in result.findings if one.code == "input-drift")
    assert "1 of 3 windows" in drift.subject
    assert any("brightness" in line for line in drift.evidence)
    text = to_markdown(monitor_report(result))
    assert "brightness" in text


def test_windows_are_judged_together_too(bundle, log):
    log.append(lines(bundle, part(range(900, 1200))))
    result = monitor(bundle, log.path, window=100, to_label=0)
    assert (result.together.images, result.together.number) == (300, 3)
    assert not result.together.alarm
    assert "last 300 together" in to_markdown(monitor_report(result))


def test_what_resembles_nothing_makes_the_accuracy_unknown(bundle, log, usual):
    seen = lines(bundle, usual)
    strange = [
        Served(
            at=one.at, image=f"{k:064x}", name=one.name, bundle=one.bundle, label=one.label,
            outputs=one.outputs, measures=one.measures, features=-one.features,
        )
        for k, one in enumerate(seen)
    ]  # fmt: skip
    log.append(strange)
    result = monitor(bundle, log.path, window=150)
    assert not result.known
    assert "cannot be known" in result.why
    assert "images-unlike-baseline" in [one.code for one in result.findings]
    assert result.accuracy.low == 0


def test_labels_that_came_measure_and_those_by_chance_apart(bundle, log, usual, tmp_path):
    log.append(lines(bundle, usual))
    table = tmp_path / "labels.csv"
    rows = [f"{image},{LABELS[k]}" for image, k in zip(usual.images, usual.targets, strict=True)]
    table.write_text("image,label\n" + "\n".join(rows[:60]) + "\n")
    result = monitor(bundle, log.path, window=50, labels=table)
    right = usual.outputs.argmax(axis=1)[:60] == usual.targets[:60]
    assert (result.measured.n, result.measured.value) == (60, pytest.approx(right.mean()))
    assert 0 < result.measured_by_chance.n < 60


def test_other_bundles_and_repeats_are_told_and_count_once(bundle, log, usual):
    own = lines(bundle, usual)[:40]
    log.append(lines(bundle, usual, identity="other")[:5] + own + own)
    result = monitor(bundle, log.path, window=80)
    assert (result.others, result.images, result.repeats) == (5, 80, 40)
    assert result.windows[0].images == 40


def test_few_images_are_said_to_be_few(bundle, log, usual):
    log.append(lines(bundle, usual)[:10])
    result = monitor(bundle, log.path)
    assert result.windows == ()
    assert not result.known
    assert "too few" in monitor_report(result).verdict


def test_the_same_log_gives_the_same_result(bundle, log, usual):
    log.append(lines(bundle, usual))
    assert monitor(bundle, log.path, window=50) == monitor(bundle, log.path, window=50)


def test_mistakes_are_told(bundle, log, usual, tmp_path):
    with pytest.raises(RunError, match="holds no log"):
        monitor(bundle, log.path)
    log.append(lines(bundle, usual, identity="other"))
    with pytest.raises(DataError, match="150 were by another"):
        monitor(bundle, log.path)
    for wrong in ({"window": 10}, {"false_alarms": 0.9}, {"to_label": -1}):
        with pytest.raises(RecipeError):
            monitor(bundle, log.path, **wrong)
    log.append(lines(bundle, usual))
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="needs the columns label, and image; it has 'a', 'b'"):
        monitor(bundle, log.path, labels=tmp_path / "t.csv")


def test_the_command_prints_json_and_a_report(bundle, log, usual, tmp_path):
    log.append(lines(bundle, usual, darker=0.2))
    page = tmp_path / "drift.html"
    given = ["monitor", str(bundle), "--log", str(log.path), "--window", "50", "--json"]
    done = CliRunner().invoke(app, [*given, "--report", str(page), "--fail-on", "warning"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["format"], found["command"], len(found["windows"])) == (1, "monitor", 3)
    assert "To label next" in page.read_text()


def test_lines_that_do_not_fit_the_bundle_are_left_out_and_told(bundle, log, usual, capsys):
    served = lines(bundle, usual)
    odd = dataclasses.replace(served[0], outputs=np.array([0.5, 0.5], dtype=np.float32))
    log.append([odd, *served])
    given = ["monitor", str(bundle), "--log", str(log.path), "--window", "50", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["images"] == 150
    assert "they are damaged: 1 line" in done.stderr


def test_a_page_in_the_place_of_a_folder_is_refused_before_anything_is_judged(bundle, log):
    with pytest.raises(DataError, match="is a folder"):
        monitor(bundle, log.path, report=log.path.parent)


def test_an_empty_log_is_called_empty(bundle, log):
    log.path.mkdir()
    (log.path / "predictions-000001.jsonl").touch()
    with pytest.raises(DataError, match="holds no image yet"):
        monitor(bundle, log.path)


def test_labels_of_a_spreadsheet_are_read_and_blank_ones_say_nothing(bundle, log, usual, tmp_path):
    served = lines(bundle, usual)
    log.append(served)
    table = tmp_path / "l.csv"
    rows = [f"{one.image};{one.label if k < 20 else ''}" for k, one in enumerate(served)]
    table.write_text("image;label\n" + "\n".join(rows), encoding="utf-8-sig")
    result = monitor(bundle, log.path, labels=table)
    assert (result.measured.value, result.measured.n) == (1.0, 20)


def test_the_terminal_lists_the_images_that_remedies_speak_of(bundle, log, usual):
    log.append(lines(bundle, usual, darker=0.2))
    given = ["monitor", str(bundle), "--log", str(log.path), "--window", "50", "--to-label", "6"]
    done = CliRunner().invoke(app, given)
    assert "to label below" in done.stdout
    assert "drawn by chance" in done.stdout.partition("To label next")[2]


def test_images_to_label_are_written_as_a_table_that_comes_back_filled_in(
    bundle, log, usual, tmp_path
):
    served = [dataclasses.replace(one, name="=cmd()") for one in lines(bundle, usual)]
    log.append(served)
    table = tmp_path / "fragen à remplir.csv"
    result = monitor(bundle, log.path, to_label=8, ask=table)
    rows = read_corrections(table)
    assert [row["image"] for row in rows] == [one.image for one in result.to_label]
    assert {row["label"] for row in rows} == {""}
    assert [row["said"] for row in rows] == [one.label for one in result.to_label]
    assert {row["name"] for row in rows} == {"'=cmd()"}
    with pytest.raises(DataError, match="filled in"):
        monitor(bundle, log.path, ask=table)
    said = {one.image: one.label for one in result.to_label}
    filled = "".join(f"{image},{label}\n" for image, label in said.items())
    table.write_text("image,label\n" + filled)
    again = monitor(bundle, log.path, labels=table)
    assert (again.measured.value, again.measured.n) == (1.0, len(said))
