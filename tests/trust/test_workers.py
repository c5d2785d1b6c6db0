"""Workers that are killed, and workers that change their models, under load."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from models.archive import DEFAULT_BUNDLE, save_bundle
from models.bundle import ModelBundle
from tests.conftest import RunServer, Server
from tests.trust.asks import make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.load import Load, Tally, await_workers
from tests.trust.process import workers

CLIENTS = 16


def metric(server: Server, name: str) -> float:
    """The sum of a metric over its labels; of requests, only those for predictions."""
    lines = httpx.get(f"{server.client.base_url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and 'method="GET"' not in line)


def test_killed_worker_is_replaced(run_server: RunServer, bundle: ModelBundle, sized: Sized, record: Record) -> None:
    """What a killed worker was about to answer is lost with it: at most one request of each client."""
    times = sized(10, 1)
    asks = make_asks([bundle], 80)
    with run_server("--workers", "2", shipped=True) as server:
        await_workers(server, 2)
        url = server.client.base_url
        with Load(url.host, url.port or 80, asks, CLIENTS) as load:
            for killed in range(times):
                load.wait_for(load.tally.sent + 300)
                os.kill(workers(server)[0], signal.SIGKILL)
                answered = load.tally.right
                load.wait_for(load.tally.sent + 100)  # by the other, while there is no second
                assert load.tally.right > answered
                await_workers(server, 3 + killed)
        tally = load.tally
        counted = metric(server, "music_origin_requests_total")
        # The gauge's own request is under way; what the dead had under way is not.
        while (in_flight := metric(server, "music_origin_requests_in_flight")) != 1:
            time.sleep(0.01)
    uncounted = tally.right - counted
    record(
        f"{times} x SIGKILL to one of two workers under load",
        f"{outcome(tally)}, {uncounted:+.0f} uncounted, {in_flight:.0f} in flight",
        f"none wrong, lost and uncounted at most {CLIENTS} a kill",
        not tally.wrong
        and not tally.refused
        and tally.lost <= CLIENTS * times
        and -tally.lost <= uncounted <= CLIENTS * times,
    )


def outcome(tally: Tally) -> str:
    return f"{tally.right:,} right, {tally.wrong} wrong, {tally.lost} lost"


@pytest.mark.parametrize(
    ("told", "times", "watch"), [("by SIGHUP", (100, 5), "false"), ("of a watched file", (10, 2), "true")]
)
def test_models_are_swapped_between_two_requests(
    run_server: RunServer,
    bundle: ModelBundle,
    other_bundle: ModelBundle,
    tmp_path: Path,
    sized: Sized,
    record: Record,
    told: str,
    times: tuple[int, int],
    watch: str,
) -> None:
    """One bundle and the other take the place of the first, each once all workers have the one before."""
    path, bundles, swaps = tmp_path / "bundle.npz", [bundle, other_bundle], sized(*times)
    path.write_bytes(DEFAULT_BUNDLE.read_bytes())
    with run_server("--workers", "2", shipped=True, MUSIC_ORIGIN_BUNDLE=str(path), MUSIC_ORIGIN_WATCH=watch) as server:
        await_workers(server, 2)
        url = server.client.base_url
        with Load(url.host, url.port or 80, make_asks(bundles, 160), CLIENTS) as load:
            for swap in range(1, swaps + 1):
                load.wait_for(load.tally.sent + 50)
                save_bundle(bundles[swap % 2], path)
                if watch == "false":
                    server.process.send_signal(signal.SIGHUP)
                while server.log.read_text().count("answers in the place of") < 2 * swap:
                    time.sleep(0.01)
        tally = load.tally
        found = Counter(httpx.get(f"{url}/health/ready").json()["model_version"] for _ in range(50))
    record(
        f"{swaps} swaps of the bundle {told} under load, two workers",
        f"{outcome(tally)}, by {dict(tally.versions)}; at the end {dict(found)}",
        "none wrong or lost, each as its version has it, one version at the end",
        tally.right == tally.sent and len(tally.versions) == 2 and [*found] == [bundles[swaps % 2].version],
    )


def test_bad_bundles_are_refused_under_load(
    run_server: RunServer, bundle: ModelBundle, tmp_path: Path, sized: Sized, record: Record
) -> None:
    path = tmp_path / "bundle.npz"
    whole = DEFAULT_BUNDLE.read_bytes()
    path.write_bytes(whole)
    times = sized(50, 3)
    with run_server("--workers", "2", shipped=True, MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        await_workers(server, 2)
        url = server.client.base_url
        with Load(url.host, url.port or 80, make_asks([bundle], 80), CLIENTS) as load:
            for time_ in range(1, times + 1):
                path.write_bytes(whole[: len(whole) * time_ // (times + 1)])
                server.process.send_signal(signal.SIGHUP)
                while server.log.read_text().count("goes on answering") < 2 * time_:
                    time.sleep(0.01)
        refused = metric(server, "music_origin_reloads_total")
    tally = load.tally
    record(
        f"{times} bad bundles and SIGHUP under load, two workers",
        f"{refused:.0f} refused by the workers, {outcome(tally)}",
        "each refused by each worker, none wrong or lost",
        refused == 2 * times and tally.right == tally.sent == tally.versions[bundle.version],
    )
