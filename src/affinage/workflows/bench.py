"""The verb `bench`: which of read, decode, augment and compute holds a training up, and what would help."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from affinage.datasets.sources import images_of
from affinage.errors import DataError, ImageError
from affinage.imaging.batches import Item, augmented_batches
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.pixels import needed_side
from affinage.models.build import build_backbone, stack
from affinage.models.classifier import Classifier
from affinage.records.bench import Bench, Rates, remedies_of
from affinage.records.recipe import Recipe
from affinage.training.losses import make_objective
from affinage.training.timing import changed, compute_seconds, step_seconds
from affinage.training.trial import Trial
from affinage.workflows.recipes import resolve_recipe
from affinage.workflows.reporter import Lines, Reporter
from affinage.workflows.session import make_engine

FEWEST = 8
"""Images below which nothing is said."""

MOST_BYTES = 150_000_000
"""Of the files measured: their pixels, ten times as much or more, are held in memory at once."""

BATCH = 16
STEPS = 6

PASSES, PASS_SECONDS = 3, 2.0
"""Passes of decoding and of augmenting whose median counts, unless they take longer than so many seconds."""

Input = TypeVar("Input")
Output = TypeVar("Output")


def bench(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | Mapping[str, Any] | None = None,
    settings: Iterable[str] = (),
    images: int = 192,
    reporter: Reporter | None = None,
) -> Bench:
    """Measure the user's own files, disk, loader and network; write nothing.

    Each stage is timed alone on the same images, with the threads that a training would use; then some
    real steps of fine-tuning are, to see whether the sum of the parts is the whole.

    Args:
        source: A folder of images, or a table of them.
        recipe: A recipe, a YAML file, or nested settings.
        settings: `key=value`, laid over the recipe.
        images: How many to measure at most, spread over the whole source.
        reporter: Told of progress; plain lines on standard error by default.

    Raises:
        DataError: If the source is missing, or has fewer than 8 images that can be read.
        RecipeError: If the settings cannot be used.
    """
    told, resolved = reporter or Lines(), resolve_recipe(recipe, settings)
    if images < FEWEST:
        raise DataError(
            f"So few images say nothing of a speed: {images}.", remedy=f"Give at least {FEWEST}."
        )
    chosen = _spread(images_of(Path(source)), images)
    engine = make_engine(resolved)
    torch.set_num_threads(engine.threads)
    model = stack(build_backbone(resolved.model), classes=2).to(engine.device)
    small = needed_side([(model.preprocessing, resolved.augment)])
    side = small if resolved.compute.reduce and not resolved.augment.exact else None
    told.say(f"reading and decoding {len(chosen):,} images")
    forgotten = _forget(chosen)
    data, read = _timed(Path.read_bytes, chosen, engine.threads)
    pixels, decoding, readable = _decoded(data, engine.threads, side=side)
    if len(pixels) < FEWEST:
        raise DataError(
            f"Of {len(chosen)} images of '{source}', {len(pixels)} can be read; {FEWEST} are needed.",
            remedy="Name a folder with more images; `affinage audit` says what is wrong with files.",
        )
    items = [Item(content_id(data[index]), chosen[index]) for index in readable]
    views, augmenting = _augmented(items, pixels, model, resolved, engine.threads)
    told.say(f"computing with {resolved.model.backbone}")
    batch = np.resize(views, (BATCH, *views.shape[1:]))
    rates = Rates(
        read=read / len(chosen),
        decode=decoding / len(data),
        augment=augmenting / len(items),
        compute=_learning(model, batch, resolved, engine.device, resolved.compute.precision),
        overlapped=engine.device.type != "cpu",
    )
    cures = _cures(rates, model, batch, resolved, engine.device)
    if side is None and not resolved.augment.exact:
        reducing = _decoded(data, engine.threads, side=small)[1] / len(data)
        cures["read large photos at a reduced size (compute.reduce)"] = replace(
            rates, decode=reducing
        )
    steps = _whole(model, items, resolved, engine.device, engine.threads)
    return Bench(
        images=len(items),
        threads=engine.threads,
        backbone=resolved.model.backbone,
        device=str(engine.device),
        from_disk=forgotten,
        megabytes=float(np.mean([len(one) for one in data])) / 1e6,
        rates=rates,
        predicted=1 / rates.seconds,
        measured=float(np.median(steps)),
        slowest=min(steps),
        fastest=max(steps),
        steps=len(steps),
        bottleneck=rates.bottleneck,
        remedies=remedies_of(rates, cures),
    )


def _spread(paths: list[Path], most: int) -> list[Path]:
    """Return some of the files, at even distances in their order, 150 MB of them at most."""
    places = np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int))
    chosen = [paths[place] for place in places if paths[place].is_file()]
    size = sum(path.stat().st_size for path in chosen)
    fitting = max(FEWEST, len(chosen) * MOST_BYTES // max(1, size))
    return chosen[:: -(-len(chosen) // fitting)] if len(chosen) > fitting else chosen


def _forget(paths: list[Path]) -> bool:
    """Ask the system to forget the files, so that they come from the disk; return whether it can."""
    if not hasattr(os, "posix_fadvise"):
        return False
    try:
        for path in paths:
            file = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)
    except OSError:
        return False
    return True


def _timed(
    work: Callable[[Input], Output], inputs: list[Input], threads: int
) -> tuple[list[Output], float]:
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        try:
            found = list(pool.map(work, inputs))
        except OSError as error:
            raise DataError(
                f"'{error.filename}' cannot be read ({error.strerror}).",
                remedy="Make it readable for this user, or leave it out.",
            ) from None
        return found, time.perf_counter() - start


def _decoded(
    data: list[bytes], threads: int, *, side: int | None
) -> tuple[list[NDArray[np.uint8]], float, list[int]]:
    """Return the pixels of those images that can be read, the seconds for all, and which they are."""

    def one(content: bytes) -> NDArray[np.uint8] | None:
        try:
            return decode(content, side=side).pixels
        except ImageError:
            return None

    found, seconds = _timed(one, data, threads)
    seconds = _median([seconds], lambda: _timed(one, data, threads)[1])
    readable = [index for index, pixels in enumerate(found) if pixels is not None]
    return [pixels for pixels in found if pixels is not None], seconds, readable


def _augmented(
    items: list[Item],
    pixels: list[NDArray[np.uint8]],
    model: Classifier,
    recipe: Recipe,
    threads: int,
) -> tuple[NDArray[np.uint8], float]:
    """Return a view of each image, and the seconds for all, from pixels at hand."""
    at_hand = {item.image: image for item, image in zip(items, pixels, strict=True)}

    def once() -> tuple[NDArray[np.uint8], float]:
        start = time.perf_counter()
        batches = augmented_batches(
            items, model.preprocessing, recipe.augment,
            seed=recipe.seed, epoch=0, batch_size=BATCH, threads=threads,
            pixels=lambda item: at_hand[item.image],
        )  # fmt: skip
        views = np.concatenate(list(batches))
        return views, time.perf_counter() - start

    views, seconds = once()
    return views, _median([seconds], lambda: once()[1])


def _median(seconds: list[float], again: Callable[[], float]) -> float:
    """Return the median of some passes, more of them where they are quick."""
    while len(seconds) < PASSES and sum(seconds) < PASS_SECONDS:
        seconds.append(again())
    return float(np.median(seconds))


def _learning(
    model: Classifier,
    views: NDArray[np.uint8],
    recipe: Recipe,
    device: torch.device,
    precision: str,
) -> float:
    known = "fp32" if precision == "auto" else precision
    seconds = compute_seconds(model, views, recipe=recipe, device=device, precision=known)
    return seconds / len(views)


def _cures(
    rates: Rates,
    model: Classifier,
    views: NDArray[np.uint8],
    recipe: Recipe,
    device: torch.device,
) -> dict[str, Rates]:
    """Return what the stages take after each change that can be told from here."""
    cures = {
        "keep decoded images (compute.image_cache): from the second epoch on": replace(
            rates, read=0.0, decode=0.0
        ),
        "no augmentation at all: the most that a cheaper one could gain": replace(
            rates, augment=0.0
        ),
        "files on a faster disk, or in memory": replace(rates, read=0.0),
    }
    if recipe.compute.precision == "fp32":
        seconds = _learning(model, views, recipe, device, "bf16")
        cures["compute.precision=bf16"] = replace(rates, compute=seconds)
    if recipe.finetune.unfreeze not in (0, 1):
        last = changed(recipe, "finetune", unfreeze=1)
        seconds = _learning(model, views, last, device, recipe.compute.precision)
        cures["train the last block only (finetune.unfreeze=1)"] = replace(rates, compute=seconds)
    return cures


def _whole(
    model: Classifier, items: list[Item], recipe: Recipe, device: torch.device, threads: int
) -> list[float]:
    """Return the images per second of each of some real steps, the first left out."""
    plain = recipe
    if plain.compute.precision == "auto":
        plain = changed(plain, "compute", precision="fp32")
    plain = changed(plain, "finetune", batch_size=BATCH)
    targets = np.zeros(len(items), dtype=np.int64)
    trial = Trial(
        model=model, items=items, targets=targets,
        objective=make_objective(plain, classes=2, targets=targets),
        recipe=plain, device=device, threads=threads,
    )  # fmt: skip
    seconds = step_seconds(trial, images=BATCH, steps=STEPS)
    return [BATCH / each for each in seconds[1:]]
