import signal
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from odd_files import jpeg, scene

from affinage.errors import ImageError
from affinage.imaging.batches import (
    Item,
    augmented_batches,
    prepared_batches,
    read,
    view_batches,
)
from affinage.imaging.decode import decode
from affinage.imaging.hashing import content_id
from affinage.imaging.resize import prepare
from affinage.records.preprocessing import Preprocessing
from affinage.records.settings.augment import AugmentSettings

SMALL = Preprocessing(width=32, height=32)


@pytest.fixture
def items(tmp_path):
    made = []
    for number in range(37):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg(scene(40 + number, 60, seed=number)))
        made.append(Item(content_id(path.read_bytes()), path))
    return made


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before = cv2.getNumThreads()
    yield
    assert not workers()
    assert cv2.getNumThreads() == before


def workers():
    return [thread for thread in threading.enumerate() if "imaging" in thread.name]


def alike(pixels, item):
    return prepare(pixels, SMALL)


def test_batches_are_the_views_in_order(items):
    batches = list(prepared_batches(items, SMALL, batch_size=8, threads=2))
    assert [batch.shape for batch in batches] == [(8, 32, 32, 3)] * 4 + [(5, 32, 32, 3)]
    expected = [prepare(decode(item.path.read_bytes()).pixels, SMALL) for item in items]
    assert np.array_equal(np.concatenate(batches), np.stack(expected))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_threads_and_batches_change_nothing(items, threads, batch_size):
    settings = AugmentSettings(rotation=20, brightness=0.2, contrast=0.2)

    def views(threads, batch_size):
        return np.concatenate(
            list(
                augmented_batches(
                    items, SMALL, settings, seed=3, epoch=1, batch_size=batch_size, threads=threads
                )
            )
        )

    assert np.array_equal(views(threads, batch_size), views(1, 8))


def test_the_order_of_images_does_not_change_their_views(items):
    def views(some):
        return np.concatenate(
            list(
                augmented_batches(
                    some, SMALL, AugmentSettings(), seed=0, epoch=0, batch_size=8, threads=2
                )
            )
        )

    assert np.array_equal(views(items), views(items[::-1])[::-1])


def test_no_images_are_no_batches():
    assert list(prepared_batches([], SMALL, batch_size=8, threads=2)) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_an_unreadable_image_is_named_after_the_batches_before_it(items, threads):
    items[20].path.write_bytes(b"<html>")
    items[20] = Item(content_id(b"<html>"), items[20].path)
    batches = prepared_batches(items, SMALL, batch_size=8, threads=threads)
    assert len(next(batches)) == 8
    assert len(next(batches)) == 8
    with pytest.raises(ImageError, match=r"20\.jpg: an HTML page") as caught:
        next(batches)
    assert caught.value.remedy


def test_of_several_unreadable_images_the_first_is_named(items):
    for number in (1, 3, 5):
        items[number].path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"/1\.jpg"):
        list(prepared_batches(items, SMALL, batch_size=8, threads=4))


def test_a_vanished_image_is_named(items):
    items[3].path.unlink()
    with pytest.raises(ImageError, match=r"3\.jpg: vanished since the scan"):
        list(prepared_batches(items, SMALL, batch_size=8, threads=2))


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="cannot be opened"):
        read(Item("x", tmp_path))


def test_a_path_that_no_system_has_is_named():
    with pytest.raises(ImageError, match="cannot be opened"):
        read(Item("x", Path("a\0b")))


def test_reading_checks_nothing_else(tmp_path):
    (tmp_path / "x").write_bytes(b"anything")
    assert read(Item("x", tmp_path / "x")) == b"anything"


def test_only_so_many_images_are_ahead(items):
    made = []

    def count(pixels, item):
        made.append(item)
        return alike(pixels, item)

    batches = view_batches(items, count, batch_size=4, threads=2, prefetch=2)
    next(batches)
    time.sleep(0.2)
    assert len(made) <= 12
    batches.close()


def test_stopping_early_stops_the_threads(items):
    batches = prepared_batches(items, SMALL, batch_size=4, threads=2)
    next(batches)
    assert workers()
    assert cv2.getNumThreads() == 1
    batches.close()
    assert not workers()


def test_forgetting_the_iterator_stops_the_threads(items):
    next(prepared_batches(items, SMALL, batch_size=4, threads=2))
    assert not workers()


def test_an_iterator_never_started_starts_nothing(items):
    batches = prepared_batches(items, SMALL, batch_size=4, threads=2)
    assert not workers()
    batches.close()


def test_ctrl_c_ends_it(items):
    done = []

    def slow(pixels, item):
        time.sleep(0.05)
        done.append(item)
        return alike(pixels, item)

    # A test run in the background of a shell ignores the signal unless told otherwise.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        batches = view_batches(items, slow, batch_size=30, threads=2)
        main = threading.main_thread().ident
        timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            next(batches)
        timer.join()
        batches.close()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(done) < len(items)  # What was in work was ended, the rest was not begun.


def test_an_error_of_the_transform_is_raised_as_it_is(items):
    def fail(pixels, item):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(view_batches(items, fail, batch_size=4, threads=2))


def test_views_of_two_shapes_are_an_error(items):
    with pytest.raises(ValueError, match="shape"):
        list(view_batches(items, lambda pixels, _: pixels, batch_size=8, threads=2))


def test_two_at_once_leave_opencv_as_it_was(items):
    before = cv2.getNumThreads()
    first = prepared_batches(items, SMALL, batch_size=4, threads=1)
    second = prepared_batches(items, SMALL, batch_size=4, threads=1)
    next(first)
    next(second)
    first.close()
    assert cv2.getNumThreads() == 1
    second.close()
    assert cv2.getNumThreads() == before


def test_the_consumer_may_keep_and_change_a_batch(items):
    batches = prepared_batches(items, SMALL, batch_size=8, threads=2)
    first = next(batches)
    kept = first.copy()
    next(batches)[:] = 0
    assert np.array_equal(first, kept)
    batches.close()


def test_decoding_in_many_threads_gives_the_same_pixels():
    from concurrent.futures import ThreadPoolExecutor

    from odd_files import every_kind

    kinds = list(every_kind().values())
    expected = [decode(data).pixels for data in kinds]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(decode, kinds * 5))
    assert all(
        np.array_equal(one.pixels, expected[place % len(kinds)]) for place, one in enumerate(found)
    )
