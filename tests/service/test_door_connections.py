"""What happens on a connection to the door: replies keep their order, and clients are slow, go away, or are many."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from service.app import app
from service.door import PATIENCE, Door, Held, answer_held
from tests.conftest import RunServer, module
from tests.service.door_requests import END_OF_HEAD, PIECE, parted, read_reply, replies, request
from tests.service.test_hot_path import LARGE, WAITING

PIPELINED = [request() + request(line="POST /origin HTTP/1.1"), request(b"[]") + request()]


@pytest.mark.parametrize("sent", PIPELINED)
def test_requests_in_one_go_are_answered_in_turn(servers: list[httpx.Client], sent: bytes) -> None:
    with_door, without_door = (replies(server, [sent], 2) for server in servers[:2])
    assert with_door == without_door


def test_request_within_a_body_is_a_part_of_that(servers: list[httpx.Client]) -> None:
    sent: Sequence[bytes | float] = [
        request(b"", line="POST /genre/batch HTTP/1.1", length=len(request())),
        0.05,
        request(),
    ]
    with_door, without_door = (replies(server, sent, 1) for server in servers[:2])
    assert with_door == without_door
    assert with_door[0][0] == 422


def test_request_within_a_header_is_a_part_of_that(servers: list[httpx.Client]) -> None:
    sent: Sequence[bytes | float] = [b"POST /health/live HTTP/1.1\r\nX-Note: ", 0.05, request()]
    with_door, without_door = (replies(server, sent, 1) for server in servers[:2])
    assert with_door == without_door
    assert with_door[0][0] == 405


def test_request_waits_for_the_reply_to_the_one_before(run_server: RunServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with run_server(**module(tmp_path, WAITING.format(go=go))) as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(request(LARGE, line="POST /genre/batch HTTP/1.1"))
            while not [*tmp_path.glob("go-started-*")]:
                time.sleep(0.01)
            connection.sendall(request(line="POST /origin HTTP/1.1"))
            server.client.get("/health/live")
            go.touch()
            bodies = [read_reply(connection)[2] for _ in range(2)]
    assert [b"places" in body for body in bodies] == [False, True]


def test_client_that_expects_leave_to_go_on_gets_it(servers: list[httpx.Client]) -> None:
    head = request(b"", "Expect: 100-continue", length=len(PIECE))
    with_door, without_door = (replies(server, [head, 0.2, PIECE], 2) for server in servers[:2])
    assert with_door == without_door
    assert [status for status, _, _ in with_door] == [100, 200]


def test_requests_at_the_same_time_get_their_own_replies(servers: list[httpx.Client]) -> None:
    client, random_rows = servers[0], np.random.default_rng(3).normal(size=(40, 68)).round(4).tolist()
    expected = [client.post("/origin", json={"features": row}).json() for row in random_rows]
    address = (client.base_url.host, client.base_url.port or 80)
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in random_rows]
        for connection, row in zip(connections, random_rows, strict=True):
            connection.sendall(request(json.dumps({"features": row}).encode(), line="POST /origin HTTP/1.1"))
        found = [json.loads(read_reply(connection)[2]) for connection in connections]
    assert found == expected


def test_client_that_goes_away_is_forgotten(servers: list[httpx.Client]) -> None:
    address = (servers[2].base_url.host, servers[2].base_url.port or 80)
    for sent in (request(), request(PIECE[:50], length=len(PIECE))):
        with socket.create_connection(address) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # so it is reset
            connection.sendall(sent)
    assert replies(servers[2], [0.2, request()], 1)[0][0] == 200


def test_body_in_drops_is_not_waited_for(run_server: RunServer) -> None:
    with run_server(MUSIC_ORIGIN_REQUEST_TIMEOUT="0.3") as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(request(b"", length=len(PIECE)))
            connection.settimeout(PATIENCE / 2)
            for _ in range(100):
                connection.sendall(b" ")
                with suppress(TimeoutError):
                    assert connection.recv(12) == b"HTTP/1.1 408"
                    break
            else:
                pytest.fail("it is waited for longer than its timeout says")


def test_time_of_a_late_body_counts_from_its_head(run_server: RunServer, tmp_path: Path) -> None:
    patient = module(tmp_path, "import service.door\nfrom service.app import app\nservice.door.PATIENCE = 1\n")
    head, body = parted(request(), END_OF_HEAD)
    with run_server(**patient) as server:
        replies(server.client, [head, 1.5, body], 1)
    (line,) = [line for line in server.lines() if line.get("path") == "/genre"]
    assert line["milliseconds"] > 1000


def test_request_that_is_given_up_is_logged(run_server: RunServer) -> None:
    with run_server() as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address) as connection:
            connection.sendall(request(PIECE[:50], length=len(PIECE)))
        while not (lines := [line for line in server.lines() if line.get("request_id") == "mine"]):
            time.sleep(0.01)
    assert [(line["path"], line["status"]) for line in lines] == [("/genre", 400)]


def test_connection_ends_once_it_is_idle_and_not_while_it_is_used(run_server: RunServer) -> None:
    with run_server("--timeout-keep-alive", "4") as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=60) as connection:
            for sent in (*[request()] * 6, request(line="GET /genre HTTP/1.1"), request()):
                connection.sendall(sent)
                read_reply(connection)
                time.sleep(0.5)
            assert connection.recv(1) == b""


def test_service_that_stops_answers_what_has_begun(run_server: RunServer, tmp_path: Path) -> None:
    patient = (
        "import service.admission\nimport service.door\nfrom service.app import app\n"
        "service.admission.LAST_SECONDS = service.door.PATIENCE = 60\n"
    )
    with run_server(**module(tmp_path, patient)) as server:
        address = (server.client.base_url.host, server.client.base_url.port or 80)
        with socket.create_connection(address, timeout=30) as connection:
            head, body = parted(request(), END_OF_HEAD)
            connection.sendall(head)
            time.sleep(0.1)
            server.process.terminate()
            time.sleep(0.4)
            connection.sendall(body)
            assert read_reply(connection)[0] == 200
        server.process.wait(timeout=30)


class Transport:
    """Takes what a connection writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False
        self.socket: socket.socket | None = None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True

    close = abort

    def is_closing(self) -> bool:
        return self.aborted

    def get_extra_info(self, name: str) -> socket.socket | None:
        return self.socket if name == "socket" else None


