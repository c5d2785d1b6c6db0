"""The measurements: who agrees, which of Ray Data's settings is best, rounds in which all take turns, and sizes."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from rich.progress import Progress, track

from benchmarks import environments
from benchmarks.environments import FOLDER, InstallError
from benchmarks.scoring import agreement
from benchmarks.scoring.contenders import ONE_WORKER, RAY, TWO_WORKERS, YARDSTICK, YARDSTICKS, Contender
from benchmarks.scoring.run import Run, RunError, run

REQUIREMENTS = Path(__file__).with_name("ray_data.txt")
FAILURES = (InstallError, RunError, agreement.DisagreementError)
ROUND_FILES = 2
SIZES = (1, 5)  # files, besides those of a round and all


@dataclass
class Figures:
    """All runs by contender and number of rows; and what came of the comparison and of Ray Data's settings."""

    start_rows: int
    round_rows: int
    all_rows: int
    runs: dict[tuple[Contender, int], list[Run]] = field(default_factory=lambda: defaultdict(list))
    differing: dict[Contender, int] = field(default_factory=dict)
    trials: dict[Contender, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def contenders(self) -> list[Contender]:
        """Those that run in every round: Ray Data in the best of its settings, if it runs at all."""
        ray = sorted(self.trials, key=lambda contender: self.trials[contender])[:1]
        return [YARDSTICK, YARDSTICKS, ONE_WORKER, TWO_WORKERS, *(each for each in ray if each.name not in self.absent)]

    def sizes(self, contender: Contender) -> list[int]:
        """The numbers of rows that it was given, in order."""
        return sorted(rows for each, rows in self.runs if each == contender)

    def rates(self, contender: Contender, rows: int, *, with_start: bool = True) -> list[float]:
        """Rows a second in each run, by the whole time, or without what starting and stopping takes."""
        seconds = [run.seconds for run in self.runs[contender, rows]]
        return [rows / (each if with_start else each - self.start(contender)) for each in seconds]

    def start(self, contender: Contender) -> float:
        """The median of the seconds that next to nothing takes."""
        return statistics.median(run.seconds for run in self.runs[contender, self.start_rows])


def measure(start: Path, files: Sequence[Path], output: Path, rounds: int) -> Figures:
    """Measures everything, by way of a folder for what is written. `start` is a file of next to nothing."""
    for file in files:
        file.read_bytes()  # from here on they are in memory
    few = files[:ROUND_FILES]
    figures = Figures(_rows([start]), _rows(few), _rows(files))
    try_all(few, output, figures)
    plan = [(contender, part) for _ in range(rounds) for part in ([start], few) for contender in figures.contenders]
    plan += [(TWO_WORKERS, files[:size]) for size in SIZES]
    plan += [(contender, files) for contender in figures.contenders]
    with Progress() as progress:
        task = progress.add_task("", total=len(plan))
        for contender, part in plan:
            progress.update(task, description=f"{contender.name}: {_rows(part):,} rows")
            if contender in figures.contenders:
                _run(contender, part, output, figures)
            progress.advance(task)
    return figures


def _run(contender: Contender, files: Sequence[Path], output: Path, figures: Figures) -> None:
    try:
        figures.runs[contender, _rows(files)].append(run(contender, files, output))
    except RunError as error:
        if contender not in RAY:
            raise
        figures.absent[contender.name] = str(error)


def try_all(files: Sequence[Path], output: Path, figures: Figures) -> None:
    """Has everyone score some files, which fills caches, and compares; finds the best setting of Ray Data."""
    run(TWO_WORKERS, files, output)
    ours = agreement.read(output)
    run(YARDSTICK, files, output)
    figures.differing[YARDSTICK] = agreement.differing_rows(ours, agreement.read(output))
    for contender in track(RAY, description="settings of Ray Data"):
        try:
            environments.install(FOLDER / "ray_data", REQUIREMENTS)
            trial = run(contender, files, output)
            figures.differing[contender] = agreement.differing_rows(ours, agreement.read(output))
        except FAILURES as error:
            figures.absent[contender.name] = str(error)
        else:
            figures.trials[contender] = trial.seconds


def _rows(files: Sequence[Path]) -> int:
    return sum(pq.read_metadata(file).num_rows for file in files)
