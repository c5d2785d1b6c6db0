"""A window of load: a server asked by wrk for about a second, and what both of them and all others did meanwhile."""

import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.environments import ROOT
from benchmarks.serving.environments import program
from benchmarks.serving.forms import Ask, Body, rows
from benchmarks.serving.servers import Server
from benchmarks.serving.stacks import FLOOR, PEERS

SCRIPT = Path(__file__).with_name("load.lua")
WARM_UP = 0.1
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Window:
    """Requests a second, microseconds of processor time a request, percentiles of latency in milliseconds.

    `others` is the processor time, in cores, that neither the server nor the load had.
    """

    requests: int
    rate: float
    cpu: float
    p50: float
    p99: float
    p999: float
    failures: int
    others: float


def measure(server: Server, ask: Ask, count: int, connections: int, seconds: int, cores: str) -> Window:
    """Has the server go on, warm up, answer for some seconds with rows (count, 68), and stop again.

    Replies are checked before and after. Raises ServerError or ValueError for a wrong one, OSError for none.
    """
    body = ask.write(rows(count))
    server.resume()
    warmed_up = time.perf_counter() + WARM_UP
    while True:
        reply = server.ask(ask, body)
        if time.perf_counter() > warmed_up:
            break
    ask.check(reply, rows(count))
    window = loaded(server, ask, body, connections, seconds, cores)
    ask.check(server.ask(ask, body), rows(count))
    server.pause()
    return window


def command(server: Server, ask: Ask, body: Body, connections: int, seconds: int, cores: str) -> tuple[list[str], Path]:
    """Wrk's command line, and the file of the body."""
    path = server.folder / "body"
    path.write_bytes(body.content)
    headers = [part for name, value in body.headers.items() for part in ("--header", f"{name}: {value}")]
    wrk = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "60s"]
    url = f"{server.stack.scheme}://127.0.0.1:{server.port}{ask.path}"
    return ["taskset", "--cpu-list", cores, *wrk, "--script", str(SCRIPT), *headers, url], path


def loaded(server: Server, ask: Ask, body: Body, connections: int, seconds: int, cores: str) -> Window:
    """Asks a server that goes on for some seconds. Replies are not checked."""
    wrk, path = command(server, ask, body, connections, seconds, cores)
    busy, load, used = _busy_seconds(), _load_seconds(), server.cpu_seconds()
    started = time.perf_counter()
    run = subprocess.run(wrk, env=os.environ | {"BODY": str(path)}, check=True, capture_output=True, text=True)
    used = server.cpu_seconds() - used
    others = _busy_seconds() - busy - (_load_seconds() - load) - used
    others /= time.perf_counter() - started
    measured = json.loads(run.stdout.splitlines()[-1])
    requests = measured["requests"]
    rate, cpu = requests / measured.pop("seconds"), 1e6 * used / max(requests, 1)
    return Window(rate=rate, cpu=cpu, others=others, **measured)


def _busy_seconds() -> float:
    """Processor time of the whole machine so far, what the hypervisor took included, from a start that is no matter.

    It is what was not idle: the kernel counts idle time exactly, and busy time only as samples of 10 ms (proc_stat(5)).
    """
    idle, waiting = map(int, Path("/proc/stat").read_text().split(maxsplit=6)[4:6])
    return time.perf_counter() * (os.cpu_count() or 1) - (idle + waiting) * TICK


def _load_seconds() -> float:
    """Processor time of this process and of the children that it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class ForwardPass:
    """The forward pass in a process of its own, without HTTP."""

    def __init__(self, cores: str, count: int) -> None:
        python = ["taskset", "--cpu-list", cores, str(Path(program(FLOOR)).with_name("python"))]
        self._process = subprocess.Popen(
            [*python, "-m", f"{PEERS}.in_process", str(count)],
            cwd=ROOT,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def vectors_per_second(self, seconds: float) -> float:
        """How many it predicts for, over and over, in some seconds."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        done, spent = self._process.stdout.readline().split()
        return int(done) / float(spent)
