"""Fixtures: the real data, made data, and real server processes."""

import dataclasses
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.archive import DEFAULT_BUNDLE, load_bundle
from models.bundle import ModelBundle
from training.dataset import Dataset, load_dataset, parse

pytest_plugins = ["tests.browser", "tests.containers"]

ROOT = Path(__file__).parent.parent

Require = Callable[[object, str], None]
StartServer = Callable[..., AbstractContextManager[httpx.Client]]
RunServer = Callable[..., AbstractContextManager["Server"]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --long, with which the attacks of tests/trust/ last as long as they should, and --screenshots."""
    parser.addoption("--long", action="store_true", help="attack the service for minutes rather than seconds")
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="keep there what the page looks like in each of its states"
    )


def problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that the reply is, of this status."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = reply.json(parse_constant=pytest.fail)
    assert body["status"] == status
    return body


def damaged(body: bytes, count: int) -> Iterator[bytes]:
    """The body so many times, each time with a few bytes changed, many so that it is still in order."""
    generator = random.Random(5)
    pieces = (
        b"",
        b"0",
        b"-",
        b".",
        b"e",
        b"E+2",
        b"1",
        b",",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\",
        b" ",
        b"\n",
        b"\x00",
        b"\xef\xbb\xbf",
    )
    for _ in range(count):
        changed = bytearray(body)
        for _ in range(generator.randint(1, 3)):
            place = generator.choice((0, len(changed), *[generator.randrange(len(changed))] * 8))
            changed[place : place + generator.randint(0, 2)] = generator.choice(pieces)
        yield bytes(changed)


def assert_close(reply: Any, expected: Any) -> None:
    """Two JSON values are the same, but for the rounding of their numbers."""
    if isinstance(expected, dict):
        assert reply.keys() == expected.keys()
        for name in expected:
            assert_close(reply[name], expected[name])
    elif isinstance(expected, list):
        for each, expected_each in zip(reply, expected, strict=True):
            assert_close(each, expected_each)
    elif isinstance(expected, float):
        assert reply == pytest.approx(expected, rel=3e-5, abs=1e-4)
    else:
        assert reply == expected


@pytest.fixture(scope="session")
def require() -> Require:
    """Skips a test for want of something that only some machines have; fails it in CI, where everything must run."""

    def require(condition: object, reason: str) -> None:
        if not condition:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)

    return require


@pytest.fixture(scope="session")
def data_file(require: Require) -> Path:
    """The published data set."""
    path = os.environ.get("MUSIC_ORIGIN_DATA")
    require(path, "MUSIC_ORIGIN_DATA does not name the data set")
    return Path(str(path))


@pytest.fixture(scope="session")
def dataset(data_file: Path) -> Dataset:
    """The published data set, read."""
    return load_dataset(data_file)


@pytest.fixture(scope="session")
def made_lines() -> list[str]:
    """60 lines in the form of the data set, from three places, made from random numbers."""
    generator = np.random.default_rng(7)
    places = [(-1.26, 36.8), (35.7, 139.71), (41.9, 12.48)]
    lines = []
    for row in range(60):
        latitude, longitude = places[row % 3]
        features = generator.normal(row % 3, 1.0, 68).round(4)
        lines.append(",".join(map(str, [*features, latitude, longitude])))
    return lines


@pytest.fixture(scope="session")
def made(made_lines: list[str]) -> Dataset:
    """The made lines, read."""
    return parse("\n".join(made_lines).encode(), "made")


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """The committed models."""
    return load_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="session")
def other_bundle(bundle: ModelBundle) -> ModelBundle:
    """Other models than the committed ones: the sides of `hidden` are biased the other way round."""
    hidden = bundle.networks["hidden"]
    *layers, last = hidden.layers
    biased = dataclasses.replace(hidden, layers=(*layers, dataclasses.replace(last, bias=last.bias[::-1].copy())))
    return dataclasses.replace(bundle, networks={**bundle.networks, "hidden": biased})


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def module(folder: Path, code: str) -> dict[str, str]:
    """How to run a server of another module than service.app, which has an app of its own."""
    (folder / "altered.py").write_text(code)
    return {"app": "altered:app", "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server: a client of it, its process, and the file that its output goes to."""

    client: httpx.Client
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged as JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


WITH_DOOR = ("--http", "service.door:Door")


class Twins(httpx.Client):
    """A client of a server with the door, which demands the very same of a second one that has none."""

    def __init__(self, with_door: httpx.URL, without_door: httpx.Client) -> None:
        super().__init__(base_url=with_door)
        self._second = without_door

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Sends the request to both."""
        request.read()
        reply = super().send(request, **options)
        if request.url.path != "/metrics" and not options.get("stream"):
            assert shown(self._send_to_second(request, reply)) == shown(reply)
        return reply

    def _send_to_second(self, request: httpx.Request, reply: httpx.Response) -> httpx.Response:
        url = request.url.copy_with(host=self._second.base_url.host, port=self._second.base_url.port)
        headers = httpx.Headers(request.headers)
        headers["X-Request-ID"] = reply.headers["X-Request-ID"]
        again = httpx.Request(request.method, url, headers=headers, stream=request.stream)
        return self._second.send(again)


def shown(reply: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """All of a reply but its date."""
    return reply.status_code, [each for each in reply.headers.raw if each[0] != b"date"], reply.content


@pytest.fixture(scope="session")
def run_server(tmp_path_factory: pytest.TempPathFactory) -> RunServer:
    """Starts a real server process on a free port, with further options and environment variables.

    It is uvicorn with the door, or without or of another app, or `python -m service` as it is shipped.
    """

    @contextmanager
    def run(
        *options: str,
        app: str = "service.app:app",
        http: Sequence[str] = WITH_DOOR,
        shipped: bool = False,
        may_fail: bool = False,
        **environment: str,
    ) -> Iterator[Server]:
        log = tmp_path_factory.mktemp("server") / "log"
        start = ["service"] if shipped else ["uvicorn", app, *http]
        command = [sys.executable, "-m", *start, "--port", "0", *options]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output) as process,
        ):
            try:
                while not (found := re.search(r"running on (http://\S+)", log.read_text())):
                    assert process.poll() is None, log.read_text()
                    time.sleep(0.01)
                with httpx.Client(base_url=found[1]) as client:
                    yield Server(client, process, log)
            finally:
                process.terminate()
        assert may_fail or "Traceback" not in log.read_text()

    return run


@pytest.fixture(scope="session")
def start_server(run_server: RunServer) -> StartServer:
    """Starts a real server process, with further environment variables, of which only a client is wanted."""

    @contextmanager
    def start(**environment: str) -> Iterator[httpx.Client]:
        with run_server(**environment) as server:
            yield server.client

    return start


@pytest.fixture(scope="session")
def client(run_server: RunServer) -> Iterator[httpx.Client]:
    """A client of a running service with the committed models: with the door, as it is shipped, and without."""
    with (
        run_server() as server,
        run_server(http=()) as second,
        Twins(server.client.base_url, second.client) as client,
    ):
        yield client
