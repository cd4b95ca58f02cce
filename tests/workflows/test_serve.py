import contextlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from affinage.bundle import open_bundle
from affinage.errors import AffinageError, RecipeError
from affinage.records.served import Served
from affinage.serving.counters import Counters
from affinage.serving.limits import Limits
from affinage.store.bundle import BundleFolder
from affinage.store.prediction_log import PredictionLog
from affinage.workflows import serve_watch
from affinage.workflows.reporter import Silent
from affinage.workflows.serve import ServeSettings, create_server, serve, with_token
from colour_bundle import LABELS, jpeg, part, picture, write_colours

HERE = "http://localhost"
RAW = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("bundle") / "colours")


@pytest.fixture
def serving(bundle):
    opened = []

    def of(path=bundle, **settings):
        client = TestClient(create_server(path, ServeSettings(**settings)), base_url=HERE)
        opened.append(client)
        return client.__enter__()

    yield of
    for client in opened:
        client.__exit__(None, None, None)


def bomb(side=30_000):
    """A PNG of a few hundred bytes whose pixels are gigabytes."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# Answers.


def test_an_answer_is_that_of_the_bundle_itself(serving, bundle):
    client, reader = serving(), open_bundle(bundle)
    for seed in range(6):
        data = picture(seed % 3, seed=seed)
        said = client.post("/predict", content=data, headers=RAW).json()["predictions"][0]
        expected = reader.predict(data)
        assert said["label"] == expected.label
        assert said["confidence"] == pytest.approx(expected.confidence, abs=1e-5)


def test_several_files_are_answered_in_their_order_and_a_bad_one_by_its_reason(serving):
    files = [
        ("file", ("dir/red.jpg", picture(0, seed=1))),
        ("file", ("text.jpg", b"no image at all")),
        ("file", ("blue.jpg", picture(2, seed=2))),
    ]
    answer = serving().post("/predict", files=files)
    assert answer.status_code == 200
    said = answer.json()["predictions"]
    assert [one["path"] for one in said] == ["red.jpg", "text.jpg", "blue.jpg"]
    assert [one["label"] for one in said] == ["red", None, "blue"]
    assert said[1]["reason"] == "a text, not an image."


def test_top_bounds_what_is_listed(serving):
    client = serving()
    for top, listed in ((1, 1), (0, 3), (5, 3)):
        said = client.post(f"/predict?top={top}", content=picture(0, seed=1), headers=RAW).json()
        assert len(said["predictions"][0]["probabilities"]) == listed


def test_pages_and_descriptions_answer(serving):
    client = serving()
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"ready": True}
    assert client.get("/model").json()["labels"] == ["red", "green", "blue"]
    assert "affinage_waiting_images" in client.get("/metrics").text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/predict", "/health", "/ready", "/metrics", "/drift", "/reload"} <= set(paths)
    page = client.get("/")
    assert "Drop images here" in page.text
    assert "http" not in page.text.replace(HERE, "")  # Nothing is loaded from elsewhere.
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "no /nowhere"),
        ("DELETE", "/health", 405, "by DELETE"),
        ("GET", "/predict", 405, "by GET"),
    ],
)
def test_a_path_or_method_that_is_not_there_is_refused_as_everything_is(
    serving, method, path, status, words
):
    answer = serving().request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]
    assert ("allow" in answer.headers) == (status == 405)


# Hostile uploads.


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "No image"),
        (b"GIF89a", 422, ""),
        (bomb(), 422, "pixels"),
        (b"\xff\xd8\xff\xe0" + bytes(5000), 422, ""),
        (b"%PDF-1.4", 422, ""),
        (jpeg((200, 0, 0))[:300], 422, ""),
        (bytes(2_000_000), 413, "larger than 1 MB"),
    ],
    ids=["empty", "cut gif", "bomb", "zeros in jpeg", "pdf", "cut jpeg", "large"],
)
def test_what_is_no_honest_image_is_refused_by_a_reason(serving, body, status, reason):
    client = serving(limits=Limits(megabytes=1))
    answer = client.post("/predict", content=body, headers=RAW)
    assert answer.status_code == status
    told = answer.json()
    assert reason in (told.get("error") or told["predictions"][0]["reason"])
    assert client.post("/predict", content=picture(0, seed=1), headers=RAW).status_code == 200


def test_a_form_of_too_many_or_broken_parts_is_refused(serving):
    client = serving(limits=Limits(images=3))
    many = [("file", (f"{k}.jpg", b"x")) for k in range(4)]
    assert client.post("/predict", files=many).status_code == 413
    fields = {f"f{k}": "v" for k in range(1000)}
    assert client.post("/predict", data=fields, files=many[:1]).status_code == 413
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = client.post("/predict", content=b"--x\r\nbroken", headers={"Content-Type": kind})
        assert answer.status_code == 400
    assert (
        client.post("/predict", content=b"{}", headers={"Content-Type": "text/html"}).status_code
        == 415
    )


def test_a_format_that_is_not_read_here_is_named(serving):
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    client = serving(limits=Limits(formats=("JPEG",)))
    said = client.post("/predict", content=file.getvalue(), headers=RAW).json()["predictions"][0]
    assert said["reason"].startswith("PNG, which is not among")


def test_more_than_may_wait_is_refused_with_when_to_come_again(serving, monkeypatch):
    client = serving(threads=1, limits=Limits(waiting=4, images=4, batch=1))
    answerer = client.app.state.service.answerer
    gate, begun = threading.Event(), threading.Event()
    see = type(answerer)._see

    def slowly(self, loaded, upload):
        begun.set()
        assert gate.wait(20)
        return see(self, loaded, upload)

    monkeypatch.setattr(type(answerer), "_see", slowly)
    data = picture(0, seed=1)
    with ThreadPoolExecutor(9) as pool:
        ask = [pool.submit(client.post, "/predict", content=data, headers=RAW) for _ in range(9)]
        assert begun.wait(10)
        end = time.monotonic() + 10
        while sum(one.done() for one in ask) < 5 and time.monotonic() < end:
            time.sleep(0.01)
        refused = [one.result() for one in ask if one.done()]
        gate.set()
        answers = [one.result() for one in ask]
    assert [one.status_code for one in refused] == [503] * 5
    assert all(1 <= int(one.headers["retry-after"]) <= 60 for one in refused)
    assert sorted(one.status_code for one in answers) == [200] * 4 + [503] * 5


def test_an_answer_that_takes_too_long_is_given_up(serving, monkeypatch):
    client = serving(threads=1, limits=Limits(seconds=0.2))
    answerer = client.app.state.service.answerer
    see = type(answerer)._see
    monkeypatch.setattr(
        type(answerer), "_see", lambda self, *given: (time.sleep(0.6), see(self, *given))[1]
    )
    answer = client.post("/predict", content=picture(0, seed=1), headers=RAW)
    assert answer.status_code == 503
    assert "0.2 s" in answer.json()["error"]


# Who may ask.


def test_beyond_this_machine_a_token_is_asked(serving):
    settings = with_token(ServeSettings(host="0.0.0.0"))
    assert len(settings.token) >= 24
    assert with_token(ServeSettings()).token is None
    client = serving(host="0.0.0.0", token=settings.token)
    data = picture(0, seed=1)
    assert client.get("/health").status_code == 200
    assert client.post("/predict", content=data, headers=RAW).status_code == 401
    wrong, right = ({"Authorization": f"Bearer {word}"} for word in ("no", settings.token))
    assert client.get("/metrics", headers=wrong).status_code == 401
    assert client.post("/predict", content=data, headers={**RAW, **right}).status_code == 200


def test_a_token_is_shown_only_where_it_was_made_here(bundle, monkeypatch):
    monkeypatch.setattr("affinage.workflows.serve.launch", lambda *_, **__: None)
    for token, shown in (("given-by-me", False), (None, True)):
        said = Said()
        serve(bundle, ServeSettings(host="0.0.0.0", token=token, port=0), reporter=said)
        assert any("Token" in line for line in said.lines) == shown


def test_the_address_that_is_told_is_the_one_that_is_heard_at(bundle, monkeypatch):
    heard = []
    monkeypatch.setattr(
        "affinage.workflows.serve.launch", lambda _, at, **__: heard.append(at.getsockname())
    )
    said = Said()
    serve(bundle, ServeSettings(port=0), reporter=said)
    [(host, port)] = heard
    assert port > 0
    assert said.lines[0].endswith(f"at http://{host}:{port}/")


def test_a_port_that_is_taken_is_told_with_what_to_do(bundle):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AffinageError, match=f"port {port}: Address already in use"):
            serve(bundle, ServeSettings(port=port))
    with pytest.raises(AffinageError, match="cannot listen at no-such-host"):
        serve(bundle, ServeSettings(host="no-such-host.invalid", port=0))


class Said(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_other_names_and_pages_of_other_sites_are_refused(serving):
    client, data = serving(), picture(0, seed=1)
    assert client.get("/model", headers={"Host": "evil.example"}).status_code == 421
    foreign = {**RAW, "Origin": "https://evil.example"}
    assert client.post("/predict", content=data, headers=foreign).status_code == 403
    own = {**RAW, "Origin": HERE}
    assert client.post("/predict", content=data, headers=own).status_code == 200


def test_addresses_are_asked_only_where_allowed_and_never_inside(serving):
    asked = "/predict?url=http://127.0.0.1:9/x.jpg"
    assert serving().post(asked).status_code == 403
    inner = serving(allow_urls=("*",)).post(asked)
    assert (inner.status_code, "not asked" in inner.json()["error"]) == (400, True)
    other = serving(allow_urls=("images.example",)).post("/predict?url=http://other.example/x.jpg")
    assert "'other.example' is not among" in other.json()["error"]


# The log, corrections, exchange.


def test_what_is_answered_is_logged_and_the_picture_only_where_asked(serving, tmp_path):
    data = picture(1, seed=3)
    for name, kept in (("plain", False), ("pictures", True)):
        client = serving(log=tmp_path / name, keep_pictures=kept)
        client.post("/predict", content=data, headers=RAW)
        client.post("/predict", content=b"no image", headers=RAW)
        log = PredictionLog(tmp_path / name)
        [line] = log.read()
        assert line.label == "green"
        assert line.features.shape == (3,)
        assert (log.picture(line.image) is not None) == kept


def test_a_correction_is_kept_and_nonsense_is_not(serving, tmp_path):
    client = serving(log=tmp_path / "log")
    good = {"image": "a" * 64, "label": "blue", "said": "red"}
    assert client.post("/correct", json=good).status_code == 201
    for bad in (
        {},
        [],
        {"image": "../x", "label": "a"},
        {**good, "label": " "},
        {**good, "label": 3},
    ):
        assert client.post("/correct", json=bad).status_code == 400
    for raw in (b"[" * 9000, b"\xff", b"{", b"nan" * 10):
        assert client.post("/correct", content=raw).status_code == 400
    assert client.post("/correct", content=iter([b"x" * 6000] * 3)).status_code == 413
    assert PredictionLog(tmp_path / "log").corrections.read_text().count("\n") == 2


def test_what_cannot_be_kept_is_told(serving, tmp_path):
    good = {"image": "a" * 64, "label": "blue"}
    answer = serving().post("/correct", json=good)
    assert (answer.status_code, "keeps no log" in answer.json()["error"]) == (507, True)
    (tmp_path / "file").write_text("in the way")
    assert serving(log=tmp_path / "file").post("/correct", json=good).status_code == 507


@pytest.mark.parametrize("top", ["-1", "1001", "x", "", "5.0", "١"])
def test_a_parameter_out_of_range_is_named(serving, top):
    answer = serving().post(
        "/predict", params={"top": top}, content=picture(0, seed=1), headers=RAW
    )
    assert (answer.status_code, "0 to 1000" in answer.json()["error"]) == (400, True)


def test_a_bundle_is_exchanged_while_it_is_served_and_a_broken_one_is_not(tmp_path):
    path = write_colours(tmp_path / "b")
    other = write_colours(tmp_path / "other", labels=("rot", "grün", "blau"))
    with TestClient(create_server(path, ServeSettings()), base_url=HERE) as client:
        data = picture(0, seed=1)

        def said():
            return client.post("/predict", content=data, headers=RAW).json()["predictions"][0][
                "label"
            ]

        assert said() == "red"
        shutil.rmtree(path)
        shutil.copytree(other, path)
        assert said() == "red"
        assert client.post("/reload").json()["labels"][0] == "rot"
        assert said() == "rot"
        (path / "model.onnx").write_bytes(b"damaged")
        assert client.post("/reload").status_code == 409
        assert said() == "rot"


def test_every_window_is_judged_and_a_shift_raises_an_alarm(serving, monkeypatch):
    monkeypatch.setattr(serve_watch, "SHARE", 1.0)  # Windows are not spared here.
    client = serving(window=40)

    def judged(pictures, *, after):
        """What the first window after so many showed, while some pictures are sent again and again."""
        end = time.monotonic() + 30
        while client.get("/drift").json()["windows"] <= after and time.monotonic() < end:
            for data in pictures:
                client.post("/predict", content=data, headers=RAW)
        return client.get("/drift").json()

    usual = judged([picture(k % 3, seed=5000 + k) for k in range(40)], after=0)
    assert usual["alarm"] is False
    # Of the next two windows one may be of the usual images yet, and one of both kinds.
    dark = judged([jpeg((20, 25, 30), seed=k) for k in range(40)], after=usual["windows"] + 2)
    assert dark["alarm"] is True
    assert "brightness" in dark["differs_in"]


def served(bundle, numbers, *, away=False):
    """Images as the log has them; away: features that resemble nothing in the baseline."""
    seen, identity = part(numbers), BundleFolder(bundle).identity
    return [
        Served(
            at="2026-01-01T00:00:00+00:00", image=seen.images[k], name="", bundle=identity,
            label=LABELS[seen.outputs[k].argmax()], outputs=seen.outputs[k],
            measures=seen.measures[k], features=-seen.features[k] if away else seen.features[k],
        )
        for k in range(len(seen))
    ]  # fmt: skip


def watched(bundle, window, images):
    """What the first window shows."""
    watch = serve_watch.Watched(bundle, window=window, rate=0.01, counters=Counters())
    watch.take(images)
    end = time.monotonic() + 30
    while not watch.last()["windows"] and time.monotonic() < end:
        time.sleep(0.01)
    return watch.last()


def test_an_accuracy_is_told_only_where_it_can_be_known(bundle):
    assert watched(bundle, 40, served(bundle, range(900, 940)))["accuracy_estimate"] is not None
    strange = watched(bundle, 40, served(bundle, range(900, 940), away=True))
    assert (strange["alarm"], strange["accuracy_estimate"]) == (True, None)


def test_an_image_that_is_sent_again_and_again_is_no_shift(bundle):
    images = served(bundle, range(900, 940))
    once, often = watched(bundle, 40, images), watched(bundle, 100, images + images[:1] * 60)
    assert (once["p"], once["alarm"]) == (often["p"], often["alarm"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": 70_000}, "port is 70000"),
        ({"window": 10}, "window is 10"),
        ({"false_alarms": 0}, "false-alarms"),
        ({"keep_pictures": True}, "there is no log"),
        ({"limits": Limits(waiting=4)}, "less than the 32 images"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(RecipeError, match=words):
        ServeSettings(**settings)


def test_the_server_needs_neither_torch_nor_polars(bundle):
    """What the small image lacks must not be asked for."""
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"torch", "torchvision", "timm", "polars", "sklearn", "optuna",
            "aiohttp", "yarl", "pandas", "openvino", "onnx", "tensorboardX"}}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from starlette.testclient import TestClient
from affinage.workflows.serve import ServeSettings, create_server
import affinage.cli.main
with TestClient(create_server({str(bundle)!r}, ServeSettings()), base_url="http://localhost") as client:
    print(client.post("/predict", content=open({str(bundle.parent / "x.jpg")!r}, "rb").read()).text)
"""
    (bundle.parent / "x.jpg").write_bytes(picture(0, seed=1))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["label"] == "red"


