import json
import resource
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from service.connection import MAX_HEAD_BYTES, MAX_PIPELINED
from tests.conftest import WITH_DOOR, RunServer, Server
from tests.service.door_requests import PIECE, read_reply, request

TIMEOUT = 1.0
HEAD = b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: mine\r\n"


@pytest.fixture(scope="module")
def server(run_server: RunServer) -> Iterator[Server]:
    with run_server(http=WITH_DOOR, MUSIC_ORIGIN_REQUEST_TIMEOUT=str(TIMEOUT)) as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection((str(server.client.base_url.host), server.client.base_url.port or 80), timeout=30)


def last_problem(connection: socket.socket, status: int) -> dict[str, Any]:
    """The problem that comes next, of this status, after which the connection is closed."""
    found, headers, body = read_reply(connection)
    assert found == status
    names = dict(headers)
    assert names["content-type"] == "application/problem+json"
    assert names["connection"] == "close"
    assert names["x-content-type-options"] == "nosniff"
    assert names["x-model-version"]
    assert connection.recv(1) == b""
    problem: dict[str, Any] = json.loads(body)
    assert problem["status"] == status
    return problem


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"\x16\x03\x01", "This is no HTTP request: Invalid method encountered."),
        (b"GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "Duplicate Content-Length"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", "The target of the request is no path."),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", "Invalid character in chunk size"),
    ],
)
def test_what_is_no_http_is_told_so(server: Server, sent: bytes, detail: str) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        assert detail in last_problem(connection, 400)["detail"]


