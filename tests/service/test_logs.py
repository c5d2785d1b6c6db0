import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import httpx

from service.logs import _parts
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT, RunServer, module

PIECE = {"features": EXAMPLE_FEATURES}


def ask(client: httpx.Client) -> None:
    client.post("/genre?", json=PIECE, headers={"X-Request-ID": "mine"})
    client.post("/genre/batch", json={"features": [EXAMPLE_FEATURES] * 3})
    client.post("/north-of-20?network=secret", json=PIECE)
    client.get("/no%20thing%0A")
    client.get("/health/ready")


def test_a_line_for_each_request(run_server: RunServer) -> None:
    with run_server() as server:
        ask(server.client)
    lines = [line for line in server.lines() if "path" in line]
    assert [(line["method"], line["path"], line["status"], line["rows"]) for line in lines] == [
        ("POST", "/genre", 200, 1),
        ("POST", "/genre/batch", 200, 3),
        ("POST", "/north-of-20", 422, 0),
        ("GET", "/no%20thing%0A", 404, 0),
    ]
    assert all(set(line) == {*lines[0]} for line in lines)
    assert set(lines[0]) == {"time", "level", "request_id", "method", "path", "status", "milliseconds", "rows"}
    assert lines[0]["request_id"] == "mine"
    assert datetime.fromisoformat(lines[0]["time"]).tzinfo
    assert 0 < lines[0]["milliseconds"] < 10_000
    assert {line["level"] for line in lines} == {"info"}
    log = server.log.read_text()
    assert str(EXAMPLE_FEATURES[2]) not in log
    assert "secret" not in log


def test_level_decides_what_is_logged(run_server: RunServer) -> None:
    for level, logged in (("debug", 5), ("INFO", 4), ("warning", 0)):
        with run_server(MUSIC_ORIGIN_LOG_LEVEL=level) as server:
            ask(server.client)
        assert len([line for line in server.lines() if "path" in line]) == logged


def test_switch_turns_the_lines_of_requests_off(run_server: RunServer) -> None:
    with run_server(MUSIC_ORIGIN_ACCESS_LOG="false") as server:
        ask(server.client)
    assert not [line for line in server.lines() if "path" in line]
    assert "GET" not in server.log.read_text()


def test_on_a_terminal_lines_are_for_people() -> None:
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "uvicorn", "service.app:app", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=child, stderr=child) as process:
        os.close(child)
        output = ""
        while not (found := re.search(r"running on .*?(http://[\d.:]+)", output)):
            output += os.read(parent, 4096).decode()
        httpx.post(f"{found[1]}/genre", json=PIECE, headers={"X-Request-ID": "mine"}).raise_for_status()
        while "mine" not in output:
            output += os.read(parent, 4096).decode()
        process.terminate()
    os.close(parent)
    assert re.search(r"\d\d:\d\d:\d\d INFO POST /genre 200 [\d.]+ ms, rows: 1, id mine", output)
    assert '"path"' not in output


def test_uvicorn_speaks_in_the_same_form(run_server: RunServer) -> None:
    with run_server() as server:
        pass
    messages = [line["message"] for line in server.lines() if "message" in line]
    assert any("Application startup complete" in message for message in messages)
    assert any("Shutting down" in message for message in messages)


SELDOM = "import service.ledger\nservice.ledger.SETTLING_SECONDS = 60\nfrom service.app import app\n"


def test_last_requests_are_logged_when_the_service_stops(run_server: RunServer, tmp_path: Path) -> None:
    with run_server(**module(tmp_path, SELDOM)) as server:
        ask(server.client)
        assert not [line for line in server.lines() if "path" in line]
    assert len([line for line in server.lines() if "path" in line]) == 4


def test_requests_that_are_cut_off_are_logged(run_server: RunServer, tmp_path: Path) -> None:
    """However long the second SIGINT takes to come, no body is given up for late before it."""
    patient = SELDOM + "import service.admission\nservice.admission.LAST_SECONDS = 60\n"
    head = b"POST /genre/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    with run_server(may_fail=True, **module(tmp_path, patient)) as server, ExitStack() as stack:
        for _ in range(3):
            address = (server.client.base_url.host, server.client.base_url.port or 80)
            stack.enter_context(socket.create_connection(address)).sendall(head)
        while "in_flight 4.0" not in server.client.get("/metrics").text:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGINT)
        while "Waiting for" not in server.log.read_text():
            time.sleep(0.01)
        server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=60)
    assert [line["status"] for line in server.lines() if line.get("path") == "/genre/batch"] == [503] * 3


def test_lines_are_written_whole_and_as_many_as_a_pipe_takes_at_once() -> None:
    lines = [f"{'x' * (17 * number % 900)}\n" for number in range(200)] + ["y" * 9000 + "\n", "z\n"]
    parts = [*_parts(lines)]
    assert "".join(parts) == "".join(lines)
    assert all(part.endswith("\n") for part in parts)
    assert [part for part in parts if len(part) > select.PIPE_BUF] == [lines[-2]]
    assert len(parts) < len(lines) / 4
