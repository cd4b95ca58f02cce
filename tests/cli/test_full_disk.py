"""A disk that is full in the middle of a training: the command that goes on, with the run's own name."""

import errno

import pytest

from affinage.cli.main import main
from affinage.store import files
from real_digits import SMALL


def test_a_full_disk_names_the_run_that_goes_on(digits, tmp_path, monkeypatch, capsys):
    run = tmp_path / "mein Lauf é"
    real = files._fill

    def filled(aside, data):
        if "stages.json" in aside.name:  # The first file after the head.
            raise OSError(errno.ENOSPC, "No space left on device")
        real(aside, data)

    monkeypatch.setattr(files, "_fill", filled)
    settings = [part for setting in SMALL for part in ("--set", setting)]
    words = ["train", digits, "--data", tmp_path / "data", "--output", run, "--stages", "features"]
    monkeypatch.setattr("sys.argv", ["affinage", *map(str, words), *settings])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "The disk is full" in said
    assert f"affinage train --resume '{run}'" in said

    monkeypatch.setattr(files, "_fill", real)
    monkeypatch.setattr("sys.argv", ["affinage", "train", "--resume", str(run)])
    main_code = None
    try:
        main()
    except SystemExit as finished:
        main_code = finished.code
    assert main_code in (0, None)
    assert (run / "report.html").exists()
