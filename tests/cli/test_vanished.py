"""Images that are gone in the middle of a training: one is named, and so is the way to go on."""

import shutil

import pytest

from affinage.cli.main import main
from affinage.workflows import train_features
from real_digits import SMALL


def test_images_that_vanished_name_the_run_that_goes_on(digits, tmp_path, monkeypatch, capsys):
    photos, run = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(digits, photos)
    real = train_features.cached_features
    images = {path: path.read_bytes() for path in photos.rglob("*.png")}

    def without_any(*given, **named):
        for path in images:
            path.unlink(missing_ok=True)
        return real(*given, **named)

    monkeypatch.setattr(train_features, "cached_features", without_any)
    settings = [part for setting in SMALL for part in ("--set", setting)]
    words = ["train", photos, "--data", tmp_path / "data", "--output", run, "--stages", "features"]
    monkeypatch.setattr("sys.argv", ["affinage", *map(str, words), *settings])
    with pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2
    assert "vanished since the scan" in said
    assert f"go on: affinage train --resume {run}" in said

    for path, kept in images.items():
        path.write_bytes(kept)
    monkeypatch.setattr(train_features, "cached_features", real)
    monkeypatch.setattr("sys.argv", ["affinage", "train", "--resume", str(run)])
    main_code = None
    try:
        main()
    except SystemExit as finished:
        main_code = finished.code
    assert main_code in (0, None)
    assert (run / "report.html").exists()
