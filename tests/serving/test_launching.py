import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from affinage.serving import launching
from affinage.serving.limits import Limits
from affinage.workflows.serve import ServeSettings, create_server
from colour_bundle import jpeg, write_colours


@pytest.fixture
def port(tmp_path, monkeypatch):
    """A server in a thread that waits a moment for a head, and a moment for a body."""
    monkeypatch.setattr(launching, "HEAD_SECONDS", 0.3)
    bundle = write_colours(tmp_path / "colours")
    app = create_server(bundle, ServeSettings(threads=1, limits=Limits(seconds=0.5)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    config = uvicorn.Config(
        app, port=number, http=launching.Impatient, log_level="error", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + 60
    while not server.started and time.monotonic() < end:
        time.sleep(0.02)
    yield number
    server.should_exit = True
    thread.join()


def all_of(connection):
    """What is sent until the other side closes."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(4096):
            heard += piece
    return heard


@pytest.mark.parametrize("said", [b"", b"POST /predict HT", b"GET /health HTTP/1.1\r\nHost: loc"])
def test_a_connection_that_asks_nothing_is_closed(port, said):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(said)
        assert all_of(connection) == b""


def test_a_body_that_drips_is_given_up_with_408_and_the_connection_closed(port):
    head = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 100000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head + b"x")
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"took longer than 0.5 s" in answer


def test_a_body_that_is_shorter_than_announced_costs_nobody_else(port):
    body = jpeg((200, 30, 30))
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as cut:
        cut.sendall(head + b"Content-Length: 100000\r\n\r\n" + body)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as honest:
        size = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        honest.sendall(head + size + body)
        answer = all_of(honest)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"label":"red"' in answer
