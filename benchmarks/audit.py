"""The whole audit beside decoding its images once and computing their features once.

`AFFINAGE_AUDIT_IMAGES` sets how many images there are (10,000 by default).
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import affinage.models.process  # noqa: F401 - First: tunes the allocator before torch is loaded.
from affinage.auditing.evidence import gather
from affinage.datasets.sources import scan
from affinage.imaging.batches import Item, read
from affinage.imaging.decode import decode
from affinage.models.process import usable_cores
from affinage.records.audit import AuditResult
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.audit import audit
from affinage.workflows.embed import embed
from affinage.workflows.opened import items_of
from affinage.workflows.reporter import Silent

SETS = ("flowers12", "mushrooms4")
SIZE = (500, 376)


def whole_audit(samples: Path) -> dict[str, Any]:
    """Audit photographs of 500 px, each set together of four parts of real ones."""
    wanted = int(os.environ.get("AFFINAGE_AUDIT_IMAGES", "10000"))
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        _mosaics(samples, photos, wanted)
        found = scan([photos], classes_needed=1)
        items = items_of(found.manifest, gather(found.manifest).images)

        def look(item: Item) -> None:
            decode(read(item))

        with ThreadPoolExecutor(usable_cores()) as pool:
            decoding = _timed(lambda: list(pool.map(look, items)))
        features = _timed(
            lambda: embed(items, DatasetFolder(Path(name) / "alone"), backbone=None, told=Silent())
        )
        results: list[AuditResult] = []

        def once() -> None:
            results.append(audit(photos, data=Path(name) / "data", reporter=Silent()))

        whole, again = _timed(once), _timed(once)
    figures: dict[str, Any] = {"images": len(items)}
    ways = {"decoding": decoding, "features": features, "audit": whole, "audit again": again}
    for way, (seconds, cpu) in ways.items():
        figures[f"{way}, s"] = round(seconds, 1)
        figures[f"{way}, s of processor"] = round(cpu, 1)
    for index, unit in enumerate(("time", "processor time")):
        ratio = whole[index] / (decoding[index] + features[index])
        figures[f"audit, times decoding + features, {unit} (goal: at most 2.5)"] = round(ratio, 2)
    figures["phases, s"] = {phase: round(spent, 1) for phase, spent in results[0].seconds.items()}
    return figures


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def _mosaics(samples: Path, folder: Path, wanted: int) -> None:
    """Write JPEG files under as many classes as the photographs have, each of the label of its first part."""
    photos = sorted(file for data in SETS for file in (samples / data).glob("*/*/*.jpg"))
    width, height = SIZE[0] // 2, SIZE[1] // 2
    random = np.random.default_rng(0)

    def write(drawn: tuple[int, list[int], np.ndarray[Any, Any]]) -> None:
        number, chosen, places = drawn
        whole = Image.new("RGB", SIZE)
        for tile, (photo, place) in enumerate(zip(chosen, places, strict=True)):
            with Image.open(photos[photo]) as opened:
                image = opened.convert("RGB")
            side = 0.5 + 0.4 * place[0]
            left, top = place[1] * (1 - side) * image.width, place[2] * (1 - side) * image.height
            box = (left, top, left + side * image.width, top + side * image.height)
            part = image.resize((width, height), Image.Resampling.BILINEAR, box)
            whole.paste(part, (tile % 2 * width, tile // 2 * height))
        place = folder / photos[chosen[0]].parent.name / f"{number:06d}.jpg"
        whole.save(place, quality=90)

    for name in {file.parent.name for file in photos}:
        (folder / name).mkdir(parents=True)
    rows = (
        (number, random.integers(len(photos), size=4).tolist(), random.random((4, 3)))
        for number in range(wanted)
    )
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(write, rows))
