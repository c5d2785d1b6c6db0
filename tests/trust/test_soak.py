"""A million requests: afterwards the service holds what it held before."""

import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

from models.bundle import ModelBundle
from tests.bad_requests import BAD_BODIES
from tests.conftest import Require, RunServer, Server
from tests.trust.asks import Ask, make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.process import AS_SHIPPED, MIB, open_files, resident, threads
from tests.trust.wire import raw, request

CONNECTIONS = 16
LISTENING = "0A"
SCRIPT = """
local requests = {%s}
local sent = 0
function request()
  sent = sent %% #requests + 1
  return requests[sent]
end
"""
REQUESTS = re.compile(
    r'^music_origin_requests_total\{method="(\w+)",path="([^"]+)",status="(\d+)"\} (\S+)', re.MULTILINE
)
Counts = Counter[tuple[str, int]]


def mixed(bundle: ModelBundle) -> Iterator[tuple[bytes, str, int]]:
    """What is sent again and again, each with its route and its status: pieces, batches, and bad input."""
    asks = make_asks([bundle], 600, seed=3)
    pieces = [ask for ask in asks if ask.path.partition("?")[0] in ("/genre", "/origin", "/north-of-20")]
    others = [ask for ask in asks if ask not in pieces]
    for ask in [*pieces[:140], *others[:40]]:
        yield raw(ask), route_of(ask), 200
    for given in BAD_BODIES.values():
        if given.content is not None and len(given.content) < 10_000 and "Upgrade" not in given.headers:
            lines = [f"{name}: {value}" for name, value in given.headers.items()]
            length = f"Content-Length: {len(given.content)}"
            yield request("POST /nowhere HTTP/1.1", *lines, length, body=given.content), "unmatched", 404
            yield request("GET /genre HTTP/1.1", *lines, length, body=given.content), "/genre", 405
    for body, status in ((b"{", 422), (b'{"features": [1]}', 422), (b"", 422)):
        head = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        yield request("POST /genre HTTP/1.1", *head, body=body), "/genre", status
        yield request("POST /genre/batch HTTP/1.1", *head, body=body), "/genre/batch", status
    yield request("GET /docs HTTP/1.1"), "/docs", 200


def route_of(ask: Ask) -> str:
    return re.sub(r"models/[^/]+", "models/{model}", ask.path.partition("?")[0])


def counts(server: Server) -> Counts:
    """How many requests have been answered, by route and status, but for those for these figures."""
    found: Counts = Counter()
    for _, path, status, count in REQUESTS.findall(httpx.get(server.client.base_url.join("/metrics")).text):
        if path != "/metrics":
            found[path, int(status)] += int(float(count))
    return found


def send(server: Server, script: Path, until: int) -> int:
    """Sends the requests again and again until so many have been answered; how many runs of wrk that took."""
    runs = 0
    answered = counts(server).total()
    rate = 5_000.0
    while answered < until:
        runs += 1
        seconds = max(1, min(60, round((until - answered) / rate)))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        run = subprocess.run(
            [*command, str(server.client.base_url)], capture_output=True, text=True, check=True, timeout=seconds + 60
        )
        assert "Socket errors" not in run.stdout, run.stdout
        before, answered = answered, counts(server).total()
        rate = (answered - before) / seconds
    return runs


def held(server: Server) -> tuple[int, int, int]:
    """The memory, the open files and the threads, once no connection is left."""
    port = f":{server.client.base_url.port:04X}"
    while any(
        line.split()[1].endswith(port) and line.split()[3] != LISTENING
        for line in Path("/proc/net/tcp").read_text().splitlines()
        if line.split()[9] != "0"  # those of no process any more
    ):
        time.sleep(0.05)
    return resident(server), open_files(server), threads(server)


def test_a_million_requests_leave_nothing_behind(
    run_server: RunServer, bundle: ModelBundle, sized: Sized, record: Record, require: Require, tmp_path: Path
) -> None:
    require(shutil.which("wrk"), "wrk is not installed")
    first, total = sized(100_000, 40_000), sized(1_000_000, 80_000)
    mix = [*mixed(bundle)]
    script = tmp_path / "mixed.lua"
    script.write_text(SCRIPT % ",\n".join(as_lua(sent) for sent, _, _ in mix), encoding="ascii")
    with run_server(**AS_SHIPPED) as server:
        runs = send(server, script, first)
        memory, files, at_work = held(server)
        runs += send(server, script, total)
        found = counts(server)
        memory_after, files_after, at_work_after = held(server)
    answered = found.total()
    shares = Counter((route, status) for _, route, status in mix)
    # A run of wrk leaves off in the middle of the mix, and of what it has just sent: that may be told 400.
    wrong = {
        kind: f"{found[kind]:,} for {answered * shares[kind] / len(mix):,.0f}"
        for kind in {*found, *shares}
        if abs(found[kind] - answered * shares[kind] / len(mix))
        > (runs * (shares[kind] + CONNECTIONS) if kind in shares or kind[1] == 400 else 0)
    }
    record(
        f"statuses of {answered:,} requests: pieces, batches and bad input",
        f"{len(wrong)} kinds are more or fewer than were sent {wrong or ''}".strip(),
        "none",
        not wrong,
    )
    change, percent = (
        memory_after / memory - 1,
        sized(2, 5),
    )
    record(
        f"memory after {answered:,} requests",
        f"{memory / MIB:.1f} MiB after the first {first:,}, {memory_after / MIB:.1f} at the end: {change:+.1%}",
        f"within {percent} %",
        abs(change) < percent / 100,
    )
    record(
        "open files and threads after them",
        f"{files} and {at_work}, then {files_after} and {at_work_after}",
        "the same",
        (files, at_work) == (files_after, at_work_after),
    )


def as_lua(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'
