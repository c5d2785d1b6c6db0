"""What is answered at the door, what is passed on, and that nobody can tell which it was."""

import gzip
import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.door import MAX_HEAD_BYTES, PATIENCE, read_piece
from service.hot_path import MAX_PIECE_BYTES, validate_piece
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, damaged, module
from tests.service.test_hot_path import LARGE, WAITING

PIECE = json.dumps({"features": EXAMPLE_FEATURES}).encode()
PASSED_ON = 418
# An application that answers nothing: what has a prediction was answered before it.
NO_APPLICATION = f"""
from service.app import app as service

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await service(scope, receive, send)
    await send({{"type": "http.response.start", "status": {PASSED_ON}, "headers": [(b"content-length", b"0")]}})
    await send({{"type": "http.response.body"}})
"""

Reply = tuple[int, list[tuple[str, str]], bytes]


def request(
    body: bytes = PIECE,
    *more: str,
    line: str = "POST /genre HTTP/1.1",
    kind: str | None = "application/json",
    length: int | None = None,
) -> bytes:
    """A request, with more lines in its head."""
    lines = [line, "Host: here", "X-Request-ID: mine", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join([*lines, *more, "", ""]).encode() + body


def parted(whole: bytes, *places: int) -> list[bytes]:
    return [whole[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]


END_OF_HEAD = len(request(b"", length=len(PIECE)))
AT_THE_DOOR: dict[str, Sequence[bytes | float]] = {
    "genre": [request()],
    "north of 20": [request(line="POST /north-of-20 HTTP/1.1")],
    "origin": [request(line="POST /origin HTTP/1.1")],
    "options": [request(line="POST /north-of-20?network=hidden&calibrated=false HTTP/1.1")],
    "no options": [request(line="POST /origin? HTTP/1.1")],
    "again": [request(), 0.01, request(), 0.01, request(line="POST /origin?top=3 HTTP/1.1")],
    "charset": [request(PIECE, kind="Application/JSON; charset=utf-8")],
    "further headers": [request(PIECE, "ACCEPT: */*", "User-Agent: test", "Accept-Encoding: gzip")],
    "no id": [request().replace(b"X-Request-ID: mine", b"X-Request-ID: not a good one")],
    "body by itself": [request(b"", length=len(PIECE)), 0.005, PIECE],
    "body in parts": [part for each in parted(request(), END_OF_HEAD, END_OF_HEAD + 9, 500) for part in (each, 0.005)],
    "spaces": [request(b" \n" + PIECE.replace(b",", b" ,\t") + b"\r\n")],
    "whole numbers": [request(json.dumps({"features": [*range(-34, 34)]}).encode())],
}


def piece_with(value: str) -> bytes:
    return PIECE.replace(b"[", b"[%b," % value.encode(), 1).replace(b", %b]" % str(EXAMPLE_FEATURES[-1]).encode(), b"]")


ELSEWHERE: dict[str, Sequence[bytes | float]] = {
    "GET": [request(b"", line="GET /genre HTTP/1.1")],
    "PUT": [request(line="PUT /genre HTTP/1.1")],
    "another path": [request(line="POST /genres HTTP/1.1")],
    "a batch": [request(line="POST /genre/batch HTTP/1.1")],
    "absolute": [request(line="POST http://here/genre HTTP/1.1")],
    "escaped": [request(line="POST /%67enre HTTP/1.1")],
    "unknown option": [request(line="POST /genre?top=1 HTTP/1.1")],
    "bad option": [request(line="POST /origin?top=none HTTP/1.1")],
    "fragment": [request(line="POST /origin?top=2#3 HTTP/1.1")],
    "last of a connection": [request(PIECE, "Connection: close")],
    "HTTP/1.0": [request(line="POST /genre HTTP/1.0")],
    "no type": [request(kind=None)],
    "another type": [request(kind="text/csv")],
    "header twice": [request(PIECE, "Content-Type: application/json", kind="text/csv")],
    "gzip": [request(gzip.compress(PIECE, mtime=0), "Content-Encoding: gzip")],
    "origin": [request(PIECE, "Origin: https://example.org")],
    "chunked": [
        b"POST /genre HTTP/1.1\r\nHost: here\r\nX-Request-ID: mine\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PIECE), PIECE)
    ],
    "long head": [request(PIECE, "Cookie: " + "x" * MAX_HEAD_BYTES)],
    "empty": [request(b"")],
    "long body": [request(PIECE + b" " * MAX_PIECE_BYTES)],
    "broken": [request(PIECE[:-1])],
    "more": [request(PIECE + b"{}")],
    "byte order mark": [request(b"\xef\xbb\xbf" + PIECE)],
    "not UTF-8": [request(PIECE.replace(b"features", b"f\xe9atures"))],
    "no object": [request(b"[]")],
    "two names": [request(PIECE[:-1] + b', "more": 1}')],
    "a name twice": [request(PIECE[:-1] + b", " + PIECE[1:])],
    "no number": [request(b'{"features": []}')],
    "67 numbers": [request(json.dumps({"features": EXAMPLE_FEATURES[1:]}).encode())],
    "nested": [request(PIECE.replace(b"[", b"[[").replace(b"]", b"]]"))],
    "late body": [request(b"", length=len(PIECE)), 4 * PATIENCE, PIECE],
    **{
        value: [request(piece_with(value))] for value in ("true", "null", '"1"', "NaN", "1e400", "1e18", "1000.1", "{}")
    },
    **{value: [request(piece_with(value))] for value in ("-1000.1", "[1]", "01", "+1", ".5", str(2**65))},
}
PIPELINED = [request() + request(line="POST /origin HTTP/1.1"), request(b"[]") + request()]


@pytest.fixture(scope="module")
def servers(run_server: RunServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[httpx.Client]]:
    """One with the door, one without, and one that has nothing but the door."""
    altered = module(tmp_path_factory.mktemp("app"), NO_APPLICATION)
    with ExitStack() as stack:
        runs = [run_server(), run_server(http=()), run_server(**altered)]
        yield [stack.enter_context(run).client for run in runs]


def replies(client: httpx.Client, sent: Sequence[bytes | float], count: int) -> list[Reply]:
    """What comes back on one connection to which bytes are sent, with pauses of some seconds."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in sent:
            if isinstance(each, bytes):
                connection.sendall(each)
            else:
                time.sleep(each)
        return [read_reply(connection) for _ in range(count)]


def read_reply(connection: socket.socket) -> Reply:
    """A reply, byte by byte: what follows is left. Its date, and its id unless that is the client's, are left out."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    first, *lines = head.decode().strip().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    length = int(dict(headers).get("content-length", 0))
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    volatile = {"date"} if ("x-request-id", "mine") in headers else {"date", "x-request-id"}
    return int(first.split()[1]), [header for header in headers if header[0] not in volatile], body


def count_of(sent: Sequence[bytes | float]) -> int:
    return sum(each.count(b" HTTP/1.") for each in sent if isinstance(each, bytes))


@pytest.mark.parametrize("name", AT_THE_DOOR)
def test_right_requests_are_answered_at_the_door(servers: list[httpx.Client], name: str) -> None:
    sent = AT_THE_DOOR[name]
    with_door, without_door, only_door = (replies(server, sent, count_of(sent)) for server in servers)
    assert with_door == without_door == only_door
    assert {status for status, _, _ in with_door} == {200}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_all_else_is_passed_on(servers: list[httpx.Client], name: str) -> None:
    sent = ELSEWHERE[name]
    with_door, without_door, only_door = (replies(server, sent, count_of(sent)) for server in servers)
    assert with_door == without_door
    assert {status for status, _, _ in only_door} == {PASSED_ON}


@pytest.mark.parametrize("sent", PIPELINED)
def test_requests_in_one_go_are_answered_in_turn(servers: list[httpx.Client], sent: bytes) -> None:
    with_door, without_door = (replies(server, [sent], 2) for server in servers[:2])
    assert with_door == without_door


def test_request_within_a_body_is_a_part_of_that(servers: list[httpx.Client]) -> None:
    sent: Sequence[bytes | float] = [
        request(b"", line="POST /genre/batch HTTP/1.1", length=len(request())),
        0.05,
        request(),
    ]
    with_door, without_door = (replies(server, sent, 1) for server in servers[:2])
    assert with_door == without_door
    assert with_door[0][0] == 422


def test_request_within_a_header_is_a_part_of_that(servers: list[httpx.Client]) -> None:
    sent: Sequence[bytes | float] = [b"POST /health/live HTTP/1.1\r\nX-Note: ", 0.05, request()]
    with_door, without_door = (replies(server, sent, 1) for server in servers[:2])
    assert with_door == without_door
    assert with_door[0][0] == 405


def test_request_waits_for_the_reply_to_the_one_before(run_server: RunServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with run_server(**module(tmp_path, WAITING.format(go=go))) as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(request(LARGE, line="POST /genre/batch HTTP/1.1"))
            while not [*tmp_path.glob("go-started-*")]:
                time.sleep(0.01)
            connection.sendall(request(line="POST /origin HTTP/1.1"))
            server.client.get("/health/live")
            go.touch()
            bodies = [read_reply(connection)[2] for _ in range(2)]
    assert [b"places" in body for body in bodies] == [False, True]


def test_client_that_expects_leave_to_go_on_gets_it(servers: list[httpx.Client]) -> None:
    head = request(b"", "Expect: 100-continue", length=len(PIECE))
    with_door, without_door = (replies(server, [head, 0.2, PIECE], 2) for server in servers[:2])
    assert with_door == without_door
    assert [status for status, _, _ in with_door] == [100, 200]


def test_requests_at_the_same_time_get_their_own_replies(servers: list[httpx.Client]) -> None:
    client, random_rows = servers[0], np.random.default_rng(3).normal(size=(40, 68)).round(4).tolist()
    expected = [client.post("/origin", json={"features": row}).json() for row in random_rows]
    address = (client.base_url.host, client.base_url.port or 80)
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in random_rows]
        for connection, row in zip(connections, random_rows, strict=True):
            connection.sendall(request(json.dumps({"features": row}).encode(), line="POST /origin HTTP/1.1"))
        found = [json.loads(read_reply(connection)[2]) for connection in connections]
    assert found == expected


def test_client_that_goes_away_is_forgotten(servers: list[httpx.Client]) -> None:
    address = (servers[2].base_url.host, servers[2].base_url.port or 80)
    for sent in (request(), request(PIECE[:50], length=len(PIECE))):
        with socket.create_connection(address) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # so it is reset
            connection.sendall(sent)
    assert replies(servers[2], [0.2, request()], 1)[0][0] == 200


def test_body_in_drops_is_not_waited_for(run_server: RunServer) -> None:
    with run_server(MUSIC_ORIGIN_REQUEST_TIMEOUT="0.3") as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(request(b"", length=len(PIECE)))
            connection.settimeout(PATIENCE / 2)
            for _ in range(100):
                connection.sendall(b" ")
                with suppress(TimeoutError):
                    assert connection.recv(12) == b"HTTP/1.1 408"
                    break
            else:
                pytest.fail("it is waited for longer than its timeout says")


def test_request_that_is_given_up_is_logged(run_server: RunServer) -> None:
    with run_server() as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address) as connection:
            connection.sendall(request(PIECE[:50], length=len(PIECE)))
        while not (lines := [line for line in server.lines() if line.get("request_id") == "mine"]):
            time.sleep(0.01)
    assert [(line["path"], line["status"]) for line in lines] == [("/genre", 400)]


def test_connection_ends_once_it_is_idle_and_not_while_it_is_used(run_server: RunServer) -> None:
    with run_server("--timeout-keep-alive", "2") as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=60) as connection:
            for sent in (*[request()] * 6, request(line="GET /genre HTTP/1.1"), request()):
                connection.sendall(sent)
                read_reply(connection)
                time.sleep(0.5)
            assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("environment", "headers", "at_the_door"),
    [
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, [], False),
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, ["X-API-Key: another"], False),
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, ["X-API-Key: the-key"], True),
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, ["Authorization: Bearer the-key"], True),
        ({"MUSIC_ORIGIN_TELEMETRY": "true"}, [], False),
        ({"MUSIC_ORIGIN_MAX_BODY_BYTES": str(len(PIECE))}, [], True),
        ({"MUSIC_ORIGIN_MAX_BODY_BYTES": str(len(PIECE) - 1)}, [], False),
    ],
)
def test_settings_hold_at_the_door(
    run_server: RunServer, tmp_path: Path, environment: dict[str, str], headers: list[str], at_the_door: bool
) -> None:
    with run_server(**module(tmp_path, NO_APPLICATION), **environment) as server:
        ((status, _, _),) = replies(server.client, [request(PIECE, *headers)], 1)
    assert status == (200 if at_the_door else PASSED_ON)


def test_no_more_are_answered_than_uvicorn_is_told_to(run_server: RunServer) -> None:
    with run_server("--limit-concurrency", "1") as server:
        ((status, _, _),) = replies(server.client, [request()], 1)
    assert status == 503


def test_service_that_stops_answers_what_has_begun(run_server: RunServer, tmp_path: Path) -> None:
    patient = module(tmp_path, "import service.door\nfrom service.app import app\nservice.door.PATIENCE = 60\n")
    with run_server(**patient) as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            head, body = parted(request(), END_OF_HEAD)
            connection.sendall(head)
            time.sleep(0.1)
            server.process.terminate()
            time.sleep(0.4)
            connection.sendall(body)
            assert read_reply(connection)[0] == 200
        server.process.wait(timeout=30)


def test_pydantic_takes_whatever_the_door_takes() -> None:
    """What the door does not take is no matter, since pydantic is asked then."""
    taken = 0
    for body in damaged(PIECE, 20_000):
        try:
            piece = read_piece(body)
        except Exception:  # in which ways it fails is its own affair
            continue
        taken += 1
        assert validate_piece(body).features == piece.tolist()
    assert taken > 1000
