"""Stopping under load: nothing that was accepted is lost."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest

from models.bundle import ModelBundle
from tests.conftest import RunServer, free_port
from tests.containers import IMAGE, RESTRICTIONS, run
from tests.trust.asks import Ask, make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.load import Load, answers, await_workers

CLIENTS = 16
DRAIN_SECONDS = 3.0
AT_ONCE_SECONDS = 5
HALF_A_REQUEST = b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"


@dataclass
class Stops:
    """What came of stopping so many times."""

    right: int = 0
    failed: int = 0
    longest: float = 0.0
    statuses: set[int] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)

    def stop_under_load(
        self, url: httpx.URL, asks: Sequence[Ask], terminate: Callable[[], object], wait: Callable[[], int | str]
    ) -> None:
        """Stops a service while clients ask, and adds what came of it."""
        with Load(url.host, url.port or 80, asks, CLIENTS, stop_when_refused=True) as load:
            load.wait_for(300)
            assert load.tally.refused == 0
            started = time.perf_counter()
            terminate()
            while httpx.get(f"{url}/health/ready").status_code == 200:
                time.sleep(0.01)
            assert load.tally.refused == 0  # so it is not ready before it takes no more
            self.statuses.add(int(wait()))
            self.longest = max(self.longest, time.perf_counter() - started)
            tally = load.wait()
        self.right += tally.right
        self.failed += tally.wrong + tally.lost
        self.texts += [*tally.mistakes, *tally.losses]

    def record(self, record: Record, times: int, how: str) -> None:
        """Takes down what came of it."""
        record(
            f"{times} x SIGTERM under load, {how}, drained for {DRAIN_SECONDS:g} s",
            f"{self.right:,} right, {self.failed} wrong or lost {self.texts or ''}, status {self.statuses}, "
            f"at most {self.longest:.1f} s",
            "none wrong or lost, status 0, within the drain",
            not self.failed and self.statuses == {0} and self.longest <= DRAIN_SECONDS,
        )


@pytest.mark.parametrize(
    ("how", "options", "arguments"),
    [
        ("uvicorn with the door", (), {}),
        ("uvicorn without", (), {"http": ()}),
        ("python -m service, two workers", ("--workers", "2"), {"shipped": True}),
    ],
)
def test_nothing_accepted_is_lost_at_sigterm(
    run_server: RunServer,
    bundle: ModelBundle,
    sized: Sized,
    record: Record,
    how: str,
    options: tuple[str, ...],
    arguments: dict[str, Any],
) -> None:
    times, stops, asks = sized(10, 1), Stops(), make_asks([bundle], 80)
    for _ in range(times):
        with run_server(*options, **arguments, MUSIC_ORIGIN_DRAIN_SECONDS=str(DRAIN_SECONDS)) as server:
            await_workers(server, 2 if options else 1)
            stops.stop_under_load(server.client.base_url, asks, server.process.terminate, server.process.wait)
    stops.record(record, times, how)


@contextmanager
def container_here(engine: str, drain_seconds: str) -> Iterator[tuple[str, httpx.URL]]:
    """A container that answers, and where: on the machine's own network, for a port that the engine hands on has
    connections that the service never sees."""
    name, port = f"{IMAGE}-stopped", free_port()
    url = httpx.URL(f"http://127.0.0.1:{port}")
    given = ("--network=host", f"--env=MUSIC_ORIGIN_DRAIN_SECONDS={drain_seconds}")
    try:
        started = ("run", "--detach", "--name", name, *RESTRICTIONS, *given, IMAGE)
        run(engine, *started, "python", "-m", "service", "--port", str(port))
        while not answers(url):
            time.sleep(0.05)
        yield name, url
    finally:
        subprocess.run([engine, "rm", "--force", name], capture_output=True)


def test_container_loses_nothing_at_sigterm(engine: str, bundle: ModelBundle, sized: Sized, record: Record) -> None:
    times, stops, asks = sized(10, 1), Stops(), make_asks([bundle], 80)
    for _ in range(times):
        with container_here(engine, str(DRAIN_SECONDS)) as (name, url):
            terminate = partial(run, engine, "kill", "--signal=TERM", name)
            stops.stop_under_load(url, asks, terminate, partial(run, engine, "wait", name))
    stops.record(record, times, "in a container")


@pytest.mark.parametrize("signals", [["SIGTERM", "SIGTERM"], ["SIGTERM", "SIGINT"], ["SIGINT"]], ids=", ".join)
@pytest.mark.parametrize("workers", [1, 2])
def test_service_that_ends_at_once(run_server: RunServer, record: Record, signals: list[str], workers: int) -> None:
    """Neither the drain nor a body that has not come yet is waited for."""
    patient = {"MUSIC_ORIGIN_DRAIN_SECONDS": "600", "MUSIC_ORIGIN_REQUEST_TIMEOUT": "600"}
    options = ("--workers", str(workers), "--timeout-graceful-shutdown", "600")
    with run_server(*options, shipped=True, **patient) as server:
        await_workers(server, workers)
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address) as connection:
            connection.sendall(HALF_A_REQUEST)
            while "music_origin_requests_in_flight 2.0" not in server.client.get("/metrics").text:
                time.sleep(0.01)
            *earlier, last = [signal.Signals[name] for name in signals]
            for each in earlier:
                server.process.send_signal(each)
                while server.client.get("/health/ready").status_code == 200:
                    time.sleep(0.01)
            started = time.perf_counter()
            server.process.send_signal(last)
            server.process.wait(timeout=60)
            time_taken = time.perf_counter() - started
    record(
        f"{' and '.join(signals)} while a body has not come, {workers} worker{'s' * (workers > 1)}, drain 600 s",
        f"ended after {time_taken:.1f} s",
        f"at once: in less than {AT_ONCE_SECONDS} s",
        time_taken < AT_ONCE_SECONDS,
    )


@pytest.mark.parametrize("signals", [["TERM", "TERM"], ["TERM", "INT"], ["INT"]], ids=", ".join)
def test_container_that_ends_at_once(engine: str, record: Record, signals: list[str]) -> None:
    with container_here(engine, "600") as (name, url), socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(HALF_A_REQUEST)
        while "music_origin_requests_in_flight 2.0" not in httpx.get(f"{url}/metrics").text:
            time.sleep(0.01)
        *earlier, last = signals
        for each in earlier:
            run(engine, "kill", f"--signal={each}", name)
            while httpx.get(f"{url}/health/ready").status_code == 200:
                time.sleep(0.01)
        started = time.perf_counter()
        run(engine, "kill", f"--signal={last}", name)
        run(engine, "wait", name)
        time_taken = time.perf_counter() - started
    record(
        f"SIG{' and SIG'.join(signals)} to a container while a body has not come, drain 600 s",
        f"ended after {time_taken:.1f} s",
        f"at once: in less than {AT_ONCE_SECONDS} s",
        time_taken < AT_ONCE_SECONDS,
    )
