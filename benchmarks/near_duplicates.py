"""Near-duplicates: precision and recall on injected and on known pairs, and the time 100,000 take.

`AFFINAGE_NEAR_SEED` draws other images to change (0 by default), `AFFINAGE_NEAR_IMAGES` sets how many
images `near_scale` has.
"""

import csv
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import affinage.models.process  # noqa: F401 - First: tunes the allocator before torch is loaded.
from affinage.auditing.evidence import Evidence, gather
from affinage.auditing.near_duplicates import find_near_duplicates
from affinage.auditing.off_topic import apartness
from affinage.auditing.wrong_labels import judge_labels
from affinage.datasets.sources import scan
from affinage.heads.neighbours import neighbours, unit_rows
from affinage.imaging.batches import read
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id, shrunk
from affinage.imaging.measuring import measure_all
from affinage.records.finding import Pair
from affinage.records.linked import groups_of
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows.embed import embed
from affinage.workflows.opened import items_of
from affinage.workflows.reporter import Silent
from benchmarks.near_changes import CHANGES, inject

SETS = ("mushrooms4", "flowers12")
Key = frozenset[str]


def near_duplicates(samples: Path) -> dict[str, Any]:
    """Find injected pairs and listed ones, beside a cosine of 0.9 and a Hamming distance of 10."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for data in SETS:
            evidence, made = _injected(samples / data, Path(name) / data)
            start = time.perf_counter()
            pairs = find_near_duplicates(evidence)
            seconds = time.perf_counter() - start
            truth = _truth(samples / data, made)
            wanted = {_key(one, other): change for one, other, change in made}
            found = {"affinage": {_key(pair.first, pair.second) for pair in pairs}}
            for method, keys in {**found, **_peers(evidence)}.items():
                figures[f"{data}, {method}"] = _quality(keys, truth, wanted)
            lost = [change for key, change in wanted.items() if key not in found["affinage"]]
            figures[f"{data}, lost"] = {
                change: lost.count(change) for change in CHANGES if change in lost
            }
            listed = _listed(samples / data, set(evidence.paths))
            figures[f"{data}, listed pairs"] = f"{len(listed & found['affinage'])} of {len(listed)}"
            figures[f"{data}, seconds"] = f"{seconds:.1f} for {len(evidence.ids):,} images"
    return figures


def near_clean(samples: Path) -> dict[str, Any]:
    """Count the pairs reported where all images are alike: cells, small pictures, blood fields."""
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        for data in ("malaria", "cifar10", "bccd_count"):
            folder = Path(name) / data
            shutil.copytree(samples / data, folder)
            evidence = _evidence(folder, Path(name) / "cache")
            judged = _judged(data)
            verdicts = [
                judged.get(_key(pair.first, pair.second), "not judged")
                for pair in find_near_duplicates(evidence)
            ]
            counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
            figures[data] = f"{len(verdicts)} pairs of {len(evidence.ids):,} images: {counts}"
    return figures


def near_scale(samples: Path) -> dict[str, Any]:
    """Time many images: real and injected ones among blends of two real ones each.

    Near-duplicates first, then what is off topic and which labels are wrong, one after the other; each
    with the wall and the processor seconds, and the peak memory of the process so far.
    """
    wanted = int(os.environ.get("AFFINAGE_NEAR_IMAGES", "100000"))
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        parts = [_injected(samples / data, Path(name) / data) for data in SETS]
        many, looks = _many([evidence for evidence, _ in parts], wanted)
        copies = [_key(one, other) for _, made in parts for one, other, _ in made]
        _tell(figures, "images", f"{len(many.ids):,}, {_nearest_cosines(many)}")
        begun = _now()
        first_look: list[str] = []

        def seen(_: str, done: int, total: int) -> None:
            if not first_look:
                first_look.append(_since(begun))
                _tell(figures, "candidates and the first 500 pairs", first_look[0])

        pairs = find_near_duplicates(replace(many, progress=seen))
        _tell(figures, "near-duplicates, all of it", _since(begun))
        found = {_key(pair.first, pair.second) for pair in pairs}
        _tell(figures, "files looked at", looks[0])
        hits = sum(key in found for key in copies)
        _tell(figures, "injected pairs found", f"{hits} of {len(copies)}")
    assert many.features is not None
    begun = _now()
    apartness(many.features, many.labels)
    _tell(figures, "off topic", _since(begun))
    begun = _now()
    judge_labels(many.features, many.labels, int(many.labels.max()) + 1)
    _tell(figures, "wrong labels", _since(begun))
    return figures


def _tell(figures: dict[str, Any], name: str, value: object) -> None:
    """Keep a figure, and print it at once: the run is long, and may be cut off."""
    figures[name] = value
    print(f"{name}: {value}", flush=True)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begun: tuple[float, float]) -> str:
    wall, processor = (now - then for now, then in zip(_now(), begun, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"{wall:.0f} s, {processor:.0f} s of processor, peak {peak:.1f} GiB"


def _injected(source: Path, folder: Path) -> tuple[Evidence, list[tuple[str, str, str]]]:
    shutil.copytree(source, folder)
    made = inject(folder, int(os.environ.get("AFFINAGE_NEAR_SEED", "0")))
    evidence = _evidence(folder, folder.with_name("cache"))
    kept = set(evidence.paths)  # A file under two labels is left out, and so is no original.
    return evidence, [row for row in made if row[0] in kept]


def _evidence(folder: Path, cache: Path) -> Evidence:
    found = scan([folder], classes_needed=1)
    evidence = gather(found.manifest, ignored=found.ignored)
    items = items_of(found.manifest, evidence.images)
    item_of = {item.image: item for item in items}
    measured = measure_all(items, threads=os.cpu_count() or 1)
    return replace(
        evidence,
        measures=measured.table,
        thumbs=measured.thumbs,
        features=embed(items, DatasetFolder(cache), backbone=None, told=Silent()),
        look=lambda image, size: shrunk(decode(read(item_of[image])).pixels, size),
    )


def _key(one: str, other: str) -> Key:
    return frozenset((one, other))


def _judged(data: str) -> dict[Key, str]:
    """Return what a look at each reported pair said: `copy`, or `other` for two photographs."""
    with (Path(__file__).parent / "near_judged.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["data"] == data]
    return {_key(row["first"], row["second"]): row["verdict"] for row in rows}


def _listed(folder: Path, paths: set[str]) -> set[Key]:
    with (folder / "known_issues.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "near duplicate"]
    return {_key(row["path"], row["other"]) for row in rows if {row["path"], row["other"]} <= paths}


def _truth(folder: Path, made: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the group of each path: copies were injected, listed, or judged by eye."""
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    copies = {key for key, verdict in _judged(folder.name).items() if verdict == "copy"}
    keys = [*_listed(folder, paths), *copies, *(_key(one, other) for one, other, _ in made)]
    pairs = [sorted(key) for key in keys]
    return groups_of(Pair(first=a, second=b, first_id=a, second_id=b) for a, b in pairs)


