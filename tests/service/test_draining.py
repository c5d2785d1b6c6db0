import json
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.schemas import EXAMPLE_FEATURES
from service.sockets import take_all, take_no_connection
from tests.conftest import RunServer, module, problem
from tests.service.door_requests import read_reply, request


def test_not_ready_once_told_to_stop_and_still_answering(run_server: RunServer) -> None:
    with run_server(MUSIC_ORIGIN_DRAIN_SECONDS="4") as server:
        server.client.get("/health/ready").raise_for_status()
        server.process.send_signal(signal.SIGTERM)
        while (reply := server.client.get("/health/ready")).status_code == 200:
            time.sleep(0.01)
        assert "about to stop" in problem(reply, 503)["detail"]
        reply = server.client.get("/v2/health/ready")
        assert reply.status_code == 503
        assert reply.json() == {"ready": False, "live": True, "error": "The service is about to stop."}
        server.client.get("/health/live").raise_for_status()
        for path in ("/genre", "/north-of-20?network=hidden"):
            reply = server.client.post(path, json={"features": EXAMPLE_FEATURES}).raise_for_status()
            assert reply.headers["connection"] == "close"
        assert server.process.poll() is None
        server.process.wait(timeout=30)
    assert "Finished server process" in server.log.read_text()


@pytest.mark.parametrize("seconds", ["0", "600"])
def test_second_signal_is_not_waited_for(run_server: RunServer, seconds: str) -> None:
    with run_server(MUSIC_ORIGIN_DRAIN_SECONDS=seconds) as server:
        server.process.send_signal(signal.SIGTERM)
        if seconds != "0":
            while server.client.get("/health/ready").status_code == 200:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_no_connection_begins_and_those_that_have_go_on(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listener:
        address = listener.getsockname()[:2]
        with socket.create_connection(address) as accepted, socket.create_connection(address) as waiting:
            taken, _ = listener.accept()
            take_no_connection(listener.fileno())
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            taken_later, _ = listener.accept()
            for client, served in ((accepted, taken), (waiting, taken_later)):
                with served:
                    client.sendall(b"x")
                    assert served.recv(1) == b"x"
        take_all(listener.fileno())
        socket.create_connection(address).close()


def test_connection_that_has_begun_may_ask_once(run_server: RunServer, tmp_path: Path) -> None:
    patient = module(
        tmp_path, "import service.draining\nfrom service.app import app\nservice.draining.LAST_SECONDS = 60\n"
    )
    with run_server(**patient) as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            server.client.get("/health/live")  # by now that connection is accepted
            server.process.terminate()
            time.sleep(0.5)
            connection.sendall(request())
            status, headers, _ = read_reply(connection)
        assert status == 200
        assert ("connection", "close") in headers
        assert server.process.wait(timeout=30) == 0


SLOW_BATCHES = """
import time
from service.admission import Admission
from service.app import app

run_large = Admission.run_large

async def run_slowly(self, answer):
    return await run_large(self, lambda: time.sleep(2) or answer())

Admission.run_large = run_slowly
"""


def test_batches_that_wait_for_their_turn_are_left_when_it_ends_at_once(run_server: RunServer, tmp_path: Path) -> None:
    batch = request(json.dumps({"features": [[0.1] * 68] * 500}).encode(), line="POST /genre/batch HTTP/1.1")
    with run_server(may_fail=True, **module(tmp_path, SLOW_BATCHES)) as server, ExitStack() as stack:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        for _ in range(30):
            stack.enter_context(socket.create_connection(address)).sendall(batch)
        while "music_origin_requests_in_flight 31.0" not in server.client.get("/metrics").text:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=30)


def test_requests_that_wait_for_their_turn_are_answered(run_server: RunServer, tmp_path: Path) -> None:
    batch = request(json.dumps({"features": [[0.1] * 68] * 500}).encode(), line="POST /genre/batch HTTP/1.1")
    with run_server(MUSIC_ORIGIN_DRAIN_SECONDS="10", **module(tmp_path, SLOW_BATCHES)) as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(batch + 3 * request(b"", line="GET /health/live HTTP/1.1"))
            while "music_origin_requests_in_flight 2.0" not in server.client.get("/metrics").text:
                time.sleep(0.01)
            server.process.terminate()
            replies = [read_reply(connection) for _ in range(4)]
    assert [status for status, *_ in replies] == [200] * 4
    assert [("connection", "close") in headers for _, headers, _ in replies] == [False, False, False, True]
