"""Servers as processes: started on one core, stopped and continued, and what they have used so far (Linux)."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from benchmarks.environments import ROOT
from benchmarks.serving.environments import program
from benchmarks.serving.forms import Ask, Body, Rows
from benchmarks.serving.stacks import Stack

PATIENCE = 90.0
GRACE = 3.0


class ServerError(Exception):
    """A server that did not start or did not answer as it should."""


class Server:
    """A running stack, on cores such as `0` or `0,1`. Its files, and its output, go to a folder made in `folder`."""

    def __init__(self, stack: Stack, cores: str, folder: Path) -> None:
        self.stack, self.port = stack, _free_port()
        self.folder = folder = Path(tempfile.mkdtemp(dir=folder))
        self.log = folder / "output.log"
        places = {"port": str(self.port), "folder": str(folder), "root": str(ROOT)}
        command = [part.format_map(places) for part in (program(stack), *stack.arguments)]
        for name, content in stack.files.items():
            (folder / name).write_text(content % places)
        own = {
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # what is compiled at the first start is there for the next ones
            "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]]),
        }
        self.started = time.perf_counter()
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", cores, *command],
                cwd=ROOT,
                env={**os.environ, **own, **stack.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process and all that came of it."""
        processes = self.processes()
        self.resume()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        for process in processes:
            _signal(process, signal.SIGKILL)
        self._process.wait()

    def wait_for_answer(self, ask: Ask, features: Rows) -> float:
        """Asks every few milliseconds until there is a right answer, and gives the seconds since the start."""
        body = ask.write(features)
        while time.perf_counter() - self.started < PATIENCE:
            if self._process.poll() is not None:
                raise ServerError(f"it ended with status {self._process.returncode}: {self.last_words()}")
            try:
                reply = self.ask(ask, body)
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
            except ServerError:  # some listen long before they can answer, and asking them often delays them
                time.sleep(0.1)
            else:
                seconds = time.perf_counter() - self.started
                ask.check(reply, features)
                return seconds
        raise ServerError(f"no right answer within {PATIENCE:g} seconds: {self.last_words()}")

    def ask(self, ask: Ask, body: Body) -> bytes:
        """The reply to one request. Raises ServerError for another status than 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", ask.path, body.content, dict(body.headers))
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        if reply.status != 200:
            raise ServerError(f"{ask.path} was answered {reply.status}: {content[:300].decode(errors='replace')}")
        return content

    def last_words(self) -> str:
        """The end of what it wrote."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def processes(self) -> list[int]:
        """The process, its children, theirs, and so on."""
        return list(_tree(self._process.pid))

    def pause(self) -> None:
        """Stops all of its processes, so that it disturbs no one."""
        for process in self.processes():
            _signal(process, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets them go on."""
        for process in self.processes():
            _signal(process, signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Processor time of all threads so far, counted in nanoseconds by the kernel."""
        paths = (path for process in self.processes() for path in Path(f"/proc/{process}/task").glob("*/schedstat"))
        return sum(int(text.split()[0]) for path in paths if (text := _read(path))) / 1e9

    def megabytes(self) -> float:
        """Resident memory of all processes, in units of 10⁶ bytes; what they share is counted in each."""
        pages = [int(text.split()[1]) for each in self.processes() if (text := _read(Path(f"/proc/{each}/statm")))]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _tree(process: int) -> Iterator[int]:
    yield process
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in (_read(path) or "").split():
            yield from _tree(int(child))


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _read(path: Path) -> str | None:
    """The file's text, None if its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
