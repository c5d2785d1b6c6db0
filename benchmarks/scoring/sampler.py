"""What processes and all that come of them use, looked at ten times a second (Linux)."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple, Self

PERIOD = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """Its parent, its processor time so far, and its resident memory, of which others may share some."""

    parent: int
    cpu_seconds: float
    megabytes: float


class Sampler:
    """Watches while it is entered: the most memory that all, and that any one, had, and the processor time of all."""

    def __init__(self, roots: Sequence[int]) -> None:
        self.megabytes = self.largest_megabytes = 0.0
        self._roots = roots
        self._cpu_seconds: dict[int, float] = {}
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def cpu_seconds(self) -> float:
        """Of all processes, but for a tenth of a second before the end of each."""
        return sum(self._cpu_seconds.values())

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD):
            sizes = []
            for number, process in descendants(self._roots, processes()):
                self._cpu_seconds[number] = process.cpu_seconds
                sizes.append(process.megabytes)
            self.megabytes = max(self.megabytes, sum(sizes))
            self.largest_megabytes = max([self.largest_megabytes, *sizes])


def descendants(roots: Sequence[int], found: Mapping[int, Process]) -> Iterator[tuple[int, Process]]:
    """The roots, their children, theirs, and so on, with their numbers, of the processes found."""
    children = defaultdict(list)
    for number, process in found.items():
        children[process.parent].append(number)
    left = [*roots]
    while left:
        number = left.pop()
        left += children[number]
        if number in found:
            yield number, found[number]


def processes() -> dict[int, Process]:
    """All processes of this machine, by their numbers."""
    return {int(path.name): found for path in Path("/proc").glob("[0-9]*") if (found := _read(path))}


def _read(path: Path) -> Process | None:
    try:
        fields = (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return None
    return Process(int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE / 1e6)
