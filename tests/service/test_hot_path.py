"""What every prediction request meets before and after it is decoded."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from service.schemas import EXAMPLE_FEATURES
from tests.conftest import StartServer, problem

PIECE = json.dumps({"features": EXAMPLE_FEATURES}).encode()
JSON = {"Content-Type": "application/json"}


@contextmanager
def half_sent(client: httpx.Client) -> Iterator[socket.socket]:
    """A request whose body does not come."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(
            b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        yield connection


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_bodies_are_taken(client: httpx.Client, encoding: str, compress: object) -> None:
    plain = client.post("/genre", content=PIECE, headers=JSON).json()
    content = compress(PIECE)  # type: ignore[operator]
    assert client.post("/genre", content=content, headers=JSON | {"Content-Encoding": encoding}).json() == plain


@pytest.mark.parametrize("content", [b"", b"not compressed", gzip.compress(PIECE)[:-9], gzip.compress(PIECE) + b"more"])
def test_broken_compression_is_said(client: httpx.Client, content: bytes) -> None:
    reply = client.post("/genre", content=content, headers=JSON | {"Content-Encoding": "gzip"})
    if content:
        assert "not whole gzip data" in problem(reply, 400)["detail"]
    else:
        assert problem(reply, 422)["detail"] == "The body is missing."


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "secret"])
def test_other_encoding_is_refused(client: httpx.Client, encoding: str) -> None:
    reply = client.post("/genre", content=PIECE, headers=JSON | {"Content-Encoding": encoding})
    assert "gzip or deflate" in problem(reply, 415)["detail"]
    assert reply.headers["accept-encoding"] == "gzip, deflate"


def test_little_that_is_compressed_from_much_is_refused(client: httpx.Client) -> None:
    bomb = gzip.compress(b" " * 2**26)
    assert len(bomb) < 70_000
    reply = client.post("/genre/batch", content=bomb, headers=JSON | {"Content-Encoding": "gzip"})
    assert problem(reply, 413)["detail"] == "The body must have at most 16777216 bytes."


def test_body_that_does_not_come_is_not_waited_for(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_REQUEST_TIMEOUT="0.2") as client, half_sent(client) as connection:
        reply = connection.makefile("rb").read().decode()
    assert reply.startswith("HTTP/1.1 408 ")
    assert '"/problems/request-timeout"' in reply
    assert "within 0.2 seconds" in reply


def test_more_at_a_time_than_the_limit_are_turned_away_at_once(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_MAX_CONCURRENCY="2") as client:
        with half_sent(client), half_sent(client):
            while (reply := client.post("/genre", content=PIECE, headers=JSON)).status_code == 200:
                time.sleep(0.01)
            assert "as are taken, 2: send" in problem(reply, 429)["detail"]
            assert reply.headers["retry-after"] == "1"
            reply = client.post("/v2/models/genre/infer", content=PIECE)
            assert (reply.status_code, list(reply.json())) == (429, ["error"])
            for path in ("/health/live", "/health/ready", "/v2/health/ready", "/metrics", "/model"):
                client.get(path).raise_for_status()
        while (reply := client.post("/genre", content=PIECE, headers=JSON)).status_code == 429:
            time.sleep(0.01)
        assert reply.status_code == 200


@pytest.mark.parametrize("path", ["/genre", "/genre/batch", "/north-of-20", "/north-of-20/batch", "/origin"])
def test_unknown_and_repeated_options_are_refused(client: httpx.Client, path: str) -> None:
    content = PIECE if "batch" not in path else json.dumps({"features": [EXAMPLE_FEATURES]}).encode()
    client.post(path, content=content, headers=JSON).raise_for_status()
    (error,) = problem(client.post(f"{path}?secret=1", content=content, headers=JSON), 422)["errors"]
    assert error == {
        "pointer": "?",
        "message": "has a name that is not known: leave out what the documentation does not name",
    }
    if "north" in path:
        reply = client.post(f"{path}?network=simple&network=simple", content=content, headers=JSON)
        (error,) = problem(reply, 422)["errors"]
        assert error == {"pointer": "?network", "message": "is given more than once"}


def test_body_of_a_piece_is_small(client: httpx.Client) -> None:
    content = PIECE + b" " * 2**16
    assert problem(client.post("/genre", content=content, headers=JSON), 413)["detail"].endswith("65536 bytes.")
