"""A head on a frozen backbone for 2,000 photographs: once through against ten epochs of Keras and fastai.

Affinage computes features once, from files, chooses the penalty by cross-validation and fits the head;
then again, with what the first time kept. Peers train ten epochs with the backbone frozen, or compute
features once and train the head on them for ten epochs. Of a peer one epoch of AFFINAGE_PEER_IMAGES (160)
photographs is measured, after one that is not counted, and its time per image taken for 2,000 and ten.
Photographs are those of `loader`; classes are arbitrary, and peers' weights random: only speed is looked at.
"""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from affinage.models.process import usable_cores
from benchmarks.epoch import (
    Process,
    Speed,
    listed_photographs,
    median,
    peer_process,
    ratio,
    versions,
    write_list,
)

IMAGES, EPOCHS = 2_000, 10
ROUNDS = int(os.environ.get("AFFINAGE_ROUNDS", "2"))
NETWORKS = {"keras": "EfficientNetB0", "fastai": "tf_efficientnet_lite0"}
GOALS = {"keras": 40, "fastai": 25}
CACHED_GOAL, AGAIN_GOAL = 4, 10
ENGINES = ("openvino-bf16", "torch-bf16", "torch")
"""Of those that are here, the first: what `compute.engine=auto` chooses on machines of this kind."""


def frozen_epochs(samples: Path) -> dict[str, Any]:
    """Measure the two ways of Affinage and of each peer, in turn, and give medians and ratios."""
    threads, engine = usable_cores(), _engine()
    found: dict[tuple[str, str], list[Speed]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        listed = listed_photographs(samples, folder, IMAGES)
        own = stack.enter_context(peer_process("affinage", listed, threads))
        paths = [Path(line.split("\t")[0]) for line in listed.read_text().splitlines()]
        few = int(os.environ.get("AFFINAGE_PEER_IMAGES", "160"))
        short = write_list(folder / "few.tsv", paths[:few])
        peers = {peer: stack.enter_context(peer_process(peer, short, threads)) for peer in NETWORKS}
        for number in range(ROUNDS + 1):
            for key, speed in _round(own, peers, engine).items():
                if number:
                    found.setdefault(key, []).append(speed)
    middle = {key: median(speeds) for key, speeds in found.items()}
    figures = {"images, epochs, threads, rounds": [IMAGES, EPOCHS, threads, ROUNDS]}
    figures |= {"of a peer's images measured": few}
    return figures | _figures(middle, engine) | {"versions": versions()}


def _engine() -> str:
    from affinage.inference.engines import MAKERS

    here = {maker.name for maker in MAKERS if not maker.missing()}
    return next(name for name in ENGINES if name in here)


def _round(own: Process, peers: dict[str, Process], engine: str) -> dict[tuple[str, str], Speed]:
    """Do everything once; seconds are for all images."""
    found = {
        ("affinage", work): _times(own.do(work, engine), IMAGES) for work in ("first", "second")
    }
    for peer, process in peers.items():
        network = NETWORKS[peer]
        found[peer, "frozen"] = _times(process.do("frozen", network), IMAGES * EPOCHS)
        features = _times(process.do("features", network), IMAGES)
        head = _times(process.do("head", network), IMAGES)
        both = Speed(features.wall + head.wall, features.processor + head.processor)
        found[peer, "features, then head"] = both
    return found


def _times(speed: Speed, count: int) -> Speed:
    return Speed(speed.wall * count, speed.processor * count)


def _figures(middle: dict[tuple[str, str], Speed], engine: str) -> dict[str, Any]:
    first, again = middle["affinage", "first"], middle["affinage", "second"]
    figures: dict[str, Any] = {
        f"affinage by {engine}, s (of processor)": _shown(first),
        "affinage again, s (of processor)": _shown(again),
        f"again, times the first (goal: at least {AGAIN_GOAL})": ratio(first, again),
    }
    for peer, network in NETWORKS.items():
        for work, goal in (("frozen", GOALS[peer]), ("features, then head", CACHED_GOAL)):
            told = f"{EPOCHS} frozen epochs" if work == "frozen" else work
            figures[f"{peer}, {network}, {told}, s (of processor)"] = _shown(middle[peer, work])
            figures[f"times {peer}, {told} (goal: at least {goal})"] = ratio(
                middle[peer, work], first
            )
    return figures


def _shown(speed: Speed) -> str:
    return f"{speed.wall:.3g} ({speed.processor:.3g})"
