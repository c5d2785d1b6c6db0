"""API keys: their check tells nothing by its time, they are nowhere to be read, and nobody's body is waited for."""

import random
import string
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from service.access import Keys
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, module
from tests.service.door_requests import PIECE
from tests.trust.conftest import Record, Sized
from tests.trust.timing import BOUND, rounds_of
from tests.trust.wire import Wire, request

LONG_KEY = "".join(random.Random(1).choices(string.ascii_lowercase, k=4_000))  # a difference for each byte adds up
KEY = "k3y-that-nobody-is-to-see"
FAILING = """
from models.pieces import PiecePredictor
from service.app import app

genre = PiecePredictor.genre

def fail(self, piece):
    if piece[0] == 999:
        raise RuntimeError("on purpose")
    return genre(self, piece)

PiecePredictor.genre = fail
"""


def check_in_time(key: str) -> Callable[[bytes], object]:
    """The check of the service."""
    authorized = Keys([SecretStr(key)]).authorized
    return lambda given: authorized([(b"x-api-key", given)])


def check_with_equals(key: str) -> Callable[[bytes], object]:
    """A check that ends at the first byte that differs, in compiled code."""
    return lambda given: given.decode("latin-1") == key


def check_by_byte(key: str) -> Callable[[bytes], object]:
    """A check that ends at the first byte that differs."""
    right = key.encode()
    return lambda given: all(byte == other for byte, other in zip(given, right, strict=True))


def test_check_of_a_key_tells_nothing_by_its_time(sized: Sized, record: Record) -> None:
    least, described = rounds_of(check_in_time(LONG_KEY), LONG_KEY.encode(), sized(300_000, 100_000))
    record("a wrong first byte of a key against a wrong last", described, f"|t| < {BOUND}", least < BOUND)


@pytest.mark.parametrize(("check", "count"), [(check_with_equals, 50_000), (check_by_byte, 1_000)])
def test_a_check_that_tells_by_its_time_is_found_out(
    check: Callable[[str], Callable[[bytes], object]], count: int, record: Record
) -> None:
    least, described = rounds_of(check(LONG_KEY), LONG_KEY.encode(), count)
    record(f"the same where it would be seen: {check.__name__}", described, f"|t| > {BOUND}", least > BOUND)


def test_reply_to_a_wrong_key_tells_nothing_by_its_time(run_server: RunServer, sized: Sized, record: Record) -> None:
    with (
        run_server(MUSIC_ORIGIN_API_KEY=LONG_KEY, MUSIC_ORIGIN_ACCESS_LOG="false") as server,
        Wire(server.client.base_url) as wire,
    ):

        def ask(key: bytes) -> None:
            wire.send(b"POST /genre HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\nX-API-Key: " + key + b"\r\n\r\n")
            reply = wire.read()
            assert reply
            assert reply.status == 401

        least, described = rounds_of(ask, LONG_KEY.encode(), sized(30_000, 3_000))
    record("the same over HTTP", described, f"|t| < {BOUND}", least < BOUND)


def misplaced() -> Iterator[bytes]:
    """Requests with the key in places where it does not belong."""
    json = ("Content-Type: application/json", f"Content-Length: {len(PIECE)}")
    for line in (f"POST /genre?{KEY}", f"POST /genre?network={KEY}", f"GET /docs?{KEY}={KEY}", f"{KEY} /genre"):
        yield request(f"{line} HTTP/1.1", *json, body=PIECE)
    for line in (f"GET / {KEY}", f"GET / HTTP/1.1{KEY}", KEY, f"GET /nowhere#{KEY} HTTP/1.1", f"GET{KEY} / HTTP/1.1"):
        yield request(line)
    for name in (
        "Accept", "Accept-Encoding", "Access-Control-Request-Headers", "Access-Control-Request-Method", "Authorization",
        "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Forwarded", "Host",
        "Inference-Header-Content-Length", "Origin", "Proxy-Authorization", "Range", "Referer", "Transfer-Encoding",
        "Upgrade", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", KEY, f"{KEY} ", f" {KEY}",
    ):  # fmt: skip
        for value in (KEY, f"Basic {KEY}", f"Bearer {KEY}, {KEY}", f"\xff{KEY}", f"a\x00{KEY}", f"{KEY}\r\n {KEY}"):
            for path in ("/genre", "/genre/batch", "/v2/models/genre/infer"):
                lines = [f"{name}: {value}", *(line for line in json if not line.startswith(f"{name}:"))]
                yield request(f"POST {path} HTTP/1.1", f"X-API-Key: {KEY}", *lines, body=PIECE)
            yield request("OPTIONS /genre HTTP/1.1", "Origin: https://page.example", f"{name}: {value}")
    for body in (
        KEY, f'"{KEY}"', f'{{"{KEY}": 1}}', f'{{"features": "{KEY}"}}', f'{{"features": [["{KEY}"]]}}',
        f'{{"inputs": [{{"name": "{KEY}", "datatype": "{KEY}"}}], "parameters": {{"network": "{KEY}"}}}}',
    ):  # fmt: skip
        for path in ("/genre", "/genre/batch", "/v2/models/genre/infer", f"/north-of-20?network={KEY}"):
            for form in ("application/json", "text/csv", "application/x-npy"):
                lines = [f"X-API-Key: {KEY}", f"Content-Type: {form}", f"Content-Length: {len(body)}"]
                yield request(f"POST {path} HTTP/1.1", *lines, body=body.encode())


