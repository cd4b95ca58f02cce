"""Batches of views, decoded ahead in threads, in order, in bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from affinage.errors import ImageError
from affinage.imaging.augment import augment, generator
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.resize import prepare
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings


@dataclass(frozen=True, slots=True)
class Item:
    """An image to read.

    Attributes:
        image: Its identity: the SHA-256 of its bytes.
        path: Where it lies.
    """

    image: str
    path: Path


Source = Callable[[Item], NDArray[np.uint8]]
Transform = Callable[[NDArray[np.uint8], Item], NDArray[np.uint8]]


def read(item: Item) -> bytes:
    """Return the bytes of an image's file, unchecked.

    Raises:
        ImageError: If it is gone or cannot be opened; the problem names its path.
    """
    try:
        return item.path.read_bytes()
    except FileNotFoundError:
        raise ImageError(
            f"{item.path}: vanished since the scan.",
            remedy="Put it back, or scan the folder again.",
        ) from None
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{item.path}: cannot be opened ({getattr(error, 'strerror', None) or error}).",
            remedy="Make it readable for this user, or scan the folder again.",
        ) from None


def decoded(item: Item, *, side: int | None = None) -> NDArray[np.uint8]:
    """Return the RGB pixels of an image, shape (height, width, 3), if it is still the one scanned.

    Args:
        item: The image.
        side: As `decode` takes it.

    Raises:
        ImageError: If it is gone, changed or cannot be read; the problem names its path.
    """
    data = read(item)
    if content_id(data) != item.image:
        raise ImageError(
            f"{item.path}: changed since the scan.",
            remedy="Train again, so that the new image is looked at; old runs keep the old one's id.",
        )
    try:
        return decode(data, side=side).pixels
    except ImageError as error:
        raise ImageError(f"{item.path}: {error.problem}", remedy=error.remedy) from error


def view_batches(
    items: Sequence[Item],
    transform: Transform,
    *,
    batch_size: int,
    threads: int,
    prefetch: int = 2,
    pixels: Source = decoded,
) -> Iterator[NDArray[np.uint8]]:
    """Yield views of the images in their order, the same for any number of threads.

    Stopping early (closing the generator, an error, Ctrl-C) waits for the images in work and no
    more. OpenCV's own threads rest while any such generator is running.

    Args:
        items: The images.
        transform: From RGB pixels, shape (height, width, 3), and the item to a view. All views have
            one shape; it is called in several threads at once.
        batch_size: Images per batch; the last one may be smaller.
        threads: That read and transform.
        prefetch: Batches that are worked on ahead of the one in use.
        pixels: From an image to its RGB pixels; called in several threads at once.

    Yields:
        uint8, shape (n, view height, view width, 3); the consumer may keep it.

    Raises:
        ImageError: If an image is gone or cannot be read; the problem names its path. The batches
            before it are yielded first.
    """
    starts = iter(range(0, len(items), batch_size))
    stopped = threading.Event()
    waiting: deque[_Batch] = deque()
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="affinage-imaging")
    with _opencv_rests:
        try:
            while True:
                while len(waiting) <= prefetch and (start := next(starts, None)) is not None:
                    batch = _Batch(items[start : start + batch_size], pixels, transform, stopped)
                    batch.submit(pool, threads)
                    waiting.append(batch)
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)


def prepared_batches(
    items: Sequence[Item],
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    threads: int,
    prefetch: int = 2,
) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of evaluation views: `view_batches` with `prepare`."""
    return view_batches(
        items,
        lambda pixels, _: prepare(pixels, preprocessing),
        batch_size=batch_size,
        threads=threads,
        prefetch=prefetch,
    )


def augmented_batches(
    items: Sequence[Item],
    preprocessing: Preprocessing,
    settings: AugmentSettings,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    threads: int,
    prefetch: int = 2,
    draw: int = 0,
    pixels: Source = decoded,
) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of random views, which depend on (seed, epoch, image, draw) alone."""
    return view_batches(
        items,
        lambda pixels, item: augment(
            pixels, preprocessing, settings, generator(seed, epoch, item.image, draw)
        ),
        batch_size=batch_size,
        threads=threads,
        prefetch=prefetch,
        pixels=pixels,
    )


@dataclass(slots=True)
class _Batch:
    """Views that are being made; the array is there when the first of them is."""

    items: Sequence[Item]
    pixels: Source
    transform: Transform
    stopped: threading.Event
    lock: threading.Lock = field(default_factory=threading.Lock)
    views: NDArray[np.uint8] | None = None
    futures: list[Future[None]] = field(default_factory=list)

    def submit(self, pool: ThreadPoolExecutor, threads: int) -> None:
        """Hand out a few images at a time: one big image must not hold up a whole batch."""
        step = max(1, min(8, len(self.items) // max(1, threads)))
        self.futures = [
            pool.submit(self._fill, start, min(start + step, len(self.items)))
            for start in range(0, len(self.items), step)
        ]

    def result(self) -> NDArray[np.uint8]:
        for future in self.futures:
            future.result()
        assert self.views is not None
        return self.views

    def _fill(self, start: int, stop: int) -> None:
        for place in range(start, stop):
            if self.stopped.is_set():
                return
            view = self.transform(self.pixels(self.items[place]), self.items[place])
            with self.lock:
                if self.views is None:
                    self.views = np.empty((len(self.items), *view.shape), dtype=np.uint8)
            self.views[place] = view


class _OpenCVRests:
    """Keeps OpenCV to the thread that calls it, until the last of those who ask so is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._threads = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._asking == 0:
                self._threads = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._asking += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._asking -= 1
            if self._asking == 0:
                cv2.setNumThreads(self._threads)


_opencv_rests = _OpenCVRests()
