"""Clients that keep the service waiting are cut off, and do not trouble the others."""

import http.client
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from models.bundle import ModelBundle
from tests.conftest import ROOT, RunServer, Server
from tests.trust.asks import make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.load import answers
from tests.trust.process import open_files, resident

TIMEOUT = 3.0
MOST_BYTES = 30_000  # of an idle connection

Treated = dict[str, tuple[list[str], float, float]]
EXPECTED = {
    "says nothing": ["no reply"],
    "head, a byte a second": ["408"],
    "head that stops": ["408"],
    "empty lines": ["no reply"],
    "body, a byte a second": ["408"],
    "body that stops": ["408"],
    "body that nobody reads, a byte a second": ["404"],
    "chunks, a byte a second": ["408"],
}


def address(server: Server) -> tuple[str, int]:
    return str(server.client.base_url.host), server.client.base_url.port or 80


@contextmanager
def slow_clients(server: Server, count: int) -> Iterator[tuple[Treated, Callable[[], bool]]]:
    """So many slow clients at once: how they were treated, once the block has ended, and whether they are gone."""
    host, port = address(server)
    command = [sys.executable, "-m", "tests.trust.slow", host, str(port), str(count)]
    treated: Treated = {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        yield treated, lambda: process.poll() is not None
        treated |= json.loads(process.stdout.read())


def p99_ms(server: Server, bundle: ModelBundle, count: int, is_over: Callable[[], bool] = lambda: True) -> float:
    """The 99th percentile of requests, one after the other, each of which is right: so many, and until it is over."""
    asks = [ask for ask in make_asks([bundle], 16) if ask.path.startswith(("/genre", "/origin", "/north"))]
    asks = [ask for ask in asks if "batch" not in ask.path]
    connection = http.client.HTTPConnection(*address(server))
    times: list[float] = []
    while len(times) < count or not is_over():
        ask = asks[len(times) % len(asks)].again()
        started = time.perf_counter()
        connection.request(ask.method, ask.path, ask.body, ask.headers)
        reply = connection.getresponse()
        body = reply.read()
        times.append(1000 * (time.perf_counter() - started))
        assert ask.mistake(reply.status, reply.headers, body) is None
    connection.close()
    return statistics.quantiles(times, n=100)[98]


def test_slow_clients_are_cut_off_and_trouble_no_other(
    run_server: RunServer, bundle: ModelBundle, sized: Sized, record: Record
) -> None:
    """How long the other waits is judged only in the long form, by the median of several rounds."""
    rounds, clients, asked = sized(7, 1), 500, sized(2000, 300)
    quiet, beside = [], []
    with run_server(shipped=True, MUSIC_ORIGIN_REQUEST_TIMEOUT=str(TIMEOUT)) as server:
        files = open_files(server)
        p99_ms(server, bundle, 100)
        for _ in range(rounds):
            quiet.append(p99_ms(server, bundle, asked))
            with slow_clients(server, clients) as (treated, are_cut_off):
                beside.append(p99_ms(server, bundle, asked, are_cut_off))
            treated["empty lines"][0][:] = ["no reply"]  # or reset, if a line comes as the connection is closed
            assert {kind: statuses for kind, (statuses, *_) in treated.items()} == EXPECTED
            assert (
                min(least for _, least, _ in treated.values()) >= TIMEOUT - 0.01
            )  # the event loop's clock ticks in milliseconds
        while open_files(server) > files:
            time.sleep(0.01)
    longest = max(most for _, _, most in treated.values())
    record(
        f"{clients} slow clients of {len(EXPECTED)} kinds at once, {rounds} times, timeout {TIMEOUT:g} s",
        f"all cut off, after {TIMEOUT:g} to {longest:.1f} s, 408 where a reply could be sent",
        "each cut off by the timeout",
        longest < 2 * TIMEOUT + 2,
    )
    ratio = statistics.median(beside) / statistics.median(quiet)
    record(
        "p99 of a client beside them, against its quiet p99",
        f"{statistics.median(beside):.2f} ms to {statistics.median(quiet):.2f} ms, {ratio:.2f} x",
        "under 2 x" if rounds > 1 else "shown only, in the short form",
        ratio < 2 or rounds == 1,
    )


def test_client_that_never_reads_its_reply(run_server: RunServer, sized: Sized, record: Record) -> None:
    """Ten times a megabyte is more than the system takes in the client's place."""
    asked = 10 * b"GET /docs/assets/redoc.standalone.js HTTP/1.1\r\nHost: x\r\n\r\n"
    count = sized(30, 4)
    with run_server(shipped=True, MUSIC_ORIGIN_REQUEST_TIMEOUT=str(TIMEOUT)) as server:
        files = open_files(server)
        with ExitStack() as stack:
            started = time.perf_counter()
            for _ in range(count):
                connection = stack.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(address(server))
                connection.sendall(asked)
            while open_files(server) < files + count:
                time.sleep(0.01)
            while open_files(server) > files + 1:
                assert server.client.get("/health/live").status_code == 200
                time.sleep(0.05)
            seconds = time.perf_counter() - started
    record(
        f"{count} clients that never read replies of 10 MB",
        f"all cut off after {seconds:.1f} s",
        "cut off by the timeout, others answered meanwhile",
        seconds < 2 * TIMEOUT + 2,
    )


def test_idle_connections_cost_little(run_server: RunServer, bundle: ModelBundle, sized: Sized, record: Record) -> None:
    count = sized(10_000, 1_000)
    code = f"""
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
idle = []
for _ in range({count}):
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    connection.sendall(b"GET /health/live HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    assert connection.recv(12) == b"HTTP/1.1 200"
    idle.append(connection)
print("idle", flush=True)
sys.stdin.read()
"""
    with run_server("--timeout-keep-alive", "600", shipped=True) as server:
        files = open_files(server)
        quiet = p99_ms(server, bundle, 500)
        memory = resident(server)
        command = [sys.executable, "-c", code, *map(str, address(server))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "idle\n"
            assert open_files(server) >= count
            each = (resident(server) - memory) / count
            beside = p99_ms(server, bundle, 500)
            process.communicate("")
        while open_files(server) > files:
            time.sleep(0.01)
    record(
        f"{count:,} idle connections kept alive",
        f"{each / 1000:.1f} kB each; p99 of a client beside them {beside:.2f} ms, without {quiet:.2f} ms",
        f"all held, the other answered, at most {MOST_BYTES / 1000:g} kB each",
        each < MOST_BYTES,
    )


def test_more_connections_than_files_may_be_open(run_server: RunServer, bundle: ModelBundle, record: Record) -> None:
    """Those that find no place are closed; a client that is there is answered, and all are when others go."""
    with run_server("--timeout-keep-alive", "600") as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (open_files(server) + 20,) * 2)
        server.client.get("/health/live").raise_for_status()
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection(address(server)))
            server.client.get("/health/live").raise_for_status()
        while not answers(server.client.base_url):
            time.sleep(0.05)
        p99_ms(server, bundle, 100)
    record("200 connections where 20 files may be opened", "answered meanwhile and after", "no failure", True)
