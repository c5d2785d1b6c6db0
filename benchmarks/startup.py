"""Measures how soon a started service gives its first prediction, and the memory it holds then (Linux).

`make bench`, or `python -m benchmarks.startup --runs 10`
"""

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx

from service.schemas import EXAMPLE_FEATURES

PIECE = {"features": EXAMPLE_FEATURES}
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MUSIC_ORIGIN_ACCESS_LOG": "false"}


def main() -> None:
    """Prints medians and extremes over the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    measure_start()  # fills the file system's cache and writes the .pyc files
    starts = [measure_start() for _ in range(runs)]
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {runs} runs")
    print_row("seconds from process start to first reply", [seconds for seconds, _ in starts])
    print_row("resident memory after it, MB", [megabytes for _, megabytes in starts])


def measure_start() -> tuple[float, float]:
    """Seconds from the start of the process to its first prediction, and its resident memory in MB then."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "service.app:app", "--port", str(port), "--log-level", "warning"]
    started = time.perf_counter()
    with subprocess.Popen(command, env=os.environ | ENVIRONMENT) as server:
        try:
            wait_for_prediction(f"http://127.0.0.1:{port}/north-of-20", server)
            return time.perf_counter() - started, resident_megabytes(server.pid)
        finally:
            server.terminate()


def wait_for_prediction(url: str, server: subprocess.Popen[bytes]) -> None:
    """Asks every 5 ms until the service gives a prediction."""
    with httpx.Client() as client:
        while server.poll() is None:
            try:
                client.post(url, json=PIECE).raise_for_status()
            except httpx.ConnectError:
                time.sleep(0.005)
            else:
                return
    raise SystemExit(f"the service ended with status {server.returncode}")


def resident_megabytes(process_id: int) -> float:
    """The process's resident set in units of 10⁶ bytes."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def print_row(label: str, values: list[float]) -> None:
    """Prints a measure's median and extremes."""
    print(f"{label:45} median {statistics.median(values):6.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
