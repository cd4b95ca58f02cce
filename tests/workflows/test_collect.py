import contextlib
import errno
import functools
import hashlib
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time

import polars as pl
import pytest

from affinage.datasets.collect import guard, shelf
from affinage.datasets.collect.ledger import Ledger
from affinage.datasets.collect.tally import Standing
from affinage.errors import AffinageError, DataError, Interrupted, RecipeError
from affinage.store.dataset_folder import DatasetFolder
from affinage.workflows import collect as module
from affinage.workflows.collect import collect
from datasets.collect.site import Site, name, picture

QUICK = {
    "allow_private": True, "timeout": 2.5, "read_timeout": 1.0, "connect_timeout": 1.0,
    "retries": 1, "max_bytes": "1MB", "concurrency": 64,
}  # fmt: skip
get = functools.partial(collect, **QUICK)


@pytest.fixture
def site():
    with Site() as running:
        yield running


def write(folder, rows, header="url,label", file="t.csv"):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / file


def rows_of(data):
    return {
        (row["url"], row["label"]): row
        for row in DatasetFolder(data).load_manifest().table.iter_rows(named=True)
    }


def files_of(data):
    return sorted(str(path.relative_to(data)) for path in (data / "images").rglob("*.*"))


def test_a_table_becomes_a_data_set_that_can_be_loaded(site, tmp_path):
    rows = [(site.url("ok", n, host=n % 3 + 1), f"digit {n % 2}", f"S{n}") for n in range(20)]
    result = get(write(tmp_path, rows, "URL,Label,slide"), tmp_path / "d")
    assert (result.rows, result.kept, result.failed, result.images) == (20, 20, 0, 20)
    assert result.per_class == {"digit 0": 10, "digit 1": 10}
    manifest = DatasetFolder(tmp_path / "d").load_manifest()
    assert manifest.label_order == ("digit 0", "digit 1")
    assert manifest.sources == {"collected": str((tmp_path / "d").resolve())}
    assert manifest.table["key"].is_sorted()
    found = rows_of(tmp_path / "d")
    for n, (url, label, slide) in enumerate(rows):
        row = found[url, label]
        assert (row["image"], row["slide"], row["status"]) == (name(n), slide, "kept")
        assert row["domain"] == f"127.0.0.{n % 3 + 1}"
        file = tmp_path / "d" / row["path"]
        assert file.read_bytes() == picture(n)
        assert (row["bytes"], row["modified"]) == (file.stat().st_size, file.stat().st_mtime_ns)
        assert (row["width"], row["height"], row["format"]) == (32, 32, "PNG")
    agent = next(line for line in site.headers if line.lower().startswith("user-agent"))
    assert "affinage/" in agent


MISBEHAVIOUR = {
    "error": "answered 500 Internal Server Error",
    "nothing": "answered 404 Not Found",
    "html": "an HTML page, not an image",
    "empty": "an empty file (0 bytes)",
    "stall": "no data for 1 s",
    "dribble": "not complete within 2.5 s",
    "short": "cut off: less arrived than was announced",
    "long": ("truncated", "an answer that is not HTTP"),  # As the pieces happen to arrive.
    "cut": "truncated",
    "reset": "the connection was closed without a whole answer",
    "noise": "an answer that is not HTTP",
    "huge": "larger than the limit of 1,000,000 bytes",
    "endless": "larger than the limit of 1,000,000 bytes",
    "bomb": "larger unpacked than the limit of 1,000,000 bytes",
    "circle": "redirected in a circle",
    "tofile": "redirected to an address with 'file:', not http: or https:",
    "nowhere": "redirected to an address without a host",
}


def test_the_manifest_is_right_to_the_row_whatever_servers_do(site, tmp_path):
    good = [
        (site.url(kind, n, host=200), "good")
        for kind in ("ok", "chunked", "packed")
        for n in range(5)
    ]
    good += [(site.url("soon", 21, host=201), "good"), (site.url("flaky", 22, host=202), "good")]
    good += [(site.url("hops", 4, host=203), "good"), (site.url("over", 23, host=204), "good")]
    bad = [(site.url(kind, 1, host=n), "bad") for n, kind in enumerate(MISBEHAVIOUR, start=1)]
    bad += [(site.url("hops", 5, host=40), "bad")]
    began = time.monotonic()
    result = get(write(tmp_path, good + bad), tmp_path / "d")
    found = rows_of(tmp_path / "d")
    for url, label in good:
        row = found[url, label]
        number = 7 if "/hops/" in url else int(url.rpartition("/")[2].removesuffix(".png"))
        assert (row["status"], row["image"]) == ("kept", name(number)), (url, row["reason"])
    for (url, label), why in zip(
        bad, [*MISBEHAVIOUR.values(), "more than 5 redirects"], strict=True
    ):
        row = found[url, label]
        assert row["status"] == "failed", url
        reasons = (why,) if isinstance(why, str) else why
        assert any(one in row["reason"] for one in reasons), (url, row["reason"])
        assert (row["image"], row["path"]) == (None, "")
    assert result.rows == len(good) + len(bad) == result.kept + result.failed
    assert sum(one.rows for one in result.failures) == result.failed
    assert len(files_of(tmp_path / "d")) == result.images
    assert not (tmp_path / "d" / ".incoming").exists()
    assert time.monotonic() - began < 15


