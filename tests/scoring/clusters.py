"""Dask clusters of real processes, whose workers have `models/` and nothing else of this project."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

Process = subprocess.Popen[bytes] | subprocess.Popen[str]


@dataclass
class Cluster:
    """A scheduler, by the file that it wrote, and its workers."""

    folder: Path
    scheduler: Process | None = None
    workers: list[Process] = field(default_factory=list)

    @property
    def scheduler_file(self) -> Path:
        """The file that a client finds the scheduler by."""
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return str(json.loads(self.scheduler_file.read_text())["address"])


@contextmanager
def dask_process(
    program: str, folder: Path, *options: str, before: Sequence[str] = (), **environment: str
) -> Iterator[Process]:
    """A scheduler or a worker; `before` is what its command begins with."""
    command = [*before, sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *options]
    with (folder / f"{program}.log").open("ab") as log:
        # Dask's own nannies, which these do without, see to it that BLAS has one thread.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def dask_scheduler(folder: Path, *options: str, **environment: str) -> Iterator[Cluster]:
    """A scheduler, in a folder that holds what its workers are to find."""
    shutil.copytree(ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("artifacts", "__pycache__"))
    cluster = Cluster(folder)
    options = ("--port", "0", "--scheduler-file", str(cluster.scheduler_file), *options)
    with dask_process("scheduler", folder, *options, **environment) as process:
        while not cluster.scheduler_file.exists():
            assert process.poll() is None, (folder / "scheduler.log").read_text()
            time.sleep(0.05)
        cluster.scheduler = process
        yield cluster


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A scheduler and so many workers of one thread."""
    with dask_scheduler(folder, "--host", "127.0.0.1") as cluster, ExitStack() as stack:
        options = ("--scheduler-file", str(cluster.scheduler_file), "--nthreads", "1", "--no-nanny")
        for _ in range(workers):
            cluster.workers.append(stack.enter_context(dask_process("worker", folder, *options)))
        yield cluster


def wait_for_outcomes(output: Path, count: int, process: Process) -> None:
    """Waits until so many partitions are done, by a run that has more to do."""
    outcomes = output.with_name(f"{output.name}.partial") / "outcomes"
    while len([*outcomes.glob("*")]) < count:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