def test_refusal_is_logged_once_under_the_id_that_it_has(server: Server) -> None:
    bad_chunk = HEAD.replace(b"X-Request-ID: mine\r\n", b"") + b"Transfer-Encoding: chunked\r\n\r\nx"
    for sent, path in ((b"\x00", ""), (bad_chunk, "/genre")):
        with connect(server) as connection:
            connection.sendall(sent)
            identity = last_problem(connection, 400)["instance"].removeprefix("urn:request:")
        while not (lines := [line for line in server.lines() if line.get("request_id") == identity]):
            time.sleep(0.01)
        assert [(line["path"], line["status"]) for line in lines] == [(path, 400)]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: %b\r\n\r\n" % (b"x" * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\n%b\r\n" % (b"x: y\r\n" * (MAX_HEAD_BYTES // 2)),
        b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * MAX_HEAD_BYTES),
    ],
    ids=["a long header", "many headers", "a long target"],
)
def test_head_without_measure_is_refused(server: Server, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        assert str(MAX_HEAD_BYTES) in last_problem(connection, 431)["detail"]


def test_head_that_never_ends_is_refused_however_it_comes(server: Server) -> None:
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(MAX_HEAD_BYTES // 2**12 + 2):
            connection.sendall(b"x" * 2**12)
            time.sleep(0.001)
        last_problem(connection, 431)


def test_large_head_is_taken(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(request(PIECE, f"X-Note: {'x' * (MAX_HEAD_BYTES - 1000)}"))
        assert read_reply(connection)[0] == 200


@pytest.mark.parametrize("first", [request(), request(line="GET /health/live HTTP/1.1")], ids=["at the door", "beyond"])
def test_nonsense_after_a_request_costs_it_nothing(server: Server, first: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(first + b"\x00\x00")
        assert read_reply(connection)[0] == 200
        assert b"HTTP" not in connection.recv(2**16)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n", HEAD + b"Content-Length: 5\r\n\r\n{"], ids=["head", "body"])
def test_rest_of_a_request_is_not_waited_for(server: Server, sent: bytes) -> None:
    with connect(server) as connection:
        started = time.monotonic()
        connection.sendall(sent)
        assert f"within {TIMEOUT:g} seconds" in last_problem(connection, 408)["detail"]
        assert time.monotonic() - started >= TIMEOUT


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", request() + b"\r\n"], ids=["nothing", "a line", "a line after a request"]
)
def test_connection_on_which_nothing_comes_is_closed(server: Server, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        if len(sent) > 2:
            assert read_reply(connection)[0] == 200
        assert connection.recv(1) == b""


def test_body_that_nobody_waits_for_is_cut_off(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD.replace(b"/genre", b"/nowhere") + b"Content-Length: 5\r\n\r\n{")
        assert read_reply(connection)[0] == 404
        assert connection.recv(1) == b""


def test_reply_that_is_not_read_is_given_up(server: Server) -> None:
    """Ten times a megabyte, which is more than the system takes in the client's place."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((str(server.client.base_url.host), server.client.base_url.port or 80))
        connection.sendall(10 * request(b"", line="GET /docs/assets/redoc.standalone.js HTTP/1.1"))
        reset = select.poll()
        reset.register(connection, select.POLLHUP | select.POLLERR)
        assert reset.poll(30_000)


def test_client_that_goes_away_with_replies_to_come_is_no_failure(server: Server) -> None:
    """A failure would be in the log, which is looked at when the server has ended."""
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(10 * request(b"", line="GET /docs/assets/swagger-ui-bundle.js HTTP/1.1"))
        assert connection.recv(2**16)
    while not any(line.get("path", "").endswith("bundle.js") for line in server.lines()):
        time.sleep(0.01)


CHUNKED = HEAD.replace(b"X-Request-ID: mine\r\n", b"") + b"Transfer-Encoding: chunked\r\n\r\n"
TO_NOBODY = CHUNKED.replace(b"/genre", b"/nowhere")


@pytest.mark.parametrize("sent", [b"X: " + b"x" * 2**20, b"x: y\r\n" * 2**18], ids=["one", "many"])
@pytest.mark.parametrize("head", [CHUNKED, TO_NOBODY], ids=["read", "not read"])
def test_trailers_without_measure_are_not_kept(server: Server, head: bytes, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(head + b"1\r\n{\r\n0\r\n")
        with suppress(ConnectionError):
            connection.sendall(sent)
        with suppress(ConnectionError):
            while connection.recv(2**16):
                pass


def test_many_requests_at_once_hold_up_nobody_and_close(server: Server) -> None:
    """Those before the limit are answered, and the last of them says that there is to be no more."""
    with connect(server) as connection:
        connection.sendall(14_000 * b"GET /health/live HTTP/1.1\r\n\r\n")
        replies = [read_reply(connection)]
        while ("connection", "close") not in replies[-1][1]:
            replies.append(read_reply(connection))
        assert connection.recv(1) == b""
    assert MAX_PIPELINED < len(replies) < 2 * MAX_PIPELINED
    assert {status for status, *_ in replies} == {200}


def test_head_of_a_reply_goes_out_with_its_body(server: Server) -> None:
    """A process that is killed has then sent all of a reply or nothing: a proxy can ask another."""
    batch = b'{"features": [%b]}' % json.dumps([0.5] * 68).encode()
    with connect(server) as connection:
        for _ in range(100):
            connection.sendall(request(batch, line="POST /genre/batch HTTP/1.1"))
            head, _, body = connection.recv(2**16).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert b"content-length: %d\r\n" % len(body) in head


def test_requests_behind_the_last_reply_are_left(server: Server) -> None:
    last = b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(last + request(line="GET /health/live HTTP/1.1") + HEAD + b"Content-Length: 10\r\n\r\n{")
        status, headers, _ = read_reply(connection)
        assert (status, dict(headers)["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def test_request_gets_one_reply_whatever_follows(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(TO_NOBODY + b"3\r\nabc\r\n")
        assert read_reply(connection)[0] == 404
        connection.sendall(b"zz\r\n")
        assert connection.recv(2**16) == b""


def test_bodies_do_not_count_as_heads(server: Server) -> None:
    batch = request(json.dumps({"features": [[0.1] * 68] * 400}).encode(), line="POST /genre/batch HTTP/1.1")
    after = request(line="GET /health/live HTTP/1.1")
    with connect(server) as connection:
        connection.sendall(batch + after[:20])
        time.sleep(0.1)
        connection.sendall(after[20:])
        assert [read_reply(connection)[0] for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("before", [b"", request(), request(line="GET /health/live HTTP/1.1")])
def test_upgrade_is_answered_as_if_not_asked_for(server: Server, before: bytes) -> None:
    upgrade = b"GET /health/live HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(before)
        if before:
            assert read_reply(connection)[0] == 200
        connection.sendall(upgrade)
        assert read_reply(connection)[0] == 200


def test_client_of_many_pieces_is_idle_since_the_last(server: Server) -> None:
    """Although lines between its requests stop the timer that uvicorn sets."""
    with connect(server) as connection:
        for _ in range(6):
            connection.sendall(request())
            assert read_reply(connection)[0] == 200
            connection.sendall(b"\r\n")
            time.sleep(TIMEOUT / 3)


def test_connections_are_cut_off_and_ended_though_no_file_may_be_opened(run_server: RunServer) -> None:
    with run_server(MUSIC_ORIGIN_REQUEST_TIMEOUT=str(TIMEOUT)) as server, ExitStack() as stack:
        descriptors = Path(f"/proc/{server.process.pid}/fd")
        files = len([*descriptors.iterdir()])
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (files + 20, files + 20))

        def ask(times: int) -> None:
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((str(server.client.base_url.host), server.client.base_url.port or 80))
            connection.sendall(times * request(b"", line="GET /docs/assets/redoc.standalone.js HTTP/1.1"))

        for _ in range(10):
            ask(10)
        while len([*descriptors.iterdir()]) < files + 20:
            with suppress(ConnectionError):
                ask(0)
        while len([*descriptors.iterdir()]) > files + 10:
            time.sleep(0.01)
        while len([*descriptors.iterdir()]) < files + 20:
            with suppress(ConnectionError):
                ask(0)
        server.process.terminate()
        assert server.process.wait(timeout=30) == 0