def _quality(keys: set[Key], truth: dict[str, str], wanted: Iterable[Key]) -> str:
    right = sum(len({truth.get(path, path) for path in key}) == 1 for key in keys)
    hits = [key in keys for key in wanted]
    precision = right / max(1, len(keys))
    return (
        f"precision {precision:.3f} ({right} of {len(keys)}),"
        f" recall {np.mean(hits):.3f} ({sum(hits)} of {len(hits)})"
    )


def _peers(evidence: Evidence) -> dict[str, set[Key]]:
    assert evidence.features is not None
    assert evidence.measures is not None
    unit = unit_rows(evidence.features)
    cosines = unit @ unit.T
    hashes = evidence.measures["hash"].to_numpy()
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    return {
        "cosine of at least 0.9": _above(cosines >= 0.9, evidence.paths),
        "perceptual hash, Hamming distance of at most 10": _above(distances <= 10, evidence.paths),
    }


def _above(alike: NDArray[np.bool_], paths: list[str]) -> set[Key]:
    return {_key(paths[i], paths[j]) for i, j in np.argwhere(np.triu(alike, 1)).tolist()}


def _many(parts: list[Evidence], wanted: int) -> tuple[Evidence, list[int]]:
    """Return real images and made ones, and a counter of looks.

    A made one has the mean of the features of two real images and some noise, and the mean of their
    thumbnails. A look at it reads and decodes one of the two files and shuffles its tiles: the work
    that a real image makes, but no copy of anything.
    """
    real = [part.features for part in parts if part.features is not None]
    features = unit_rows(np.concatenate(real))
    thumbs = np.concatenate([part.thumbs for part in parts if part.thumbs is not None])
    labels = np.concatenate([part.labels for part in parts])
    ids = [image for part in parts for image in part.ids]
    paths = [path for part in parts for path in part.paths]
    looks = {image: part.look for part in parts for image in part.ids if part.look is not None}
    random = np.random.default_rng(0)
    one, other = random.integers(len(ids), size=(2, wanted - len(ids)))
    noise = unit_rows(random.standard_normal((len(one), features.shape[1])))
    made = unit_rows(features[one] + features[other] + 0.5 * noise)
    mixed = ((thumbs[one].astype(np.uint16) + thumbs[other]) // 2).astype(np.uint8)
    names = [content_id(f"made {number}".encode()) for number in range(len(one))]
    origin = dict(zip(names, enumerate(one.tolist()), strict=True))
    looked = [0]

    def look(image: str, size: int) -> NDArray[np.uint8]:
        looked[0] += 1
        if image in looks:
            return looks[image](image, size)
        number, place = origin[image]
        pixels = looks[ids[place]](ids[place], size)
        return _shuffled(pixels, np.random.default_rng(number))

    order = np.argsort(np.array([*ids, *names]), kind="stable")
    table = pl.DataFrame({"image": [*ids, *names], "path": [*paths, *names]})
    many = replace(
        parts[0],
        images=table[order],
        labels=np.concatenate([labels, labels[one]])[order],
        features=np.concatenate([features, made])[order],
        thumbs=np.concatenate([thumbs, mixed])[order],
        look=look,
    )
    return many, looked


def _shuffled(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return the tiles of a 4 × 4 grid in another order, each turned upside down or not."""
    height, width = (side // 4 for side in pixels.shape[:2])
    tiles = [
        pixels[y * height : (y + 1) * height, x * width : (x + 1) * width][
            :: random.choice([-1, 1])
        ]
        for y in range(4)
        for x in range(4)
    ]
    order = random.permutation(16).reshape(4, 4)
    return np.concatenate([np.concatenate([tiles[n] for n in row], axis=1) for row in order])


def _nearest_cosines(many: Evidence) -> str:
    assert many.features is not None
    rows = unit_rows(many.features)
    asked = rows[:: max(1, len(rows) // 2000)]
    found = neighbours(rows, asked, count=2).cosines[:, 1]  # The nearest is the image itself.
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.95])
    return f"nearest cosine: median {middle:.2f}, quartile {low:.2f}, 95 % below {high:.2f}"
