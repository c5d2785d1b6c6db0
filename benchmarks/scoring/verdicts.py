"""What is asked of scoring, and the ratios that tell whether it is reached."""

import statistics
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.scoring.contenders import ONE_WORKER, RAY, TWO_WORKERS, YARDSTICK, Contender
from benchmarks.scoring.measure import Figures
from benchmarks.scoring.run import Run

PER_CORE = 0.7
FLAT = 1.1
MEMORY: dict[str, Callable[[Run], float]] = {
    "all processes together": lambda run: run.megabytes,
    "the largest process": lambda run: run.largest_megabytes,
}


class Verdict(NamedTuple):
    """A figure, the bound that it is to keep, and whether that is an upper one."""

    name: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it keeps the bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def per_core(figures: Figures, contender: Contender, rows: int, *, with_start: bool) -> list[float]:
    """Rows a second and core over the yardstick's, in each round."""
    rates = figures.rates(contender, rows, with_start=with_start)
    yardstick = figures.rates(YARDSTICK, rows, with_start=with_start)
    return [rate / contender.cores / unit for rate, unit in zip(rates, yardstick, strict=True)]


def against(figures: Figures, other: Contender, rows: int, *, with_start: bool) -> list[float]:
    """Rows a second of two workers over those of another, in each round."""
    ours = figures.rates(TWO_WORKERS, rows, with_start=with_start)
    theirs = figures.rates(other, rows, with_start=with_start)
    return [one / another for one, another in zip(ours, theirs, strict=True)]


def growth(figures: Figures, of: Callable[[Run], float]) -> float:
    """The memory that the most rows take over what the fewest take, those of a start aside."""
    _, fewest, *_, most = figures.sizes(TWO_WORKERS)
    least, greatest = (max(of(run) for run in figures.runs[TWO_WORKERS, rows]) for rows in (fewest, most))
    return greatest / least


def verdicts(figures: Figures) -> list[Verdict]:
    """What is asked of the whole catalogue, and what came of it."""
    rows = figures.all_rows
    found = [
        Verdict(
            f"{contender.name}: rows a second and core, of the yardstick's",
            statistics.median(per_core(figures, contender, rows, with_start=True)),
            PER_CORE,
        )
        for contender in (ONE_WORKER, TWO_WORKERS)
    ]
    found += [
        Verdict(
            f"{TWO_WORKERS.name}: rows a second, of Ray Data's",
            statistics.median(against(figures, contender, rows, with_start=True)),
            1,
        )
        for contender in figures.contenders
        if contender in RAY
    ]
    for name, of in MEMORY.items():
        found.append(Verdict(f"{name}: memory, of that for a tenth of the rows", growth(figures, of), FLAT, True))
    return found