def test_a_page_is_part_of_the_package():
    assert (Path(__file__).parents[2] / "src/affinage/serving/page.html").is_file()


def test_signals_exchange_the_bundle_and_end_the_server_without_a_failure(bundle, tmp_path):
    path = Path(shutil.copytree(bundle, tmp_path / "b"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "affinage", "serve", str(path), "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def hang_up(outcome):
        server.send_signal(signal.SIGHUP)
        end = time.monotonic() + 30
        while f'affinage_exchanges_total{{outcome="{outcome}"}} 1.0' not in read(port, "/metrics"):
            assert time.monotonic() < end
            time.sleep(0.05)

    try:
        wait_until_ready(port, server)
        hang_up("done")
        (path / "model.onnx").write_bytes(b"damaged")
        hang_up("failed")
        server.send_signal(signal.SIGTERM)
        _, told = server.communicate(timeout=30)
        assert server.returncode == 0
        assert "Exchanged: " in told  # Nobody is answered on a signal: the terminal must say it.
        assert "Not exchanged" in told
        assert "model.onnx is not as it was written" in " ".join(told.split())
    finally:
        server.kill()


def read(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def wait_until_ready(port, server):
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):
            read(port, "/ready")
            return
        time.sleep(0.1)
    pytest.fail("the server did not come up")
