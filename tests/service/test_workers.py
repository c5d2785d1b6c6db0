import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from uvicorn import Config

from models.archive import DEFAULT_BUNDLE, save_bundle
from models.bundle import ModelBundle
from service.workers import AGAIN_SECONDS, Worker
from tests.conftest import ROOT, RunServer
from tests.trust.load import await_workers
from tests.trust.process import workers


def test_workers_that_cannot_start_end_the_service() -> None:
    command = [sys.executable, "-m", "service", "--port", "0", "--workers", "2"]
    environment = os.environ | {"MUSIC_ORIGIN_BUNDLE": "none.npz"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 3
    assert "none.npz cannot be read (No such file or directory)" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_worker_that_cannot_start_again_is_tried_until_it_can(run_server: RunServer, tmp_path: Path) -> None:
    path = tmp_path / "bundle.npz"
    path.write_bytes(DEFAULT_BUNDLE.read_bytes())
    with run_server("--workers", "2", shipped=True, MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        await_workers(server, 2)
        path.write_bytes(b"")
        os.kill(workers(server)[0], signal.SIGKILL)
        while server.log.read_text().count("another takes its place") < 3:
            time.sleep(0.01)
        times = [datetime.fromisoformat(line["time"]) for line in server.lines() if "another takes" in str(line)]
        assert (times[2] - times[1]).total_seconds() >= AGAIN_SECONDS
        server.client.get("/health/ready").raise_for_status()
        path.write_bytes(DEFAULT_BUNDLE.read_bytes())
        await_workers(server, 3)
        assert len(workers(server)) == 2


def test_worker_that_hangs_is_replaced(run_server: RunServer) -> None:
    with run_server("--workers", "2", shipped=True) as server:
        await_workers(server, 2)
        hanging = workers(server)[0]
        os.kill(hanging, signal.SIGSTOP)
        await_workers(server, 3)
        assert hanging not in workers(server)
        server.client.get("/health/ready").raise_for_status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_all(run_server: RunServer, number: signal.Signals) -> None:
    with run_server("--workers", "2", shipped=True) as server:
        await_workers(server, 2)
        processes = workers(server)
        server.process.send_signal(number)
        assert server.process.wait(timeout=60) == 0
        assert not any(Path(f"/proc/{worker}").exists() for worker in processes)


def test_signal_while_the_workers_start_ends_all(run_server: RunServer) -> None:
    with run_server("--workers", "2", shipped=True) as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=60)


def test_workers_end_with_the_one_that_looks_after_them(run_server: RunServer) -> None:
    with run_server("--workers", "2", shipped=True) as server:
        await_workers(server, 2)
        processes = workers(server)
        server.process.kill()
        while any(Path(f"/proc/{worker}").exists() for worker in processes):
            time.sleep(0.01)


def test_worker_that_does_not_end_is_killed(run_server: RunServer) -> None:
    with run_server("--workers", "2", shipped=True, MUSIC_ORIGIN_DRAIN_SECONDS="600") as server:
        await_workers(server, 2)
        server.process.terminate()
        while server.client.get("/health/ready").status_code == 200:
            time.sleep(0.01)
        os.kill(workers(server)[0], signal.SIGSTOP)
        server.process.terminate()
        assert server.process.wait(timeout=60) == 0


def test_workers_that_die_before_they_serve_end_the_service(run_server: RunServer, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a-key")
    with run_server("--workers", "2", shipped=True, MUSIC_ORIGIN_API_KEY_FILE=str(keys)) as server:
        await_workers(server, 2)
        keys.unlink()
        for worker in workers(server):
            os.kill(worker, signal.SIGKILL)
        assert server.process.wait(timeout=60) == 3


def test_all_workers_have_the_models_of_the_latest(
    run_server: RunServer, tmp_path: Path, other_bundle: ModelBundle
) -> None:
    path = tmp_path / "bundle.npz"
    path.write_bytes(DEFAULT_BUNDLE.read_bytes())
    with run_server("--workers", "2", shipped=True, MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        await_workers(server, 2)
        save_bundle(other_bundle, path)
        os.kill(workers(server)[0], signal.SIGKILL)
        while f"{other_bundle.version} answers in the place of" not in server.log.read_text():
            time.sleep(0.01)
        versions = {httpx.get(f"{server.client.base_url}/health/ready").json()["model_version"] for _ in range(30)}
    assert versions == {other_bundle.version}


def test_worker_whose_event_loop_is_stuck_is_replaced(run_server: RunServer, tmp_path: Path) -> None:
    """Though it lives, and its other threads go on."""
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))\n"
    )
    with run_server("--workers", "2", shipped=True, PYTHONPATH=str(tmp_path)) as server:
        await_workers(server, 2)
        stuck = workers(server)[0]
        os.kill(stuck, signal.SIGUSR1)
        await_workers(server, 3)
        assert stuck not in workers(server)


def test_answer_that_came_too_late_is_not_taken_for_the_next() -> None:
    worker = Worker(Config("service.app:app", log_config=None), [])
    worker.process = cast(SpawnProcess, SimpleNamespace(is_alive=lambda: True))
    worker._heard = time.monotonic()
    worker.child_conn.send(False)
    answer = threading.Thread(target=lambda: worker.child_conn.send(worker.child_conn.recv() == b"ping"), daemon=True)
    answer.start()
    assert worker.works()
    assert worker.serves
    answer.join()
