import json
import subprocess
import zipfile

import pytest
from benchmarks.venvs import READY, Peer, python_of, versions_of


@pytest.fixture
def wheel(tmp_path):
    """A package of one line, as pip takes it without any network."""
    path = tmp_path / "tinypeer-1.5-py3-none-any.whl"
    about = "tinypeer-1.5.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tinypeer.py", "answer = 42\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tinypeer\nVersion: 1.5\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{about}/RECORD", "")
    return path


def test_an_environment_is_made_once_kept_and_made_anew_where_it_was_cut_off(
    wheel, tmp_path, monkeypatch
):
    monkeypatch.setenv("AFFINAGE_BENCH_CACHE", str(tmp_path / "cache"))
    peers = {"tiny": Peer(packages=(str(wheel),), pinned=())}
    cut_off = tmp_path / "cache" / "tiny" / "bin"
    cut_off.mkdir(parents=True)
    (cut_off / "python").write_text("half of an environment")
    assert versions_of("tiny") == {}

    python = python_of("tiny", peers)
    told = subprocess.run(
        [python, "-c", "import tinypeer; print(tinypeer.answer)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "42"
    assert versions_of("tiny")["tinypeer"] == "1.5"
    kept = tmp_path / "cache" / "tiny" / READY
    before = kept.stat().st_mtime_ns
    assert python_of("tiny", peers) == python
    assert kept.stat().st_mtime_ns == before
    assert json.loads(kept.read_text())["asked"] == {"packages": [str(wheel)], "pins": []}