def test_hosts_that_ask_to_wait_hold_up_nobody_else(site, tmp_path):
    rows = [(site.url("soon", n, host=2), "x") for n in range(2)]
    rows += [(site.url("ok", 100 + n, host=3), "x") for n in range(30)]
    assert get(write(tmp_path, rows), tmp_path / "d").kept == 32
    quick = [when for when, host, _ in site.times if host == "127.0.0.3"]
    slow = [when for when, host, _ in site.times if host == "127.0.0.2"]
    assert max(quick) - min(quick) < 1.0
    assert slow[-1] - slow[0] >= 1.0


def test_no_host_gets_more_than_its_share(tmp_path):
    with Site(latency=0.02) as site:
        rows = [(site.url("ok", n, host=n % 2 + 1), "x") for n in range(80)]
        get(write(tmp_path, rows), tmp_path / "d", per_host=3)
        assert site.most_active["127.0.0.1"] <= 3
        assert site.most_active["127.0.0.2"] <= 3
        assert max(site.most_active.values()) > 1
        assert set(site.asked.values()) == {1}


def test_a_rate_is_kept_for_each_host(site, tmp_path):
    rows = [(site.url("ok", n, host=n % 2 + 1), "x") for n in range(12)]
    get(write(tmp_path, rows), tmp_path / "d", rate=10.0)
    for host in ("127.0.0.1", "127.0.0.2"):
        times = sorted(when for when, at, _ in site.times if at == host)
        assert times[-1] - times[0] >= 0.45


