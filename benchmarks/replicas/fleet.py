"""Replicas and proxies on the same two cores, and windows of load on them (Linux)."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np

from benchmarks.environments import ROOT
from benchmarks.replicas import capacity
from benchmarks.replicas.capacity import Message
from benchmarks.serving import load
from benchmarks.serving.forms import Ask, rows
from benchmarks.serving.load import Window
from benchmarks.serving.servers import Server
from benchmarks.serving.stacks import OURS, Stack

CONFIGURATION = ROOT / "deploy" / "proxy" / "haproxy.cfg"
COUNTS = (1, 2, 4)
SECONDS = 2
PIECE, BATCH = OURS.pieces["vector"], OURS.batches["npy"]
REPLICA = replace(OURS, environment=None, program=sys.executable)
CERTIFY = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"),
    *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
)


class Case(NamedTuple):
    """One kind of window: how many replicas are asked, by way of the proxy or not, and what and how."""

    replicas: int
    proxied: bool
    ask: Ask
    size: int
    connections: int


DIRECT = Case(1, False, PIECE, 1, 32)
PROXIED = {count: Case(count, True, PIECE, 1, 32 * count) for count in COUNTS}
ALONE = PROXIED[2]._replace(connections=1)
BATCHES = {count: Case(count, True, BATCH, capacity.BATCH_ROWS, 4 * count) for count in COUNTS}
DIRECT_BATCH = Case(1, False, BATCH, capacity.BATCH_ROWS, 4)
CASES = {
    "1 replica, without the proxy": DIRECT,
    **{f"{count} replica{'s' * (count > 1)}": case for count, case in PROXIED.items()},
    "2 replicas, one connection": ALONE,
    f"1 replica, without the proxy, {capacity.BATCH_ROWS:,} rows": DIRECT_BATCH,
    **{f"{count} replica{'s' * (count > 1)}, {capacity.BATCH_ROWS:,} rows": case for count, case in BATCHES.items()},
}


@dataclass(frozen=True)
class Measured:
    """A window, and the microseconds of processor time a request that the replicas and the proxy had."""

    window: Window
    replicas: float
    proxy: float


class Fleet:
    """Replicas, a proxy before the first one, one before the first two, and so on; all on the same two cores."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self._cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
        subprocess.run(
            [*CERTIFY, "-keyout", folder / "proxy.pem.key", "-out", folder / "proxy.pem"],
            check=True,
            capture_output=True,
        )
        self._trusted = ssl.create_default_context(cafile=folder / "proxy.pem")
        self.replicas = [exits.enter_context(Server(REPLICA, self._cores, folder)) for _ in range(max(COUNTS))]
        for each in self.replicas:
            each.wait_for_answer(PIECE, rows(1))
        stacks = {count: proxy(self.replicas[:count], folder / "proxy.pem") for count in COUNTS}
        self.proxies = {
            count: exits.enter_context(Server(stack, self._cores, folder)) for count, stack in stacks.items()
        }

    def measure(self, case: Case) -> Measured:
        """A window of a case. Replies are checked before and after."""
        server = self.proxies[case.replicas] if case.proxied else self.replicas[0]
        self.check(server, case)
        before = self._replica_seconds()
        window = load.loaded(server, case.ask, case.ask.write(rows(case.size)), case.connections, SECONDS, self._cores)
        used = 1e6 * (self._replica_seconds() - before) / window.requests
        self.check(server, case)
        return Measured(window, used, window.cpu if case.proxied else 0.0)

    def check(self, server: Server, case: Case) -> httpx.Response:
        """A reply that is right. Raises ValueError for a wrong one, httpx.HTTPError for none."""
        body = case.ask.write(rows(case.size))
        url = f"{server.stack.scheme}://127.0.0.1:{server.port}{case.ask.path}"
        while True:
            try:
                reply = httpx.post(url, content=body.content, headers=dict(body.headers), verify=self._trusted)
                break
            except httpx.ConnectError:
                if time.perf_counter() - server.started > 10:
                    raise
                time.sleep(0.05)
        case.ask.check(reply.raise_for_status().content, rows(case.size))
        return reply

    def handshake(self) -> float:
        """Microseconds of the proxy's processor time for a new TLS connection: openssl makes one after the other."""
        server = self.proxies[2]
        before = server.cpu_seconds()
        run = subprocess.run(
            ["openssl", "s_time", "-connect", f"127.0.0.1:{server.port}", "-new", "-time", str(SECONDS)],
            check=True,
            capture_output=True,
            text=True,
        )
        [connections] = re.findall(r"^(\d+) connections in \d+ real", run.stdout, re.MULTILINE)
        return 1e6 * (server.cpu_seconds() - before) / int(connections)

    def message(self, case: Case) -> Message:
        """The bytes of a request, as wrk sends it, and of its reply."""
        body, reply = case.ask.write(rows(case.size)), self.check(self.replicas[0], case)
        head = {"Host": "127.0.0.1:12345", "Content-Length": str(len(body.content)), **body.headers}
        sent = len(f"POST {case.ask.path} HTTP/1.1\r\n") + _head_bytes(head.items()) + len(body.content)
        taken = len("HTTP/1.1 200 OK\r\n") + _head_bytes(reply.headers.multi_items()) + len(reply.content)
        return Message(sent, taken)

    def log_line_bytes(self) -> float:
        """The bytes of a line of the log, on average."""
        lines = [line for line in self.replicas[0].log.read_bytes().splitlines(keepends=True) if b'"path"' in line]
        return float(np.mean([len(line) for line in lines]))

    def series(self) -> int:
        """How many series Prometheus gets of a replica."""
        text = httpx.get(f"http://127.0.0.1:{self.replicas[0].port}/metrics").raise_for_status().text
        return sum(not line.startswith("#") for line in text.splitlines())

    def _replica_seconds(self) -> float:
        return sum(each.cpu_seconds() for each in self.replicas)


def _head_bytes(headers: Iterable[tuple[str, str]]) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers) + len("\r\n")


def proxy(replicas: Sequence[Server], certificate: Path) -> Stack:
    """HAProxy as deploy/proxy/ has it, before these replicas, for any number of requests of one client."""
    servers = "".join(f"    server replica-{each.port} 127.0.0.1:{each.port}\n" for each in replicas)
    configuration, changed = re.subn(r"(^ +server .*\n)+", servers, CONFIGURATION.read_text(), flags=re.MULTILINE)
    assert changed == 1
    return Stack(
        name=f"{len(replicas)} behind the proxy",
        environment=None,
        program=str(shutil.which("haproxy")),
        arguments=("-f", "{folder}/haproxy.cfg"),
        files={"haproxy.cfg": configuration.replace("${LISTEN}", "127.0.0.1:%(port)s")},
        variables={
            "CERTIFICATE": str(certificate),
            "METRICS": f"abns@music-origin-{replicas[0].port}-{len(replicas)}",
            "BURST": "1000000000",
            "CONNECTIONS": "1000000000",
        },
        pieces={"vector": PIECE},
        scheme="https",
    )