@asynccontextmanager
async def connections(count: int) -> AsyncIterator[list[tuple[Door, Any]]]:
    """Connections to the service without a network between, and their transports."""
    async with app.router.lifespan_context(app) as state:
        config = Config(app, http=Door, log_config=None)
        config.load()
        made: list[tuple[Door, Any]] = [
            (Door(config, ServerState(), dict(state or {})), Transport()) for _ in range(count)
        ]
        for door, transport in made:
            door.connection_made(transport)
        yield made


def test_client_that_does_not_read_is_left_to_uvicorn() -> None:
    async def main() -> None:
        async with connections(1) as [(door, transport)]:
            door.pause_writing()
            door.data_received(request())
            assert not door.holding
            door.resume_writing()
            while not (door.cycle and door.cycle.response_complete):
                await asyncio.sleep(0)
            door.data_received(request())
            assert door.holding
            await asyncio.sleep(0)
            assert b"".join(transport.written).count(b"HTTP/1.1 200 OK") == 2

    asyncio.run(main())


def test_next_request_does_not_overtake_one_that_is_held() -> None:
    async def main() -> None:
        async with connections(1) as [(door, transport)]:
            door.data_received(request())
            assert transport.written == []
            door.data_received(request(b"[]"))
            assert len(transport.written) == 1
            while not (door.cycle and door.cycle.response_complete):
                await asyncio.sleep(0)
            assert [int(reply.split()[1]) for reply in transport.written if reply.startswith(b"HTTP")] == [200, 422]

    asyncio.run(main())


def test_connection_that_fails_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connections(3) as made:
            reply = Door.reply

            def fail_once(door: Door, held: Held, content: bytes) -> None:
                if door is made[1][0]:
                    raise RuntimeError("a mistake")
                reply(door, held, content)

            monkeypatch.setattr(Door, "reply", fail_once)
            for door, _ in made:
                door.data_received(request())
            answer_held()
            assert [len(transport.written) for _, transport in made] == [1, 0, 1]
            assert [transport.aborted for _, transport in made] == [False, True, False]

    asyncio.run(main())


def test_what_has_come_meanwhile_is_answered_before_the_end() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            async with connections(1) as [(door, transport)]:
                transport.socket = ours
                assert door.awaited
                door.data_received(request())
                assert door.awaited
                answer_held()
                assert not door.awaited
                theirs.sendall(request())
                door.shutdown()
                assert not transport.aborted
                ours.recv(2**16)
                door.shutdown()
                assert transport.aborted

    asyncio.run(main())


def test_what_follows_a_body_is_no_header_of_the_request() -> None:
    head = request(b"", "Transfer-Encoding: chunked", line="POST /nowhere HTTP/1.1").replace(
        b"Content-Length: 0\r\n", b""
    )

    async def main() -> None:
        async with connections(1) as [(door, _)]:
            door.data_received(head + b"1\r\nx\r\n0\r\nX-API-Key: late\r\n\r\n")
            while not door.cycle.response_complete:
                await asyncio.sleep(0)
            assert b"x-api-key" not in dict(door.headers)

    asyncio.run(main())