def test_a_dead_host_is_given_up_and_can_be_tried_again(site, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.5", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(module, "Limits", functools.partial(module.Limits, rest=0.2, backoff=0.01))
    rows = [(f"http://127.0.0.5:{port}/ok/{n}.png", "x") for n in range(300)]
    table = write(tmp_path, [*rows, (site.url("ok", 1), "y")])
    result = get(table, tmp_path / "d")
    assert (result.kept, result.failed) == (1, 300)
    assert {one.reason for one in result.failures} <= {
        "connection refused", "its host was given up: connection refused"
    }  # fmt: skip
    assert get(table, tmp_path / "d").failed == 300
    monkeypatch.setattr(socket, "socket", socket.socket)
    again = get(table, tmp_path / "d", retry_failed=True)
    assert (again.kept, again.failed) == (1, 300)
    assert sum(site.asked.values()) == 1


def test_failures_are_tried_again_when_asked(site, tmp_path):
    table = write(tmp_path, [(site.url("flaky", n), "x") for n in range(4)] + [("nothing", "x")])
    assert get(table, tmp_path / "d", retries=0).failed == 5
    assert get(table, tmp_path / "d", retries=0).failed == 5
    again = get(table, tmp_path / "d", retries=0, retry_failed=True)
    assert (again.kept, again.failed) == (4, 1)
    assert again.failures[0].reason == "an address with no scheme, not http: or https:"


def test_rows_of_one_address_and_equal_rows(site, tmp_path):
    one, other = site.url("ok", 1), site.url("ok", 2)
    same = site.url("robots", 2)  # The bytes of `other` at another address.
    table = write(
        tmp_path, [(one, "a"), (one, "b"), (one, " a "), (other, "c"), (same, "c"), (other, "c")]
    )
    result = get(table, tmp_path / "d")
    assert (result.rows, result.repeated, result.images) == (4, 2, 1)
    assert set(site.asked.values()) == {1}
    found = rows_of(tmp_path / "d")
    assert found[one, "a"]["status"] == found[one, "b"]["status"] == "excluded"
    assert found[one, "a"]["reason"] == "same bytes under labels a, b"
    assert found[other, "c"]["path"] == found[same, "c"]["path"]
    assert result.per_class == {"c": 1}
    assert len(files_of(tmp_path / "d")) == 2


def test_added_rows_are_added_and_nothing_else_is_asked_again(site, tmp_path):
    first = [(site.url("ok", n), "x") for n in range(5)]
    get(write(tmp_path, first), tmp_path / "d")
    more = [(site.url("ok", 9), "y", "far"), (first[0][0], "z", "near")]
    result = get(write(tmp_path, [*more, *first], "url,label,place"), tmp_path / "d")
    assert (result.rows, set(site.asked.values())) == (7, {1})
    found = rows_of(tmp_path / "d")
    assert found[more[0][0], "y"]["place"] == "far"
    assert found[first[0][0], "z"]["image"] == name(0)
    assert found[first[1][0], "x"]["place"] is None


def test_a_sample_is_topped_up_where_rows_fail(site, tmp_path):
    rows = [
        (site.url("ok" if n % 3 else "nothing", n, host=n % 4 + 1), "ab"[n % 2]) for n in range(90)
    ]
    result = get(write(tmp_path, rows), tmp_path / "d", per_class=12)
    assert result.per_class == {"a": 12, "b": 12}
    assert sum(site.asked.values()) == result.kept + result.failed < 60
    assert result.kept + result.failed + result.excluded == 90
    reasons = DatasetFolder(tmp_path / "d").load_manifest().table["reason"].drop_nulls().unique()
    assert set(reasons) == {
        "answered 404 Not Found", "not sampled: 12 images of its class are enough"
    }  # fmt: skip
    assert get(write(tmp_path, rows), tmp_path / "d", per_class=14).images == 28
    assert get(write(tmp_path, rows), tmp_path / "d").excluded == 0


def test_what_is_blocked_is_not_asked_for_and_what_was_had_is_kept_aside(site, tmp_path):
    rows = [(site.url("ok", n, host=n), "x") for n in range(1, 5)]
    rows += [(site.url("blockedway", 5, host=9), "x"), (site.url("html", 6, host=3), "x")]
    table = write(tmp_path, rows)
    (tmp_path / "block.txt").write_text("127.0.0.66\n127.0.0.3/ok/*\n")
    result = get(table, tmp_path / "d", block=["127.0.0.2"], block_file=tmp_path / "block.txt")
    found = rows_of(tmp_path / "d")
    reasons = {url: row["reason"] for (url, _), row in found.items() if row["status"] == "excluded"}
    assert reasons == {
        rows[1][0]: "blocked: 127.0.0.2",
        rows[2][0]: "blocked: 127.0.0.3/ok/*",
        rows[4][0]: "blocked: 127.0.0.66, where a redirect led",
    }
    assert (result.kept, result.excluded, result.failed) == (2, 3, 1)
    assert {host for _, host, _ in site.times} == {
        "127.0.0.1",
        "127.0.0.3",
        "127.0.0.4",
        "127.0.0.9",
    }
    assert get(table, tmp_path / "d").kept == 5
    late = get(table, tmp_path / "d", block=["127.0.0.1"])
    assert (late.kept, late.excluded) == (4, 1)
    row = rows_of(tmp_path / "d")[rows[0][0], "x"]
    assert (row["status"], row["image"]) == ("excluded", name(1))
    assert (tmp_path / "d" / row["path"]).exists()


def test_robots_are_obeyed_when_asked(site, tmp_path, monkeypatch):
    async def rules(self, path, host, writer):
        body = b"User-agent: *\nDisallow: /ok/\nAllow: /\n"
        if path == "/robots.txt" and host == "127.0.0.1":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            await answer(self, path, host, writer)

    answer = Site._answer
    monkeypatch.setattr(Site, "_answer", rules)
    rows = [
        (site.url("ok", 1), "x"),
        (site.url("robots", 2), "x"),
        (site.url("ok", 3, host=2), "x"),
    ]
    result = get(write(tmp_path, rows), tmp_path / "d", robots=True)
    assert (result.kept, result.failed) == (2, 1)
    assert result.failures[0].reason == "its site's robots.txt forbids it"
    assert get(write(tmp_path, rows), tmp_path / "e").kept == 3


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]",
     "[::ffff:127.0.0.1]", "user@127.0.0.1", "0", "169.254.169.254", "10.0.0.1"],
)  # fmt: skip
def test_inner_addresses_are_refused_in_every_spelling(site, tmp_path, host):
    table = write(tmp_path, [(f"http://{host}:{site.port}/ok/1.png", "x")])
    result = collect(table, tmp_path / "d", timeout=2.0, retries=0)
    assert (result.kept, result.failed) == (0, 1)
    assert not site.asked


