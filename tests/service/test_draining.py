import signal
import socket
import time

import pytest

from service.draining import take_all, take_no_connection
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, problem


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
        server.client.post("/genre", json={"features": EXAMPLE_FEATURES}).raise_for_status()
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
