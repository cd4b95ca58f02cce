"""The batches of a training: which images, in which order, at which size."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affinage.errors import RecipeError
from affinage.imaging.augment import augment, generator
from affinage.imaging.batches import Item, Transform, view_batches
from affinage.imaging.pixels import PixelReader, keeping, needed_side
from affinage.records.preprocessing import Preprocessing
from affinage.records.recipe import Recipe
from affinage.training.plan import Plan
from affinage.training.processes import ALONE, Processes
from affinage.training.recount import ViewCounts
from affinage.training.resizing import Rung, rungs

Targets = NDArray[Any] | Callable[[Preprocessing], NDArray[Any]] | ViewCounts
"""Of each image; or a function that gives them for a size; or counts that follow each view."""


Change = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one process sees in one step.

    Attributes:
        images: uint8, shape (n, height, width, 3); n may be 0 in the last step of an epoch.
        targets: Of these images, shape (n,) or (n, K).
        whole: Images of the step, in all processes.
        rung: The size and strength of this step.
    """

    images: NDArray[np.uint8]
    targets: NDArray[Any]
    whole: int
    rung: Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where decoded images are kept.

    Attributes:
        folder: Shared by all runs on a data set.
        say: Told, once, where they cannot be kept.
    """

    folder: Path
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class _Showing(Item):
    """One showing of an image within an epoch."""

    draw: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a training is fed with.

    Attributes:
        items: Training images.
        targets: Of each.
        weights: How much more often than another each image is drawn, shape (n,); None: each once.
        preprocessing: The model's own.
        recipe: Settings.
        plan: How many steps.
        threads: That decode and augment ahead.
        phase: Distinguishes the random numbers of two trainings of one run.
        processes: That share the work.
        transform: A change of the user's own, before any other: pixels and a generator to pixels.
            It is given every pixel.
        kept: Where decoded images are kept; None: nowhere.
    """

    items: Sequence[Item]
    targets: Targets
    preprocessing: Preprocessing
    recipe: Recipe
    plan: Plan
    threads: int
    weights: NDArray[np.float64] | None = None
    phase: str = "finetune"
    processes: Processes = ALONE
    transform: Change | None = None
    kept: Kept | None = None

    @property
    def size(self) -> int:
        """Images per step: those of an epoch are as equal as can be, so none has a single image."""
        return -(-len(self.items) // self.plan.steps_per_epoch)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of all steps after `start`, shuffled anew in every epoch.

        Raises:
            RecipeError: If there are more processes than images in a step.
        """
        if self.size < self.processes.world:
            raise RecipeError(
                f"{self.processes.world} processes share {self.size} images per step: some have none.",
                remedy="Raise finetune.batch_size, or start fewer processes.",
            )
        pixels = self.pixels()
        for rung in rungs(self.recipe, self.preprocessing, self.plan.steps):
            targets = self.targets
            table = targets(rung.preprocessing) if callable(targets) else targets
            number = max(start, rung.start)
            while number < rung.stop:
                epoch, position = divmod(number, self.plan.steps_per_epoch)
                last = min(self.plan.steps_per_epoch, position + rung.stop - number)
                yield from self._read(epoch, range(position, last), table, rung, pixels)
                number += last - position

    def pixels(self) -> PixelReader:
        """Return what reads the images: their size is one over the training, so one copy is kept."""
        sizes = rungs(self.recipe, self.preprocessing, self.plan.steps)
        side: int | None = needed_side((rung.preprocessing, rung.augment) for rung in sizes)
        if self.transform is not None or not self.recipe.compute.reduce:
            side = None
        if self.kept is None or self.plan.epochs <= 1:  # What is shown once is not worth keeping.
            return PixelReader(side=side)
        gigabytes = self.recipe.compute.image_cache
        return keeping(self.kept.folder, side=side, gigabytes=gigabytes, say=self.kept.say)

    def _read(
        self,
        epoch: int,
        steps: range,
        targets: NDArray[Any] | ViewCounts,
        rung: Rung,
        pixels: PixelReader,
    ) -> Iterator[Batch]:
        """Yield the batches of some steps of one epoch."""
        order = self._order(epoch)
        showings = self._showings(order)
        whole = [range(len(order))[step * self.size :][: self.size] for step in steps]
        own = [places[self.processes.rank :: self.processes.world] for places in whole]
        views = view_batches(
            [showings[place] for places in own for place in places],
            self._view(epoch, rung),
            batch_size=len(own[0]),
            threads=self.threads,
            pixels=pixels,
        )
        size = rung.preprocessing
        nothing = np.empty((0, size.height, size.width, 3), dtype=np.uint8)
        for places, mine in zip(whole, own, strict=True):
            yield Batch(
                images=next(views) if mine else nothing,
                targets=(
                    self._recounted(targets, epoch, rung, order[mine], [showings[n] for n in mine])
                    if isinstance(targets, ViewCounts)
                    else targets[order[mine]]
                ),
                whole=len(places),
                rung=rung,
            )

    def _recounted(
        self,
        counts: ViewCounts,
        epoch: int,
        rung: Rung,
        indices: NDArray[np.int64],
        showings: Sequence[_Showing],
    ) -> NDArray[np.float32]:
        """Return what each of these showings shows, shape (n, K)."""
        seed = seed_of(self.recipe.seed, self.phase)
        table = np.zeros((len(showings), counts.counts.shape[1]), dtype=np.float32)
        for row, (index, showing) in enumerate(zip(indices.tolist(), showings, strict=True)):
            table[row] = counts.of_view(
                index, rung.preprocessing, rung.augment,
                seed=seed, epoch=epoch, image=showing.image, draw=showing.draw,
            )  # fmt: skip
        return table

    def _view(self, epoch: int, rung: Rung) -> Transform:
        seed = seed_of(self.recipe.seed, self.phase)

        def view(pixels: NDArray[np.uint8], item: Item) -> NDArray[np.uint8]:
            assert isinstance(item, _Showing)
            random = generator(seed, epoch, item.image, item.draw)
            if self.transform is not None:
                own = generator(seed_of(seed, "transform"), epoch, item.image, item.draw)
                pixels = np.ascontiguousarray(self.transform(pixels, own), dtype=np.uint8)
            return augment(pixels, rung.preprocessing, rung.augment, random)

        return view

    def _order(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng(seed_of(self.recipe.seed, self.phase, epoch))
        if self.weights is None:
            return random.permutation(len(self.items))
        chances = self.weights / self.weights.sum()
        return random.choice(len(self.items), size=len(self.items), p=chances)

    def _showings(self, order: NDArray[np.int64]) -> list[_Showing]:
        """Return the images in order; one that is drawn again within an epoch is augmented anew."""
        seen: Counter[int] = Counter()
        showings = []
        for index in order.tolist():
            item = self.items[index]
            showings.append(_Showing(item.image, item.path, seen[index]))
            seen[index] += 1
        return showings


def whole_targets(targets: Targets, preprocessing: Preprocessing) -> NDArray[Any]:
    """Return the targets of whole images at the size that a model is shown."""
    if isinstance(targets, ViewCounts):
        return targets.counts
    return targets(preprocessing) if callable(targets) else targets


def seed_of(*parts: int | str) -> int:
    """Return a seed that depends on all the parts and on nothing else."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31
