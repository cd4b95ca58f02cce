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
        rows: Place of each image's view among all views of all images; None where views are not repeated.
        whole: Images of the step, in all processes.
        rung: The size and strength of this step.
    """

    images: NDArray[np.uint8]
    targets: NDArray[Any]
    whole: int
    rung: Rung
    rows: NDArray[np.int64] | None = None


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
    """One showing of an image: `view` and `draw` are what its random numbers come from."""

    view: int = 0
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

    @property
    def views(self) -> int | None:
        """How many views of each image there are; None where every showing is a new one."""
        if self.recipe.augment.views is not None:
            return self.recipe.augment.views
        return None if self.recipe.augment.draws or self.transform is not None else 1

    def batches(self, start: int = 0, *, unread: bool = False) -> Iterator[Batch]:
        """Yield the batches of all steps after `start`, shuffled anew in every epoch.

        Args:
            start: Steps that were taken already.
            unread: Whether images are left black and no file is read: see `shown`.

        Raises:
            RecipeError: If there are more processes than images in a step.
        """
        if self.size < self.processes.world:
            raise RecipeError(
                f"{self.processes.world} processes share {self.size} images per step: some have none.",
                remedy="Raise finetune.batch_size, or start fewer processes.",
            )
        pixels = self.pixels()
        for rung in self.rungs():
            targets = self.targets
            table = targets(rung.preprocessing) if callable(targets) else targets
            number = max(start, rung.start)
            while number < rung.stop:
                epoch, position = divmod(number, self.plan.steps_per_epoch)
                last = min(self.plan.steps_per_epoch, position + rung.stop - number)
                yield from self._read(
                    epoch, range(position, last), table, rung, None if unread else pixels
                )
                number += last - position

    def shown(self, rows: NDArray[np.int64], rung: Rung) -> NDArray[np.uint8]:
        """Return the views at these rows, shape (n, height, width, 3)."""
        views = self.views or 1
        showings = [
            _Showing(self.items[row // views].image, self.items[row // views].path, row % views)
            for row in rows.tolist()
        ]
        found = view_batches(
            showings, self._view(rung), batch_size=len(showings), threads=self.threads,
            pixels=self.pixels(),
        )  # fmt: skip
        return next(found)

    def all_views(self, rung: Rung, *, batch_size: int) -> Iterator[NDArray[np.uint8]]:
        """Yield all views of all images in the order of their rows, each batch with what it has left."""
        showings = [
            _Showing(item.image, item.path, view)
            for item in self.items
            for view in range(self.views or 1)
        ]
        yield from view_batches(
            showings, self._view(rung), batch_size=batch_size, threads=self.threads,
            pixels=self.pixels(),
        )  # fmt: skip

    def rungs(self) -> tuple[Rung, ...]:
        """Return the stretches of the training, one where the size does not grow."""
        return rungs(self.recipe, self.preprocessing, self.plan.steps)

    def pixels(self) -> PixelReader:
        """Return what reads the images: their size is one over the training, so one copy is kept."""
        sizes = [(rung.preprocessing, rung.augment) for rung in self.rungs()]
        side: int | None = needed_side(sizes)
        every = self.transform is not None or self.recipe.augment.exact
        if every or not self.recipe.compute.reduce:
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
        pixels: PixelReader | None,
    ) -> Iterator[Batch]:
        """Yield the batches of some steps of one epoch."""
        order = self._order(epoch)
        showings = self._showings(epoch, order)
        whole = [range(len(order))[step * self.size :][: self.size] for step in steps]
        own = [places[self.processes.rank :: self.processes.world] for places in whole]
        views = self._views(
            [showings[n] for places in own for n in places], len(own[0]), rung, pixels
        )
        size = rung.preprocessing
        for places, mine in zip(whole, own, strict=True):
            black = np.zeros((), dtype=np.uint8)
            blank = np.broadcast_to(black, (len(mine), size.height, size.width, 3))
            shown = [showings[n] for n in mine]
            yield Batch(
                images=next(views) if mine and pixels is not None else blank,
                targets=(
                    self._recounted(targets, rung, order[mine], shown)
                    if isinstance(targets, ViewCounts)
                    else targets[order[mine]]
                ),
                whole=len(places),
                rung=rung,
                rows=self._rows(order[mine], shown),
            )

    def _views(
        self, showings: Sequence[_Showing], size: int, rung: Rung, pixels: PixelReader | None
    ) -> Iterator[NDArray[np.uint8]]:
        if pixels is None:
            return iter(())
        return view_batches(
            showings, self._view(rung), batch_size=size, threads=self.threads, pixels=pixels
        )

    def _rows(
        self, indices: NDArray[np.int64], showings: Sequence[_Showing]
    ) -> NDArray[np.int64] | None:
        if self.views is None:
            return None
        return indices * self.views + np.array([one.view for one in showings], dtype=np.int64)

    def _recounted(
        self,
        counts: ViewCounts,
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
                seed=seed, epoch=showing.view, image=showing.image, draw=showing.draw,
            )  # fmt: skip
        return table

    def _view(self, rung: Rung) -> Transform:
        seed = seed_of(self.recipe.seed, self.phase)

        def view(pixels: NDArray[np.uint8], item: Item) -> NDArray[np.uint8]:
            assert isinstance(item, _Showing)
            random = generator(seed, item.view, item.image, item.draw)
            if self.transform is not None:
                own = generator(seed_of(seed, "transform"), item.view, item.image, item.draw)
                pixels = np.ascontiguousarray(self.transform(pixels, own), dtype=np.uint8)
            return augment(pixels, rung.preprocessing, rung.augment, random)

        return view

    def _order(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng(seed_of(self.recipe.seed, self.phase, epoch))
        if self.weights is None:
            return random.permutation(len(self.items))
        chances = self.weights / self.weights.sum()
        return random.choice(len(self.items), size=len(self.items), p=chances)

    def _showings(self, epoch: int, order: NDArray[np.int64]) -> list[_Showing]:
        """Return the images in order; one that is drawn again within an epoch shows another view."""
        seen: Counter[int] = Counter()
        showings = []
        for index in order.tolist():
            item, draw = self.items[index], seen[index]
            number = (epoch, draw) if self.views is None else ((epoch + draw) % self.views, 0)
            showings.append(_Showing(item.image, item.path, *number))
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
