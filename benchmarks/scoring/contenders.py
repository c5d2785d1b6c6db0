"""Who scores the catalogue, and by what commands."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import FOLDER

Commands = list[list[str]]


@dataclass(frozen=True)
class Contender:
    """What scores files into a folder, by commands that run side by side, and on how many cores."""

    name: str
    cores: int
    commands: Callable[[Sequence[Path], Path], Commands]


def yardsticks(count: int) -> Callable[[Sequence[Path], Path], Commands]:
    """So many yardsticks, each on its share of the files."""

    def commands(files: Sequence[Path], output: Path) -> Commands:
        shares = [files[index::count] for index in range(count)]
        return [
            [sys.executable, "-m", "benchmarks.scoring.yardstick", str(output / str(index)), *map(str, share)]
            for index, share in enumerate(shares)
        ]

    return commands


def workers(count: int) -> Callable[[Sequence[Path], Path], Commands]:
    """`python -m scoring` with so many workers."""

    def commands(files: Sequence[Path], output: Path) -> Commands:
        first, *others = files
        source = first.with_stem(f"[0-{len(others)}]") if others else first
        return [[sys.executable, "-m", "scoring", str(source), str(output), "--workers", str(count)]]

    return commands


def ray_data(setting: str) -> Callable[[Sequence[Path], Path], Commands]:
    """Ray Data, in its own environment."""

    def commands(files: Sequence[Path], output: Path) -> Commands:
        python = str(FOLDER / "ray_data" / "bin" / "python")
        return [[python, "-m", "benchmarks.scoring.ray_data", setting, str(output), *map(str, files)]]

    return commands


YARDSTICK = Contender("the yardstick", 1, yardsticks(1))
YARDSTICKS = Contender("two yardsticks, half of the files each", 2, yardsticks(2))
ONE_WORKER = Contender("music-origin, 1 worker", 1, workers(1))
TWO_WORKERS = Contender("music-origin, 2 workers", 2, workers(2))
RAY = [Contender(f"Ray Data, {setting}", 2, ray_data(setting)) for setting in ("tasks", "blocks", "actors")]
