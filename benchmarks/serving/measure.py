"""The measurements of a run: starts first, then rounds of windows in which all stacks take turns."""

import http.client
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.progress import track

from benchmarks.environments import InstallError
from benchmarks.serving import load, plan
from benchmarks.serving.environments import install
from benchmarks.serving.forms import rows
from benchmarks.serving.load import ForwardPass, Window
from benchmarks.serving.plan import Case
from benchmarks.serving.servers import Server, ServerError
from benchmarks.serving.stacks import Stack

MAX_OTHERS = 0.15  # cores; falling asleep and waking up ten thousand times a second comes to 0.1
TRIES = 3
FAILURES = (ServerError, ValueError, OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process to its first right reply, and megabytes of resident memory then."""

    seconds: float
    megabytes: float


@dataclass
class Figures:
    """All that was measured. Of each case there is a window for every round it took part in, by the round's number."""

    windows: dict[Case, dict[int, Window]] = field(default_factory=lambda: defaultdict(dict))
    forward: dict[int, float] = field(default_factory=dict)
    starts: dict[str, list[Start]] = field(default_factory=lambda: defaultdict(list))
    absent: dict[str, str] = field(default_factory=dict)
    thrown_away: int = 0
    kept_though_disturbed: int = 0
    restarts: Counter[str] = field(default_factory=Counter)


class Cores:
    """Two cores: one for the server, one for the load and all else."""

    def __init__(self) -> None:
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise SystemExit("two cores are needed: one for the server, one for the load")
        self.server, self.load = map(str, available[:2])
        self.both = f"{self.server},{self.load}"
        os.sched_setaffinity(0, {available[1]})

    def of(self, stack: Stack) -> str:
        """Where a stack's server runs."""
        return self.server if stack.pinned else self.both

    def against(self, stack: Stack) -> str:
        """Where the load on it runs."""
        return self.load if stack.pinned else self.both


def install_all(stacks: Sequence[Stack], figures: Figures) -> list[Stack]:
    """The stacks that can be installed; why the others cannot is noted."""
    installed = []
    for stack in track(stacks, description="installing"):
        try:
            install(stack)
            installed.append(stack)
        except InstallError as error:
            figures.absent[stack.name] = str(error)
    return installed


def measure_starts(stacks: Sequence[Stack], rounds: int, cores: Cores, folder: Path, figures: Figures) -> list[Stack]:
    """Starts each stack in turn, once without counting. Gives those that start; why the others do not is noted."""
    able = list(stacks)
    for number in track(range(rounds + 1), description="starts"):
        for stack in [each for each in able if plan.starts_on_its_own(each)]:
            try:
                start = _start(stack, cores, folder)
            except FAILURES as error:
                figures.absent[stack.name] = str(error)
                able.remove(stack)
            else:
                if number > 0:  # the first fills the file system's cache
                    figures.starts[stack.name].append(start)
    return able


def _start(stack: Stack, cores: Cores, folder: Path) -> Start:
    with Server(stack, cores.of(stack), folder) as server:
        seconds = server.wait_for_answer(stack.first, rows(1))
        return Start(seconds, server.megabytes())


class Fleet:
    """All servers, started, and stopped while they are not asked."""

    def __init__(self, stacks: Sequence[Stack], cores: Cores, folder: Path, figures: Figures) -> None:
        self.cores, self._folder, self._figures = cores, folder, figures
        self._exits = ExitStack()
        self._stacks = {stack.name: stack for stack in stacks}
        self.servers: dict[str, Server] = {}

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for name in track(self._stacks, description="starting all"):
                exits.enter_context(self._started(name))
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def measure(self, case: Case) -> Window | None:
        """A window of a case: the first in which others had little of the processor, or the best of a few."""
        tried: list[Window] = []
        for _ in range(TRIES):
            window = self._measure(case)
            if window is None:
                return None
            tried.append(window)
            if window.others <= MAX_OTHERS:
                break
            self._figures.thrown_away += 1
        best = min(tried, key=lambda window: window.others)
        if best.others > MAX_OTHERS:
            self._figures.thrown_away -= 1
            self._figures.kept_though_disturbed += 1
        return best

    def _measure(self, case: Case) -> Window | None:
        """A window, None if its stack does not answer even when started afresh."""
        stack = self._stacks[case.stack]
        ask = {**stack.pieces, **stack.batches}[case.form]
        for last in (False, True):
            try:
                server = self.servers.get(case.stack) or self._exits.enter_context(self._started(case.stack))
                cores = self.cores.against(stack)
                return load.measure(server, ask, case.size, case.connections, case.seconds, cores)
            except FAILURES as error:
                if case.stack in self.servers:
                    self.servers.pop(case.stack).stop()
                if last:
                    self._figures.absent[f"{case.stack}, {case.form}, {case.size}"] = str(error)
                else:
                    self._figures.restarts[case.stack] += 1
        return None

    def _started(self, name: str) -> Server:
        stack = self._stacks[name]
        server = self.servers[name] = Server(stack, self.cores.of(stack), self._folder)
        server.wait_for_answer(stack.first, rows(1))
        server.pause()
        return server


def measure_load(fleet: Fleet, stacks: Sequence[Stack], rounds: int, figures: Figures, *, often_only: bool) -> None:
    """Rounds of windows, with the forward pass in process before what it is compared with."""
    with ForwardPass(fleet.cores.server, plan.LARGE) as forward:
        for number in track(range(rounds), description="rounds"):
            for case in plan.cases(stacks, number, often_only=often_only):
                if case == plan.LARGE_NPY:
                    figures.forward[number] = forward.vectors_per_second(1)
                if (window := fleet.measure(case)) is not None:
                    figures.windows[case][number] = window
