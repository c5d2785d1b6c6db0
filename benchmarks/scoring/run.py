"""A run: the commands of a contender, from their start to the end of all of them, and what they used (Linux)."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.scoring.contenders import Commands, Contender
from benchmarks.scoring.sampler import Sampler

VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "90",
}


class RunError(Exception):
    """A command that failed. The message has the last line that it wrote."""


@dataclass(frozen=True)
class Run:
    """Seconds on the clock and of processor time, the most megabytes at once, of all and of one, and bytes."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    largest_megabytes: float
    read: int
    written: int


def run(contender: Contender, files: Sequence[Path], output: Path) -> Run:
    """Has the files scored into a folder, in which nothing else is then. Raises RunError."""
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        failed, sampler = _run(contender.commands(files, output), log.fileno())
        seconds = time.perf_counter() - started
        if failed:
            log.seek(0)
            raise RunError((log.read().strip().splitlines() or ["it said nothing"])[-1])
    written = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    read = sum(file.stat().st_size for file in files)
    return Run(seconds, sampler.cpu_seconds, sampler.megabytes, sampler.largest_megabytes, read, written)


def _run(commands: Commands, log: int) -> tuple[bool, Sampler]:
    with ExitStack() as exits:
        processes = []
        for command in commands:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **VARIABLES}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            exits.callback(process.kill)
            processes.append(process)
        with Sampler([process.pid for process in processes]) as sampler:
            statuses = [process.wait() for process in processes]
    return any(statuses), sampler
