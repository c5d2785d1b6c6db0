"""A server's process: what it is given, and what it holds."""

import re
from pathlib import Path

from tests.conftest import Server

MIB = 2**20
AS_SHIPPED = {
    "OPENBLAS_NUM_THREADS": "1"
}  # as the Makefile and the image have it: more threads are in each other's way


def resident(server: Server, field: str = "VmRSS") -> int:
    """Its resident memory in bytes, or, as VmHWM, the most that it has been."""
    (kilobytes,) = re.findall(rf"^{field}:\s+(\d+) kB", _of(server, "status").read_text(), re.MULTILINE)
    return 1024 * int(kilobytes)


def open_files(server: Server) -> int:
    """How many files, sockets among them, it has open."""
    return len([*_of(server, "fd").iterdir()])


def threads(server: Server) -> int:
    """How many threads it has."""
    return len([*_of(server, "task").iterdir()])


def _of(server: Server, name: str) -> Path:
    return Path("/proc", str(server.process.pid), name)
