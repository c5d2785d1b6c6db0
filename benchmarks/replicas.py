"""Measures 1, 2 and 4 replicas behind the proxy of deploy/proxy/, on two cores (Linux, with HAProxy, wrk and openssl).

`make bench-replicas`, or `python -m benchmarks.replicas`, writes benchmarks/REPLICAS.md: what was measured, and what
follows from that for other numbers of requests, by benchmarks/capacity.py.
"""

import argparse
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from rich.progress import track

from benchmarks import capacity, machine
from benchmarks.capacity import Costs, Message
from benchmarks.environments import ROOT
from benchmarks.serving import load, report
from benchmarks.serving.forms import Ask, rows
from benchmarks.serving.load import Window
from benchmarks.serving.ratios import quartiles
from benchmarks.serving.servers import Server
from benchmarks.serving.stacks import OURS, Stack
from training.markdown import wrapped

FOLDER = Path(__file__).parent
CONFIGURATION = ROOT / "deploy" / "proxy" / "haproxy.cfg"
COUNTS = (1, 2, 4)
SECONDS = 2
NO_LOSS = 0.95  # of the rate of one replica: less is a loss
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


def main() -> None:
    """Measures everything and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--output", type=Path, default=FOLDER / "REPLICAS.md")
    options = parser.parse_args()
    if missing := [program for program in ("haproxy", "wrk", "openssl") if shutil.which(program) is None]:
        raise SystemExit(f"{' and '.join(missing)} must be installed by the system's package manager")
    found: dict[Case, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as exits:
        fleet = Fleet(Path(folder), exits)
        for number in track(range(options.rounds + 1), description="rounds"):
            for case in CASES.values():
                measured = fleet.measure(case)
                if number:  # the first is not counted
                    found[case].append(measured)
        costs = costs_of(fleet, found)
    text = results(found, costs, options.rounds)
    options.output.write_text(text, encoding="utf-8", newline="\n")
    print(text)


def costs_of(fleet: Fleet, found: dict[Case, list[Measured]]) -> Costs:
    """What a request costs, by two replicas behind the proxy."""
    piece, alone, batch = (micros(found[case]) for case in (PROXIED[2], ALONE, BATCHES[2]))
    return Costs(
        piece=piece,
        alone=alone,
        batch=batch,
        handshake=median([fleet.handshake() for _ in range(3)]),
        replica_megabytes=max(each.megabytes() for each in fleet.replicas),
        proxy_megabytes=fleet.proxies[2].megabytes(),
        piece_message=fleet.message(PROXIED[2]),
        batch_message=fleet.message(BATCHES[2]),
        log_line=fleet.log_line_bytes(),
        series=fleet.series(),
    )


def micros(measured: Sequence[Measured]) -> tuple[float, float]:
    """Microseconds a request, of the replicas and of the proxy."""
    return median([each.replicas for each in measured]), median([each.proxy for each in measured])


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return quartiles(values)[1]


def results(found: dict[Case, list[Measured]], costs: Costs, number: int) -> str:
    """Everything in Markdown, after so many rounds."""
    failures = sum(each.window.failures for measured in found.values() for each in measured)
    (least, least_proxy), (most, most_proxy) = (micros(found[PROXIED[count]]) for count in (COUNTS[0], COUNTS[-1]))
    ratios = {
        f"{count} replicas, {what}": median(_rate_ratios(found[of[count]], found[of[1]]))
        for what, of in (("one piece", PROXIED), (f"{capacity.BATCH_ROWS:,} rows", BATCHES))
        for count in COUNTS[1:]
    }
    version = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout.split()[2]
    return f"""# Replicas, measured

Written by `make bench-replicas`. Replicas of this service, one worker each, as they are shipped, behind the proxy of
[deploy/proxy](../deploy/proxy/README.md), which ends TLS; proxy, replicas and wrk all share two cores.

## More replicas on the same cores

One piece of JSON a request (`{PIECE.path}`) over 32 connections for each replica, and batches of
{capacity.BATCH_ROWS:,} rows of .npy over 4 for each, which are kept; medians, and quartiles in brackets. A replica
uses about one core. Of single pieces one replica, the proxy and wrk keep both cores busy, so that more replicas cannot
answer more, and are to answer no less; of batches it takes two.

{report.table(("", "requests/s", "µs a request, replicas", "µs a request, proxy", "p50, ms", "p99, ms"), _table(found))}

Requests a second, each ratio within a round:

{report.table(("", "one piece", f"{capacity.BATCH_ROWS:,} rows"), _ratios(found))}

{verdict(ratios)}

A replica for each core is the rule, and more share what there is: with {COUNTS[-1]} of them on two cores a piece costs
the replicas {most:.1f} µs and the proxy {most_proxy:.1f}, where with one it was {least:.1f} and {least_proxy:.1f}: that
is where a loss goes. How much of it are switches between more processes, and how much caches that they share, was not
measured.

A new TLS connection, by an ECDSA certificate on P-256, costs the proxy {costs.handshake:,.0f} µs. A replica takes
{costs.replica_megabytes:.0f} MB by then, and the proxy {costs.proxy_megabytes:.0f} MB.

{capacity.on_paper(costs)}
## How it was measured

{machine.described()}
HAProxy {version}, wrk and openssl. In each of {number} rounds, after one that is not counted, all take turns for
{SECONDS} seconds each, and a reply is checked before and after. Processor time is the kernel's, in nanoseconds, of all
threads. Requests that failed: {failures}.
"""


def verdict(ratios: Mapping[str, float]) -> str:
    """In words, in which cases more replicas answer no fewer requests than one, by the ratio of their rates."""
    held = [f"{case} ({ratio:.2f})" for case, ratio in ratios.items() if ratio >= NO_LOSS]
    lost = [f"{case} ({ratio:.2f})" for case, ratio in ratios.items() if ratio < NO_LOSS]
    return wrapped(
        f"""**No throughput is to be lost by the count itself**, to within {1 - NO_LOSS:.0%}. Held:
        {"; ".join(held) or "nowhere"}. Not held: {"; ".join(lost) or "nowhere"}."""
    )


def _table(found: dict[Case, list[Measured]]) -> Iterable[Sequence[str]]:
    for name, case in CASES.items():
        measured = found[case]
        yield (
            name,
            _shown([each.window.rate for each in measured], 0),
            _shown([each.replicas for each in measured], 1),
            _shown([each.proxy for each in measured], 1) if case.proxied else report.MISSING,
            _shown([each.window.p50 for each in measured], 2),
            _shown([each.window.p99 for each in measured], 2),
        )


def _ratios(found: dict[Case, list[Measured]]) -> Iterable[Sequence[str]]:
    for count in COUNTS[1:]:
        yield (f"{count} replicas over 1", *(_ratio(found[of[count]], found[of[1]]) for of in (PROXIED, BATCHES)))
    through = ((PROXIED[1], DIRECT), (BATCHES[1], DIRECT_BATCH))
    yield ("1 replica through the proxy over 1 without", *(_ratio(found[one], found[other]) for one, other in through))


def _ratio(measured: Sequence[Measured], other: Sequence[Measured]) -> str:
    return _shown(_rate_ratios(measured, other), 2)


def _rate_ratios(measured: Sequence[Measured], other: Sequence[Measured]) -> list[float]:
    return [one.window.rate / another.window.rate for one, another in zip(measured, other, strict=True)]


def _shown(values: Sequence[float], decimals: int) -> str:
    lower, middle, upper = (f"{value:,.{decimals}f}" for value in quartiles(values))
    return f"{middle} ({lower} to {upper})"


if __name__ == "__main__":
    main()
