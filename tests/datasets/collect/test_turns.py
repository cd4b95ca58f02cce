from yarl import URL

from affinage.datasets.collect.limits import Limits
from affinage.datasets.collect.turns import Job, Turns

LONGEST = Limits().longest_wait


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refusals_until_given_up(asks_for: float) -> tuple[int, float]:
    """Return how often a host that always asks to wait is asked, and for how long."""
    clock = Clock()
    turns = Turns(Limits(), clock)
    host = turns.host("a.example")
    job = Job(url="http://a.example/1", address=1, home=1, at=URL("http://a.example/1"))
    for asked in range(1, 100):
        host.active += 1
        turns.throttled(host, job, asks_for, "answered 429")
        if host.down is not None:
            return asked, clock.now
        clock.now = host.resumes
    raise AssertionError


def test_a_host_that_asks_for_an_hour_is_waited_for_once():
    assert refusals_until_given_up(3600.0) == (2, LONGEST)


def test_a_host_that_asks_for_little_is_asked_until_the_longest_wait_is_over():
    asked, seconds = refusals_until_given_up(10.0)
    assert LONGEST <= seconds <= LONGEST + 10.0
    assert asked > Limits().patience


def test_a_host_that_never_answered_but_asked_to_wait_is_known_to_rest():
    clock = Clock()
    turns = Turns(Limits(), clock)
    host = turns.host("a.example")
    job = Job(url="http://a.example/1", address=1, home=1, at=URL("http://a.example/1"))
    host.active = 1
    turns.throttled(host, job, 30.0, "answered 429")
    turns.add(job, host.name, first=True)
    clock.now = 10.0
    assert turns.rests() == [20.0]
