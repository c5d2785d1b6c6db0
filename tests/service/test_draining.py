import signal
import time

import pytest

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
