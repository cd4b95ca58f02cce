"""What stops a training in its middle names the command that goes on, with the run's own name."""

import errno
import shutil

import pytest

from affinage.cli.main import main
from affinage.store import files
from affinage.workflows import train_features
from real_digits import SMALL


@pytest.fixture
def command(monkeypatch):
    """Return what calls the command line, and gives its exit code."""

    def called(*words):
        monkeypatch.setattr("sys.argv", ["affinage", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            return ended.code
        return 0

    return called


def training(images, place, run):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    beside = ("--data", place / "data", "--output", run, "--stages", "features")
    return ("train", images, *beside, *settings)


def test_a_full_disk_names_the_run_that_goes_on(digits, tmp_path, monkeypatch, capsys, command):
    run = tmp_path / "mein Lauf é"
    real = files._fill

    def filled(aside, data):
        if "stages.json" in aside.name:  # The first file after the head.
            raise OSError(errno.ENOSPC, "No space left on device")
        real(aside, data)

    monkeypatch.setattr(files, "_fill", filled)
    assert command(*training(digits, tmp_path, run)) == 2
    said = capsys.readouterr().err
    assert "The disk is full" in said
    assert f"affinage train --resume '{run}'" in said

    monkeypatch.setattr(files, "_fill", real)
    assert command("train", "--resume", run) in (0, None)
    assert (run / "report.html").exists()


def test_images_that_vanished_name_the_run_that_goes_on(
    digits, tmp_path, monkeypatch, capsys, command
):
    photos, run = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(digits, photos)
    real = train_features.cached_features
    images = {path: path.read_bytes() for path in photos.rglob("*.png")}

    def without_any(*given, **named):
        for path in images:
            path.unlink(missing_ok=True)
        return real(*given, **named)

    monkeypatch.setattr(train_features, "cached_features", without_any)
    assert command(*training(photos, tmp_path, run)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "vanished since the scan" in said
    assert f"go on: affinage train --resume {run}" in said

    for path, kept in images.items():
        path.write_bytes(kept)
    monkeypatch.setattr(train_features, "cached_features", real)
    assert command("train", "--resume", run) in (0, None)
    assert (run / "report.html").exists()
