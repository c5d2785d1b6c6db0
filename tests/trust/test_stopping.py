"""Stopping under load: nothing that was accepted is lost."""

import signal
import socket
import time

import httpx
import pytest

from models.bundle import ModelBundle
from tests.conftest import RunServer, Server
from tests.trust.asks import make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.load import Load, Tally, await_workers

CLIENTS = 16
DRAIN_SECONDS = 3.0
HALF_A_REQUEST = b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"


def stop_under_load(server: Server, bundle: ModelBundle, seed: int) -> tuple[Tally, float, int]:
    """What became of the requests around SIGTERM, the seconds from there to the end, and the exit status."""
    url = server.client.base_url
    with Load(str(url.host), url.port or 80, make_asks([bundle], 80, seed), CLIENTS, stop_when_refused=True) as load:
        load.wait_for(300)
        assert load.tally.refused == 0
        server.process.send_signal(signal.SIGTERM)
        started = time.perf_counter()
        while httpx.get(f"{url}/health/ready").status_code == 200:
            time.sleep(0.01)
        assert load.tally.refused == 0  # so it is not ready first
        status = server.process.wait(timeout=60)
        seconds = time.perf_counter() - started
        return load.wait(), seconds, status


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
    arguments: dict[str, str],
) -> None:
    right = lost = wrong = 0
    longest, statuses, texts = 0.0, set(), []
    times = sized(10, 1)
    for seed in range(times):
        with run_server(*options, **arguments, MUSIC_ORIGIN_DRAIN_SECONDS=str(DRAIN_SECONDS)) as server:
            await_workers(server, int(options[1]) if options else 1)
            tally, seconds, status = stop_under_load(server, bundle, seed)
        right, wrong, lost = right + tally.right, wrong + tally.wrong, lost + tally.lost
        longest = max(longest, seconds)
        statuses.add(status)
        texts += [*tally.mistakes, *tally.losses]
    record(
        f"{times} x SIGTERM under load, {how}, drained for {DRAIN_SECONDS:g} s",
        f"{right:,} right, {wrong} wrong, {lost} lost, at most {longest:.1f} s, status {statuses} {texts or ''}",
        "none lost, status 0, within the drain",
        not wrong + lost and statuses == {0} and longest <= DRAIN_SECONDS,
    )


@pytest.mark.parametrize("signals", [["SIGTERM", "SIGTERM"], ["SIGTERM", "SIGINT"], ["SIGINT"]], ids=", ".join)
@pytest.mark.parametrize("workers", [1, 2])
def test_service_that_ends_at_once(run_server: RunServer, record: Record, signals: list[str], workers: int) -> None:
    """Neither the drain, nor a body that has not come yet, nor batches that wait for their turn are waited for."""
    patient = {"MUSIC_ORIGIN_DRAIN_SECONDS": "600", "MUSIC_ORIGIN_REQUEST_TIMEOUT": "600"}
    options = ("--workers", str(workers), "--timeout-graceful-shutdown", "600")
    with run_server(*options, shipped=True, may_fail=True, **patient) as server:
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
    record(
        f"{' and '.join(signals)} while a body has not come, {workers} worker{'s' * (workers > 1)}, drain 600 s",
        f"ended after {time.perf_counter() - started:.1f} s",
        "at once",
        True,
    )
