import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from models.archive import save_bundle
from models.bundle import ModelBundle
from service.metrics import SECONDS, observe_all
from service.schemas import EXAMPLE_FEATURES
from tests.bundles import with_centroids
from tests.conftest import ROOT, RunServer, StartServer, module

PIECE = {"features": EXAMPLE_FEATURES}
Figures = dict[tuple[str, ...], float]


def figures(client: httpx.Client) -> Figures:
    """Every sample, by its name and the values of its labels, in the order of their names."""
    text = client.get("/metrics").raise_for_status().text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_happened_is_counted(start_server: StartServer, bundle: ModelBundle) -> None:
    with start_server() as client:
        genre = client.post("/genre", json=PIECE).json()["genre"]
        client.post("/genre/batch", json={"features": [EXAMPLE_FEATURES] * 5}).raise_for_status()
        client.post("/north-of-20?network=hidden", json=PIECE).raise_for_status()
        client.post("/v2/models/none/infer", json={})
        for path in ("/genre", "/nothing/1", "/nothing/2"):
            client.get(path)
        client.request("BREW", "/genre")
        counted = figures(client)
    requests = "music_origin_requests_total"
    assert counted[requests, "POST", "/genre", "200"] == 1
    assert counted[requests, "POST", "/genre/batch", "200"] == 1
    assert counted[requests, "GET", "/genre", "405"] == 1
    assert counted[requests, "GET", "unmatched", "404"] == 2
    assert counted[requests, "POST", "/v2/models/{model}/infer", "404"] == 1
    assert counted["music_origin_rows_total", "/genre"] == 1
    assert counted["music_origin_rows_total", "/genre/batch"] == 5
    assert counted["music_origin_genres_total", str(genre)] == 6
    assert sum(value for name, value in counted.items() if name[0] == "music_origin_genres_total") == 6
    assert counted["music_origin_sides_total", "hidden", "north"] == 1
    assert counted["music_origin_request_seconds_count", "POST", "/genre"] == 1
    assert 0 < counted["music_origin_request_seconds_sum", "POST", "/genre"] < 10
    assert counted["music_origin_request_seconds_bucket", "10.0", "POST", "/genre"] == 1
    assert counted["music_origin_requests_in_flight",] == 1
    assert counted["music_origin_model_info", bundle.manifest.data_sha256, bundle.version] == 1
    assert counted["music_origin_concurrency_limit",] == 1000
    assert counted["process_resident_memory_bytes",] > 1e6


def training_shares(bundle: ModelBundle) -> Figures:
    """What is told of the data that the models were trained on."""
    manifest = bundle.manifest
    shares: Figures = {
        ("music_origin_training_genre_share", str(number)): genre.size / manifest.rows
        for number, genre in enumerate(manifest.genres)
    }
    return shares | {("music_origin_training_north_share",): manifest.rows_north_of_20 / manifest.rows}


def test_training_is_that_of_the_models_that_answer(run_server: RunServer, bundle: ModelBundle, tmp_path: Path) -> None:
    path = tmp_path / "bundle.npz"
    save_bundle(bundle, path)
    manifest = dataclasses.replace(bundle.manifest, genres=bundle.manifest.genres[1:], rows_north_of_20=500)
    other = dataclasses.replace(with_centroids(bundle, bundle.genres.centroids[1:]), manifest=manifest)
    with run_server(MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        before = figures(server.client)
        save_bundle(other, path)
        server.process.send_signal(signal.SIGHUP)
        while (after := figures(server.client))["music_origin_reloads_total", "done"] == 0:
            time.sleep(0.01)
    assert before["music_origin_reloads_total", "done"] == before["music_origin_reloads_total", "refused"] == 0
    assert training_shares(bundle).items() <= before.items()
    assert training_shares(other).items() <= after.items()
    assert after["music_origin_training_genre_share", "9"] == 0


def test_what_was_answered_just_before_is_counted(start_server: StartServer) -> None:
    body = json.dumps(PIECE).encode()
    both = (
        b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (len(body), body)
    )
    with start_server() as client:
        for number in range(1, 51):
            with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
                connection.sendall(both)
                replies = connection.makefile("rb").read().decode()
            assert f'music_origin_requests_total{{method="POST",path="/genre",status="200"}} {number}.0' in replies


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "text/plain"),
        ("text/plain;version=x", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_form_is_the_one_that_the_scraper_asks_for(client: httpx.Client, accept: str, form: str) -> None:
    reply = client.get("/metrics", headers={"Accept": accept}).raise_for_status()
    assert reply.headers["content-type"].startswith(form)


def patiently(ask: Callable[[], Any]) -> Any:
    """What is answered once a worker listens."""
    while True:
        try:
            return ask()
        except httpx.TransportError:
            time.sleep(0.05)


def test_workers_are_counted_together(run_server: RunServer, bundle: ModelBundle, tmp_path: Path) -> None:
    with run_server("--workers", "2", TMPDIR=str(tmp_path)) as server:
        address = server.client.base_url.join("/genre")
        answered: set[int] = set()
        asked = 0
        while len(answered) < 2:  # each on a new connection, which either worker may take
            patiently(lambda: httpx.post(address, json=PIECE)).raise_for_status()
            asked += 1
            (folder,) = tmp_path.glob("music-origin-metrics-*")
            answered = {int(path.stem.rpartition("_")[2]) for path in folder.glob("counter_*.db")}
        assert folder.stat().st_mode & 0o777 == 0o700
        for _ in range(5):
            with httpx.Client(base_url=server.client.base_url) as client:
                counted = figures(client)
            assert counted["music_origin_requests_total", "POST", "/genre", "200"] == asked
            assert sum(value for name, value in counted.items() if name[0] == "music_origin_genres_total") == asked
            assert counted["music_origin_concurrency_limit",] == 2 * 1000
            assert training_shares(bundle).items() <= counted.items()
        with socket.create_connection((address.host, address.port or 80)) as connection:
            connection.sendall(
                b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
            )
            while patiently(lambda: figures(server.client))["music_origin_requests_in_flight",] != 2:
                pass
            for worker in answered:
                os.kill(worker, signal.SIGKILL)
        counted = patiently(lambda: figures(server.client))
        assert counted["music_origin_requests_total", "POST", "/genre", "200"] == asked
        assert counted["music_origin_requests_in_flight",] == 1


def test_many_are_observed_as_one_by_one() -> None:
    registry = CollectorRegistry()
    one_by_one, at_once = (Histogram(name, "s", buckets=SECONDS, registry=registry) for name in ("a", "b"))
    amounts = [*SECONDS, 0.0, 1e-5, 0.0123, 7.0, 100.0, 0.0123]
    for amount in amounts:
        one_by_one.observe(amount)
    observe_all(at_once, amounts)
    samples = [
        [
            (sample.labels, pytest.approx(sample.value))
            for sample in family.samples
            if not sample.name.endswith("created")
        ]
        for family in registry.collect()
    ]
    assert samples[0] == samples[1]


def test_workers_without_a_folder_to_share_say_what_to_do(tmp_path: Path) -> None:
    code = """
import multiprocessing, tempfile
from service.app import app
multiprocessing.parent_process = lambda: True
tempfile.tempdir = __file__
"""
    command = [sys.executable, "-m", "uvicorn", "altered:app", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": module(tmp_path, code)["PYTHONPATH"]}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 3
    assert "which cannot be had (Not a directory): in a container, add --tmpfs /tmp" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
