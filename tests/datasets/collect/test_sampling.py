"""The sample of each class: the rows with the lowest lots that bring an image."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from affinage.datasets.collect.blocking import Blocklist
from affinage.datasets.collect.ledger import Ledger, address_number, lot, row_key
from affinage.datasets.collect.planning import plan
from affinage.datasets.collect.settling import Ending, Image, settle
from affinage.datasets.collect.table_rows import AddressTable

FREE = Blocklist()
NUMBERS = st.integers(min_value=0, max_value=60)


def table(rows):
    rows = [(f"http://h{n % 3}.example/{n}", label, [], None) for n, label in rows]
    return AddressTable(digest=str(hash(tuple(map(str, rows)))), columns=(), rows=iter(rows))


def image(number):
    return Image(id=f"{number:064x}", bytes=1, width=1, height=1, format="PNG")


def states(ledger):
    found = ledger.database.execute(
        "SELECT url, spellings.label, state FROM rows JOIN spellings ON spellings.id = spelling"
    )
    return {(url, label): state for url, label, state in found}


def fetch_all(ledger, quota, broken, same, order):
    """End whatever waits, in some order, until nothing does."""
    while True:
        waiting = ledger.database.execute(
            "SELECT DISTINCT url FROM rows WHERE state = 'waiting' ORDER BY id"
        ).fetchall()
        if not waiting:
            return
        url = waiting[order % len(waiting)][0]
        number = int(url.rpartition("/")[2])
        ending = {"url": url, "address": address_number(url)}
        if number in broken:
            settle(ledger, quota, [Ending(**ending, reason="broken")])
        else:
            settle(ledger, quota, [Ending(**ending, image=image(same.get(number, number)))])


def expected(rows, broken, same, wanted, seed):
    """The slow reference: go through each class by lot, and take what brings a new image."""
    chosen = set()
    for label in {label for _, label in rows}:
        urls = {f"http://h{n % 3}.example/{n}": n for n, given in rows if given == label}
        taken = set()
        for url in sorted(urls, key=lambda one: lot(seed, row_key(one, label))):
            if len(taken) == wanted:
                break
            if urls[url] not in broken:
                taken.add(same.get(urls[url], urls[url]))
                chosen.add((url, label))
    return chosen


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(NUMBERS, st.sampled_from(["ant", "bee", "cat"])),
        max_size=60,
        unique_by=lambda row: row[0],
    ),
    broken=st.sets(NUMBERS, max_size=25),
    twins=st.integers(min_value=1, max_value=10),
    wanted=st.integers(min_value=1, max_value=12),
    order=st.integers(min_value=0, max_value=7),
    seed=st.integers(min_value=0, max_value=3),
    stop=st.integers(min_value=0, max_value=5),
)
def test_the_sample_is_the_first_of_each_lot_whatever_the_order(
    rows, broken, twins, wanted, order, seed, stop
):
    labels = dict(rows)
    # Some pairs of one class are the same image.
    same = {n: n - 1 for n in labels if n % (10 + twins) == 1 and labels.get(n - 1) == labels[n]}
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "l.sqlite")
        ledger.read_table(table(rows), seed=seed, sampled=True)
        for _ in range(stop):  # Plans made again change nothing.
            quota = plan(ledger, FREE, per_class=wanted, seed=seed, retry_failed=False)
        quota = plan(ledger, FREE, per_class=wanted, seed=seed, retry_failed=False)
        fetch_all(ledger, quota, broken, same, order)
        kept = {row for row, state in states(ledger).items() if state == "kept"}
        ledger.close()
    if not same:
        assert kept == expected(rows, broken, same, wanted, seed)
    for label in set(labels.values()):
        urls = [int(url.rpartition("/")[2]) for url, given in kept if given == label]
        images = {same.get(n, n) for n in urls}
        there = {same.get(n, n) for n, given in rows if given == label and n not in broken}
        assert len(images) == min(wanted, len(there))


@settings(max_examples=25, deadline=None)
@given(
    first=st.lists(NUMBERS, max_size=30, unique=True),
    second=st.lists(NUMBERS, max_size=30, unique=True),
    wanted=st.integers(min_value=1, max_value=10),
    more=st.integers(min_value=0, max_value=10),
)
def test_rows_that_are_added_do_not_touch_those_that_were_had(first, second, wanted, more):
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "l.sqlite")
        ledger.read_table(table([(n, "ant") for n in first]), seed=0, sampled=True)
        quota = plan(ledger, FREE, per_class=wanted, seed=0, retry_failed=False)
        fetch_all(ledger, quota, set(), {}, 0)
        before = {row for row, state in states(ledger).items() if state == "kept"}
        ledger.read_table(table([(n, "ant") for n in first + second]), seed=0, sampled=True)
        quota = plan(ledger, FREE, per_class=wanted + more, seed=0, retry_failed=False)
        fetch_all(ledger, quota, set(), {}, 0)
        after = {row for row, state in states(ledger).items() if state == "kept"}
        assert before <= after
        assert len(after) == min(wanted + more, len({*first, *second}))
        plan(ledger, FREE, per_class=None, seed=0, retry_failed=False)
        assert set(states(ledger).values()) <= {"kept", "waiting"}
        ledger.close()


def test_bytes_under_two_labels_count_for_neither(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.read_table(
        table([(n, "ant") for n in range(6)] + [(9, "bee"), (10, "bee")]), seed=0, sampled=True
    )
    quota = plan(ledger, FREE, per_class=2, seed=0, retry_failed=False)
    first = min(range(6), key=lambda n: lot(0, row_key(f"http://h{n % 3}.example/{n}", "ant")))
    fetch_all(ledger, quota, set(), {9: first}, 0)
    kept = [label for (_, label), state in states(ledger).items() if state == "kept"]
    assert kept.count("ant") == 3  # One of them is the bee's too.
    ledger.close()


def test_another_seed_draws_other_rows(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.read_table(table([(n, "ant") for n in range(40)]), seed=0, sampled=True)
    plan(ledger, FREE, per_class=10, seed=0, retry_failed=False)
    first = {row for row, state in states(ledger).items() if state == "waiting"}
    ledger.database.execute("UPDATE rows SET state = 'not-sampled'")
    plan(ledger, FREE, per_class=10, seed=1, retry_failed=False)
    assert first != {row for row, state in states(ledger).items() if state == "waiting"}
    plan(ledger, FREE, per_class=4, seed=1, retry_failed=False)
    assert list(states(ledger).values()).count("waiting") == 4
    ledger.close()
