"""What every prediction request meets before and after it is decoded."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.admission import MAX_WAITING
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, StartServer, module, problem

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
    assert "connection: close" in reply
    assert reply.startswith("HTTP/1.1 408 ")
    assert '"/problems/request-timeout"' in reply
    assert "within 0.2 seconds" in reply


def test_body_that_does_not_come_does_not_keep_the_service_from_stopping(run_server: RunServer) -> None:
    """It is given a last second: without that it would be waited for as long as its timeout says."""
    with run_server("--timeout-graceful-shutdown", "60") as server, half_sent(server.client) as connection:
        while '"/genre",' not in server.client.get("/metrics").text:
            server.client.post("/genre", content=PIECE, headers=JSON)
        server.process.terminate()
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 408 ")
        server.process.wait(timeout=30)


def test_endless_body_is_refused_before_it_ends(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(
            b"POST /genre/batch HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(257):
            connection.sendall(chunk)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


WAITING = """
import pathlib, time, uuid
import service.predictions
from service.app import app

predict = service.predictions.predict_genres

def wait(state, features):
    pathlib.Path("{go}-started-" + uuid.uuid4().hex).touch()
    while not pathlib.Path("{go}").exists():
        time.sleep(0.01)
    return predict(state, features)

service.predictions.predict_genres = wait
"""
LARGE = json.dumps({"features": [EXAMPLE_FEATURES] * 200}).encode()


def test_large_batches_wait_for_each_other_and_nobody_else_for_them(run_server: RunServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with (
        run_server(**module(tmp_path, WAITING.format(go=go))) as server,
        ThreadPoolExecutor(MAX_WAITING + 2) as pool,
        httpx.Client(base_url=server.client.base_url, limits=httpx.Limits(max_connections=None)) as client,
    ):
        pending = {
            pool.submit(client.post, "/genre/batch", content=LARGE, headers=JSON) for _ in range(MAX_WAITING + 2)
        }
        turned_away, pending = wait(pending, return_when="FIRST_COMPLETED")
        while len(turned_away) < 2:
            more, pending = wait(pending, return_when="FIRST_COMPLETED")
            turned_away |= more
        for future in turned_away:
            assert "32 large batches wait already" in problem(future.result(), 429)["detail"]
        server.client.get("/health/live").raise_for_status()
        server.client.post("/north-of-20", content=PIECE, headers=JSON).raise_for_status()
        assert len([*tmp_path.glob("go-started-*")]) == 1
        go.touch()
        assert all(future.result().status_code == 200 for future in pending)


def test_batch_that_the_stop_does_not_wait_for_is_told_so(run_server: RunServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with (
        run_server("--timeout-graceful-shutdown", "1", **module(tmp_path, WAITING.format(go=go))) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        reply = pool.submit(httpx.post, server.client.base_url.join("/genre/batch"), content=LARGE, headers=JSON)
        while "in_flight 2.0" not in server.client.get("/metrics").text:
            time.sleep(0.01)
        server.process.terminate()
        while "Cancel 1 running task" not in server.log.read_text():
            time.sleep(0.01)
        go.touch()  # a thread cannot be cancelled
        assert problem(reply.result(), 503)["detail"] == "The service has stopped: ask another."


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


@pytest.mark.parametrize(
    "path", ["/genre", "/genre/batch", "/north-of-20", "/north-of-20/batch", "/origin", "/origin/batch"]
)
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
