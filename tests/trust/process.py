"""A server's process: what it is given, and what it holds."""

import re
import time
from pathlib import Path

from service.admission import TIDY_SECONDS
from tests.conftest import Server

MIB = 2**20
# As the Makefile and the image have it: more threads are in each other's way.
AS_SHIPPED = {"OPENBLAS_NUM_THREADS": "1"}


def resident(server: Server, field: str = "VmRSS") -> int:
    """Its resident memory in bytes, or, as VmHWM, the most that it has been."""
    (kilobytes,) = re.findall(rf"^{field}:\s+(\d+) kB", _of(server, "status").read_text(), re.MULTILINE)
    return 1024 * int(kilobytes)


def settled(server: Server) -> int:
    """Its resident memory in bytes once it has given back what it freed: the least within a while."""
    until = time.monotonic() + 3 * TIDY_SECONDS
    least = resident(server)
    while time.monotonic() < until:
        time.sleep(0.05)
        least = min(least, resident(server))
    return least


def open_files(server: Server) -> int:
    """How many files, sockets among them, it has open."""
    return len([*_of(server, "fd").iterdir()])


def threads(server: Server) -> int:
    """How many threads it has."""
    return len([*_of(server, "task").iterdir()])


def workers(server: Server) -> list[int]:
    """The processes that answer for it; Python's resource tracker is a child too."""
    children = _of(server, f"task/{server.process.pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def _of(server: Server, name: str) -> Path:
    return Path("/proc", str(server.process.pid), name)