def reply_to(url: httpx.URL, sent: bytes) -> str:
    """What is replied, if anything is: some of the requests have no end."""
    with Wire(url, seconds=1) as wire:
        wire.send(sent)
        with suppress(TimeoutError):
            return str(wire.read())
    return ""


def test_keys_are_nowhere_to_be_read(run_server: RunServer, tmp_path: Path, record: Record) -> None:
    """Not where they belong, nor where they do not; in a path or an id, they are what the client has said there."""
    places = 0
    environment = {
        "MUSIC_ORIGIN_API_KEY": KEY,
        "MUSIC_ORIGIN_LOG_LEVEL": "debug",
        "MUSIC_ORIGIN_CORS_ORIGINS": "https://page.example",
        "MUSIC_ORIGIN_REQUEST_TIMEOUT": "0.2",
    }
    good = {"X-API-Key": KEY, "Content-Type": "application/json"}
    with run_server("--log-level", "debug", **environment, **module(tmp_path, FAILING), may_fail=True) as server:
        client = server.client
        said = []
        for sent in misplaced():
            places += 1
            said.append(reply_to(client.base_url, sent))
        assert client.post("/north-of-20", content=PIECE, headers=good).status_code == 200
        failed = client.post("/genre", json={"features": [999.0, *EXAMPLE_FEATURES[1:]]}, headers=good)
        assert failed.status_code == 500
        metrics = client.get("/metrics", headers=good)
        client.get(f"/{KEY}")
        named = client.get("/health/live", headers={"X-Request-ID": KEY})
        texts = [failed.text, str(failed.headers), metrics.text, str(metrics.headers), named.text]
    logged = [line for line in server.log.read_text().splitlines() if KEY in line]
    assert "RuntimeError: on purpose" in server.log.read_text()
    shown = sum(KEY in each for each in [*said, *texts])
    record(
        f"a key in its place and in {places} others, and a failure",
        f"{shown} replies or metrics show it, {len(logged)} lines of the log",
        "none; in the log only as the path and as the id that a client sent",
        shown == 0 and len(logged) == 2 and f'"path": "/{KEY}"' in logged[0] and f'"request_id": "{KEY}"' in logged[1],
    )


def test_nobody_without_a_key_is_waited_for(run_server: RunServer, record: Record) -> None:
    bodies = (
        ["Content-Length: 1000000"],
        ["Transfer-Encoding: chunked"],
        ["Content-Length: 1000000", "Expect: 100-continue"],
        ["Transfer-Encoding: chunked", "Expect: 100-continue"],
    )
    refused = 0
    with run_server(MUSIC_ORIGIN_API_KEY=KEY) as server:
        document = server.client.get("/openapi.json").json()
        guarded = {
            f"{method.upper()} {path}"
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if "security" in operation
        }
        assert len(guarded) == 9
        for line in guarded:
            for headers in bodies:
                with Wire(server.client.base_url, seconds=10) as wire:
                    wire.send(request(f"{line.format(model='genre', version='1')} HTTP/1.1", *headers))
                    reply = wire.read()
                assert reply
                assert not reply.fault(of_protocol=True)
                refused += reply.status == 401 and not wire.leaves
    record(
        "heads without a key, whose bodies do not come",
        f"{refused} of {len(guarded) * len(bodies)} told 401 at once",
        "all, and none told to go on",
        refused == len(guarded) * len(bodies),
    )