def test_names_that_lead_inward_are_refused_where_they_are_connected(site, tmp_path, monkeypatch):
    look_up = socket.getaddrinfo

    def lying(host, *rest, **more):
        return look_up("127.0.0.1" if host == "pictures.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    table = write(tmp_path, [(f"http://pictures.example:{site.port}/ok/1.png", "x")])
    result = collect(table, tmp_path / "d", timeout=2.0, retries=0)
    assert result.failures[0].reason == "its host is at a loopback address, which is not asked"
    assert not site.asked
    assert get(table, tmp_path / "d", retry_failed=True).kept == 1


def test_redirects_inward_are_refused(site, tmp_path, monkeypatch):
    refuse = guard.refusal
    monkeypatch.setattr(guard, "refusal", lambda one: None if one == "127.0.0.7" else refuse(one))
    table = write(
        tmp_path, [(site.url("inward", 1, host=7), "x"), (site.url("ok", 2, host=7), "x")]
    )
    result = collect(table, tmp_path / "d", timeout=2.0, retries=0)
    assert (result.kept, result.failed) == (1, 1)
    assert result.failures[0].reason.startswith(
        "redirected to a place that cannot be asked: its host"
    )
    assert "loopback" in result.failures[0].reason
    assert {host for _, host, _ in site.times} == {"127.0.0.7"}


def test_names_from_the_table_never_become_paths(site, tmp_path):
    evil = [
        "../../../escape",
        "/etc/cron.d/x",
        "a/../../b",
        "<script>alert(1)</script>",
        "..",
        "C:\\x",
    ]
    rows = [
        (f"http://127.0.0.1:{site.port}/ok/{n}.png?f=../../../../x", f'"{one}"')
        for n, one in enumerate(evil)
    ]
    rows += [
        ("file:///etc/passwd", "x"),
        ("../../../../etc/passwd", "x"),
        ("", "x"),
        (site.url("ok", 50), ""),
    ]
    result = get(write(tmp_path, rows), tmp_path / "deep" / "d")
    assert (result.kept, result.failed) == (6, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "t.csv"]
    manifest = DatasetFolder(tmp_path / "deep" / "d").load_manifest()
    paths = manifest.table["path"].to_list()
    assert all(one == "" or one.startswith("images/") for one in paths)
    assert set(manifest.label_order) == set(evil)


def test_labels_that_differ_by_case_are_one_class_and_splits_are_kept(site, tmp_path):
    rows = [(site.url("ok", n), label, part) for n, (label, part) in enumerate(
        [("Ant", "train"), ("ant ", "Test"), ("Ant", "valid"), ("bee", ""), ("bee", "sometimes")]
    )]  # fmt: skip
    result = get(write(tmp_path, rows, "url,label,split"), tmp_path / "d", per_class=5)
    table = DatasetFolder(tmp_path / "d").load_manifest().table.sort("url")
    assert table["label"].to_list() == ["Ant", "Ant", "Ant", "bee", "bee"]
    assert table["part"].to_list() == ["train", "test", "validation", None, None]
    assert table["reason"].drop_nulls().to_list() == [
        "split 'sometimes' is not train, validation or test"
    ]
    assert result.kept == 4


def test_parquet_tables_and_their_columns(site, tmp_path):
    table = pl.DataFrame({
        "label": [1, 2], "URL": [site.url("ok", 1), site.url("ok", 2)], "domain": ["x", None],
    })  # fmt: skip
    table.write_parquet(tmp_path / "t.parquet")
    assert get(tmp_path / "t.parquet", tmp_path / "d").per_class == {"1": 1, "2": 1}
    assert rows_of(tmp_path / "d")[site.url("ok", 1), "1"]["domain_given"] == "x"


COMMAND = (
    "import sys; from affinage.workflows.collect import collect;"
    "r = collect(sys.argv[1], sys.argv[2], allow_private=True, retries=1, per_host=4,"
    " per_class=int(sys.argv[3]) or None); print(r.kept, r.waiting)"
)


def run(table, data, per_class=0, **more):
    arguments = [sys.executable, "-c", COMMAND, str(table), str(data), str(per_class)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


@pytest.mark.parametrize("per_class", [0, 90])
def test_killed_at_any_moment_nothing_is_lost_doubled_or_mislabelled(tmp_path, per_class):
    chance = random.Random(per_class)
    with Site(latency=0.03) as site:
        kinds = ("ok", "ok", "ok", "ok", "nothing", "html", "ok")
        rows = [(site.url(kinds[n % 7], n, host=n % 6 + 1), f"class {n % 3}") for n in range(420)]
        table = write(tmp_path, rows)
        for _ in range(4):
            work = run(table, tmp_path / "d", per_class)
            while not (tmp_path / "d" / "collect.sqlite").exists() and work.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.1, 0.6))
            work.send_signal(signal.SIGKILL)
            work.communicate()
        work = run(table, tmp_path / "d", per_class)
        out, errors = work.communicate(timeout=60)
    assert work.returncode == 0, errors
    found = rows_of(tmp_path / "d")
    assert len(found) == len(rows)
    for n, (url, label) in enumerate(rows):
        row = found[url, label]
        if row["status"] == "kept":
            assert (row["image"], kinds[n % 7]) == (name(n), "ok")
            data = (tmp_path / "d" / row["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == name(n)
        elif row["status"] == "failed":
            assert kinds[n % 7] != "ok"
        else:
            assert per_class
    kept = sum(row["status"] == "kept" for row in found.values())
    assert kept == (3 * per_class or sum(kinds[n % 7] == "ok" for n in range(420)))
    assert out.split() == [str(kept).encode(), b"0"]
    assert files_of(tmp_path / "d") == sorted(row["path"] for row in found.values() if row["image"])
    assert not (tmp_path / "d" / ".incoming").exists()


def test_ctrl_c_ends_in_order_and_the_same_call_goes_on(tmp_path):
    with Site(latency=0.05) as site:
        table = write(tmp_path, [(site.url("ok", n), "x") for n in range(200)])

        class Impatient:
            def phase(self, phase, done, total):
                if phase == "collecting" and done > 10:
                    raise KeyboardInterrupt

            def say(self, text):
                pass

        with pytest.raises(Interrupted, match="still to fetch"):
            get(table, tmp_path / "d", reporter=Impatient())
        table_of_first = DatasetFolder(tmp_path / "d").load_manifest().table
        assert table_of_first.height == 200
        unfinished = table_of_first.filter(pl.col("status") == "failed")
        assert set(unfinished["reason"]) == {"not fetched yet: give the same command again"}
        assert get(table, tmp_path / "d").kept == 200
        assert sum(site.asked.values()) <= 200 + 64


def test_the_command_prints_how_to_go_on_and_the_json(site, tmp_path):
    table = write(tmp_path, [(site.url("ok", 1), "x"), (site.url("nothing", 2), "x")])
    code = "from affinage.cli.collect import collect; import typer; typer.run(collect)"
    arguments = [sys.executable, "-c", code, table, "--into", tmp_path / "d", "--allow-private"]
    done = subprocess.run([*arguments, "--json"], capture_output=True, check=True)
    printed = json.loads(done.stdout)
    assert printed["format"] == 1
    assert printed["command"] == "collect"
    assert (printed["kept"], printed["failures"][0]["rows"]) == (1, 1)
    shown = subprocess.run(arguments, capture_output=True, check=True).stdout.decode()
    assert "answered 404 Not Found" in shown
    assert "2 rows: 1 kept, 1 failed" in shown
    again = shlex.join(map(str, arguments[3:]))
    assert f"retry   affinage {again} --retry-failed" in shown.splitlines()
    stalling = write(tmp_path, [(site.url("stall", 1), "x")], file="u.csv")
    arguments[3] = stalling
    work = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    while not site.asked["/stall/1.png"]:
        time.sleep(0.02)
    work.send_signal(signal.SIGTERM)
    _, errors = work.communicate(timeout=180)
    assert work.returncode == 130
    assert "Go on: affinage" in errors.decode()


def test_where_nothing_was_had_the_command_says_what_may_help(site, tmp_path):
    rows = [(site.url("ok", 1), "x"), (site.url("nothing\x1b[2J", 2), "x\x1b[31m")]
    table = write(tmp_path, rows)
    code = "from affinage.cli.collect import collect; import typer; typer.run(collect)"
    arguments = [sys.executable, "-c", code, table, "--into", tmp_path / "d"]
    shown = subprocess.run(arguments, capture_output=True, check=True).stdout.decode()
    assert "with --allow-private" in shown
    assert "affinage train" not in shown
    again = [*arguments, "--allow-private", "--retry-failed"]
    shown += subprocess.run(again, capture_output=True, check=True).stdout.decode()
    assert "1 kept, 1 failed" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("resting", "rest", "told"),
    [(0, 0.0, "5 images/s"), (1, 110.0, "5 images/s; 1 host rests, for 1 min 50 s more"),
     (2, 9.0, "5 images/s; 2 hosts rest, for 9 s more")],
)  # fmt: skip
def test_progress_says_who_rests(resting, rest, told):
    standing = Standing(done=9, waiting=0, kept=9, per_second=5.0, resting=resting, rest=rest)
    assert module.sentence(standing) == told


def test_a_full_disk_is_told_and_the_same_call_goes_on(site, tmp_path, monkeypatch):
    table = write(tmp_path, [(site.url("ok", n), "x") for n in range(40)])
    sync = shelf._sync
    monkeypatch.setattr(
        shelf, "_sync", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
    )
    with pytest.raises(AffinageError, match="is full"):
        get(table, tmp_path / "d")
    monkeypatch.setattr(shelf, "_sync", sync)
    assert get(table, tmp_path / "d").kept == 40
    with contextlib.closing(Ledger(tmp_path / "d" / "collect.sqlite")) as ledger:
        ledger.database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(AffinageError, match="cannot be written"):
            much(ledger)


def much(ledger):
    with ledger.transaction():
        ledger.remember("much", "x" * 10_000_000)


def test_two_collections_into_one_folder_are_refused(site, tmp_path):
    table = write(tmp_path, [(site.url("stall", 1), "x")])
    work = run(table, tmp_path / "d")
    while not site.asked:
        time.sleep(0.02)
    with pytest.raises(DataError, match="Another process"):
        get(table, tmp_path / "d")
    work.kill()
    work.communicate()


def test_an_empty_table_is_an_empty_data_set(tmp_path):
    result = get(write(tmp_path, []), tmp_path / "d")
    assert (result.rows, result.images, result.per_class, result.failures) == (0, 0, {}, ())
    assert DatasetFolder(tmp_path / "d").load_manifest().table.height == 0


def test_what_cannot_be_used_is_refused(tmp_path):
    table = write(tmp_path, [("http://h.example/1", "x")])
    with pytest.raises(RecipeError, match="no size"):
        get(table, tmp_path / "d", max_bytes="much")
    with pytest.raises(RecipeError, match="per-class"):
        get(table, tmp_path / "d", per_class=0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="not collected"):
        get(table, tmp_path / "other")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "collect.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="ledger"):
        get(table, tmp_path / "d")


def test_images_go_to_an_object_store(site, tmp_path, monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    pytest.importorskip("s3fs")
    boto3 = pytest.importorskip("boto3")
    server.start()
    try:
        host, port = server.get_host_and_port()
        for key, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(key, value)
        store = boto3.client("s3")
        store.create_bucket(Bucket="pictures")
        table = write(tmp_path, [(site.url("ok", n), "x") for n in range(12)])
        result = get(table, tmp_path / "d", target="s3://pictures/set/")
        manifest = DatasetFolder(tmp_path / "d").load_manifest()
        assert manifest.sources == {"collected": "s3://pictures/set"}
        assert result.kept == 12
        for path, image in manifest.table.select("path", "image").iter_rows():
            body = store.get_object(Bucket="pictures", Key=f"set/{path}")["Body"].read()
            assert hashlib.sha256(body).hexdigest() == image
        assert not (tmp_path / "d" / "images").exists()
        with pytest.raises(DataError, match="are in 's3://pictures/set'"):
            get(table, tmp_path / "d")
        with pytest.raises(DataError, match="cannot be used"):
            get(table, tmp_path / "e", target="s3://no-such-bucket/x")
    finally:
        server.stop()


def test_after_a_power_cut_lost_files_are_fetched_again(site, tmp_path):
    table = write(tmp_path, [(site.url("ok", n), "x") for n in range(6)])
    get(table, tmp_path / "d")
    files = files_of(tmp_path / "d")
    (tmp_path / "d" / files[0]).unlink()
    os.truncate(tmp_path / "d" / files[1], 10)
    import sqlite3

    with sqlite3.connect(tmp_path / "d" / "collect.sqlite") as database:
        database.execute("UPDATE facts SET value = 'another boot' WHERE name = 'at work'")
    database.close()
    assert get(table, tmp_path / "d").kept == 6
    assert sum(site.asked.values()) == 8
    assert files_of(tmp_path / "d") == files
