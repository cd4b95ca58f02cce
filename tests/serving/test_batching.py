import threading
import time

import pytest

from affinage.serving.batching import TOGETHER, Batcher, Busy


@pytest.fixture
def make():
    made = []

    def of(answer, **told):
        made.append(Batcher(answer, **{"threads": 1, "batch": 4, "waiting": 8, **told}))
        return made[-1]

    yield of
    for one in made:
        one.close()


class Gate:
    """Answers nothing until it is opened, and remembers the batches."""

    def __init__(self):
        self.open, self.batches = threading.Event(), []

    def __call__(self, asked):
        self.batches.append(list(asked))
        assert self.open.wait(10)
        return [one * 2 for one in asked]


def until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_each_gets_its_own_answer(make):
    batcher = make(lambda asked: [one * 2 for one in asked], threads=3, waiting=200)
    futures = [batcher.submit([k, k + 1]) for k in range(50)]
    answers = [[future.result(5) for future in pair] for pair in futures]
    assert answers == [[2 * k, 2 * k + 2] for k in range(50)]


def test_what_gathers_while_one_is_computed_is_computed_together(make):
    gate = Gate()
    batcher = make(gate)
    first = batcher.submit([1])
    until(lambda: gate.batches)
    rest = batcher.submit([2, 3, 4, 5, 6])
    gate.open.set()
    assert [future.result(5) for future in (*first, *rest)] == [2, 4, 6, 8, 10, 12]
    assert [len(batch) for batch in gate.batches] == [1, 4, 1]


def test_more_than_may_wait_is_refused_as_a_whole_and_says_when_to_come_again(make):
    gate = Gate()
    batcher = make(gate)
    kept = batcher.submit(list(range(7)))
    with pytest.raises(Busy, match="7 images are waiting") as busy:
        batcher.submit([1, 2])
    assert 1 <= busy.value.seconds <= 60
    kept += batcher.submit([9])
    gate.open.set()
    assert len([future.result(5) for future in kept]) == 8
    until(lambda: batcher.waiting == 0)
    assert batcher.submit([1])[0].result(5) == 2


def test_a_thread_lives_on_after_an_error(make):
    def answer(asked):
        if asked[0] < 0:
            raise ValueError(asked[0])
        return [one if one else KeyError("zero") for one in asked]

    batcher = make(answer, batch=1)
    with pytest.raises(ValueError, match="-1"):
        batcher.submit([-1])[0].result(5)
    with pytest.raises(KeyError):
        batcher.submit([0])[0].result(5)
    assert batcher.submit([3])[0].result(5) == 3


def test_one_that_is_given_up_is_not_computed(make):
    gate = Gate()
    batcher = make(gate, batch=1)
    batcher.submit([1])
    until(lambda: gate.batches)
    second = batcher.submit([2])[0]
    assert second.cancel()
    gate.open.set()
    batcher.close()
    assert gate.batches == [[1]]


def test_closing_answers_what_was_accepted_and_takes_no_more(make):
    batcher = make(lambda asked: (time.sleep(0.01), asked)[1], threads=2, waiting=50)
    futures = batcher.submit(list(range(40)))
    batcher.close()
    assert [future.result(0) for future in futures] == list(range(40))
    with pytest.raises(Busy):
        batcher.submit([1])


def test_a_long_queue_is_taken_several_at_a_time_even_where_each_is_computed_alone(make):
    gate = Gate()
    batcher = make(gate, batch=1, waiting=40)
    first = batcher.submit([0])
    until(lambda: gate.batches)
    rest = batcher.submit(list(range(1, 16)))
    gate.open.set()
    assert [future.result(5) for future in (*first, *rest)] == [2 * k for k in range(16)]
    sizes = [len(batch) for batch in gate.batches]
    assert max(sizes) == TOGETHER
    assert sizes[-1] == 1  # A short one is not: its first would wait for its last.


def test_with_two_threads_one_image_each_is_taken_while_few_wait(make):
    gate = Gate()
    batcher = make(gate, threads=2, batch=1, waiting=40)
    futures = batcher.submit([1, 2, 3])
    until(lambda: len(gate.batches) == 2)
    assert [len(batch) for batch in gate.batches] == [1, 1]
    gate.open.set()
    assert [future.result(5) for future in futures] == [2, 4, 6]
