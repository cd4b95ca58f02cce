"""What `make demo` prints can be opened and pasted where it was typed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_the_demos_report_is_named_as_seen_from_the_repository(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    command = tmp_path / ".venv/bin/affinage"
    command.parent.mkdir(parents=True)
    command.write_text(
        "#!/bin/sh\nmkdir -p affinage-runs/digits-1\n: > affinage-runs/digits-1/report.html\n"
    )
    command.chmod(0o755)
    (tmp_path / ".venv/bin/activate").touch()
    ready = tmp_path / ".venv/.ready"
    ready.touch()
    os.utime(ready, (2e9, 2e9))  # Nothing is to be installed.
    done = subprocess.run(
        ["make", "--no-print-directory", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip - `make test` runs this, and make within make names its folders.
    *_, report, further = done.stdout.splitlines()
    assert (tmp_path / report).is_file()
    pasted = f"{further.removeprefix('To go on: ')} && ls affinage-runs/digits-1/report.html"
    assert subprocess.run(["sh", "-c", pasted], cwd=tmp_path, check=False).returncode == 0
