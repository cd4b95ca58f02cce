"""A virtual environment for each peer, made once from the package index and kept in a cache folder."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
READY = "versions.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What a peer needs beside Python.

    Attributes:
        packages: Requirements as pip takes them.
        pinned: Distributions held at the versions that Affinage is tested with, so that both compute
            with the same engine.
    """

    packages: tuple[str, ...]
    pinned: tuple[str, ...] = ("torch", "torchvision", "timm")


PEERS: dict[str, Peer] = {
    "plain": Peer(packages=("torch", "torchvision", "timm", "safetensors", "pillow")),
    "fastai": Peer(packages=("torch", "torchvision", "timm", "safetensors", "fastai")),
    "mlflow": Peer(packages=("mlflow",), pinned=()),
}


def cache_folder() -> Path:
    """Return the folder of all environments: AFFINAGE_BENCH_CACHE, or ~/.cache/affinage-bench."""
    default = Path.home() / ".cache" / "affinage-bench"
    return Path(os.environ.get("AFFINAGE_BENCH_CACHE", default))


def python_of(name: str, peers: dict[str, Peer] = PEERS) -> Path:
    """Return the Python of a peer's environment, made first where it is not there.

    Minutes the first time, nothing later. An environment whose making was cut off is made anew.
    """
    folder = cache_folder() / name
    python = folder / "bin" / "python"
    asked = {"packages": list(peers[name].packages), "pins": _pins(peers[name])}
    if _kept(folder).get("asked") == asked:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    _install(python, asked["packages"], asked["pins"], folder)
    found = {"asked": asked, "installed": _installed(python)}
    (folder / READY).write_text(json.dumps(found, indent=1))
    return python


def versions_of(name: str) -> dict[str, str]:
    """Return what is installed in a peer's environment, by name; nothing where it was not made yet."""
    installed = _kept(cache_folder() / name).get("installed", {})
    return {str(package): str(version) for package, version in installed.items()}


def _kept(folder: Path) -> dict[str, dict[str, object]]:
    file = folder / READY
    return json.loads(file.read_text()) if file.exists() else {}


def _pins(peer: Peer) -> list[str]:
    lines = CONSTRAINTS.read_text().split()
    return [line for line in lines if line.partition("==")[0].lower() in peer.pinned]


def _install(python: Path, packages: list[str], pins: list[str], folder: Path) -> None:
    held = folder / "constraints.txt"
    held.write_text("\n".join(pins) + "\n")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", held, *packages], check=True)


def _installed(python: Path) -> dict[str, str]:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {row["name"]: row["version"] for row in json.loads(listed.stdout)}


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PEERS:
        print(wanted, python_of(wanted), sep="\t", flush=True)
