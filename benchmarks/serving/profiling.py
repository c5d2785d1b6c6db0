"""Where the service's time goes under load: a flame graph, and shares by what the innermost Python function is for."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.serving import load
from benchmarks.serving.forms import rows
from benchmarks.serving.measure import Cores
from benchmarks.serving.servers import Server
from benchmarks.serving.stacks import OURS

PY_SPY = Path(sys.executable).with_name("py-spy")
SECONDS = 10
RATE = 500
TITLE = "One vector a request, 16 connections"
OTHER = "other"
DOOR = "the door: heads, keys, limits, and writing the reply"
SERVER = "uvicorn and the event loop, reading among it"

# The first pair that a frame has both parts of tells its group: a part of its file's name, and one of its function's.
GROUPS = (
    ("uvloop", "", SERVER),
    ("asyncio/", "", SERVER),
    ("uvicorn/", "", SERVER),
    ("service/logs.py", "", "log"),
    ("logging/", "", "log"),
    ("service/metrics.py", "", "metrics"),
    ("prometheus_client/", "", "metrics"),
    ("service/observation.py", "", "request ids"),
    ("service/ledger.py", "", "log"),
    ("models/", "", "prediction"),
    ("numpy/", "", "prediction"),
    ("service/predictions.py", "", "prediction"),
    ("service/", "read_body", DOOR),
    ("service/", "read_head", DOOR),
    ("service/", "decode", "decoding"),
    ("service/", "read_", "decoding"),
    ("service/rows.py", "", "decoding"),
    ("service/", "content_of", "encoding"),
    ("service/", "encode", "encoding"),
    ("service/", "dump", "encoding"),
    ("service/", "write_", "encoding"),
    ("service/", "", DOOR),
    ("pydantic", "", "decoding"),
    ("starlette/", "", "FastAPI and Starlette"),
    ("fastapi/", "", "FastAPI and Starlette"),
    ("anyio/", "", "FastAPI and Starlette"),
)


class ProfileError(Exception):
    """py-spy could not look into the process."""


def profile(server: Server, cores: Cores, flame_graph: Path) -> dict[str, float]:
    """Records the service under load over 16 connections twice: writes the flame graph, gives the shares by group."""
    body = OURS.first.write(rows(1))
    wrk, path = load.command(server, OURS.first, body, 16, 3 * SECONDS, cores.load)
    folded = server.folder / "folded.txt"
    server.resume()
    with subprocess.Popen(wrk, env=os.environ | {"BODY": str(path)}, stdout=subprocess.DEVNULL) as running:
        try:
            _record(server, "flamegraph", flame_graph)
            _record(server, "raw", folded)
        finally:
            running.terminate()
            server.pause()
    named = re.sub('(<text id="title"[^>]*>)[^<]*', rf"\1{TITLE}", flame_graph.read_text())
    flame_graph.write_text(named)
    return shares(folded.read_text())


def shares(folded: str) -> dict[str, float]:
    """The share of samples of each group, by the innermost frame of each stack; the largest first."""
    counts: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        counts[group(stack.rpartition(";")[2])] += int(count)
    return {name: count / counts.total() for name, count in counts.most_common()}


def group(frame: str) -> str:
    """The group of a frame such as `decode (service/hot_path.py:20)`."""
    function, _, place = frame.partition(" (")
    return next((name for file, part, name in GROUPS if file in place and part in function), OTHER)


def _record(server: Server, form: str, path: Path) -> None:
    options = ["--rate", str(RATE), "--duration", str(SECONDS), "--format", form, "--output", str(path)]
    process = server.processes()[0]
    run = subprocess.run([PY_SPY, "record", *options, "--pid", str(process)], capture_output=True, text=True)
    if run.returncode:
        raise ProfileError((run.stderr.strip().splitlines() or ["it said nothing"])[-1])
