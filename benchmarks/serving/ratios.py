"""The ratios that this service is to reach, each computed within a round."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.load import Window
from benchmarks.serving.measure import Figures, Start
from benchmarks.serving.plan import LARGE_NPY, TWICE, Case, batch, vector
from benchmarks.serving.stacks import (
    FASTAPI_KERAS,
    FASTAPI_NUMPY,
    FLOOR,
    ONE_WORKER,
    OURS,
    SERVING_SYSTEMS,
    TWO_WORKERS,
)


@dataclass(frozen=True)
class Ratio:
    """A ratio in every round, and the bound that its median is to keep, from above or from below."""

    name: str
    values: Sequence[float]
    bound: float
    at_most: bool = False

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median and the upper quartile."""
        return quartiles(self.values)

    @property
    def met(self) -> bool:
        """Whether the median keeps the bound."""
        median = self.quartiles[1]
        return median <= self.bound if self.at_most else median >= self.bound


def ratios(figures: Figures) -> list[Ratio]:
    """All of them, but for those with a stack that was not measured."""
    best = best_serving_system(figures)
    alone, ours = vector(OURS, 1), vector(OURS, 16)
    tutorial_json, npy = batch(FASTAPI_NUMPY, "JSON", 1_000), batch(OURS, "npy", 1_000)
    found = [
        Ratio(
            f"one vector, 16 connections, requests/s: against the best serving system ({best})",
            _pairs(figures, ours, Case(best, "vector", 1, 16), _rate),
            12,
        ),
        Ratio(
            "the same against FastAPI + pydantic + NumPy", _pairs(figures, ours, vector(FASTAPI_NUMPY, 16), _rate), 4.5
        ),
        Ratio("the same against bare ASGI + msgspec + NumPy", _pairs(figures, ours, vector(FLOOR, 16), _rate), 1.0),
        Ratio(
            "one vector alone, p99: against bare ASGI + msgspec + NumPy",
            _pairs(figures, alone, vector(FLOOR, 1), lambda window: window.p99),
            1.3,
            at_most=True,
        ),
        Ratio(
            "1,000 vectors as JSON, vectors/s: against FastAPI + pydantic + NumPy's JSON",
            _pairs(figures, batch(OURS, "JSON", 1_000), tutorial_json, _rate),
            4.5,
        ),
        Ratio("1,000 vectors as npy, vectors/s: against the same", _pairs(figures, npy, tutorial_json, _rate), 12),
        Ratio("10,000 vectors as npy, vectors/s: against the forward pass in process", _of_forward(figures), 0.25),
        Ratio(
            "processor time a request: two workers over one",
            _pairs(figures, vector(TWO_WORKERS, TWICE), vector(ONE_WORKER, 16), lambda window: window.cpu),
            1.05,
            at_most=True,
        ),
        Ratio("start to first reply: FastAPI + Keras's over ours", _of_starts(figures, lambda start: start.seconds), 8),
        Ratio("memory: FastAPI + Keras's over ours", _of_starts(figures, lambda start: start.megabytes), 10),
    ]
    return [ratio for ratio in found if ratio.values]


def best_serving_system(figures: Figures) -> str:
    """The serving system that answers most requests, one vector each over 16 connections."""
    rates = {stack.name: rounds(figures, vector(stack, 16), _rate) for stack in SERVING_SYSTEMS}
    measured = {name: statistics.median(values) for name, values in rates.items() if values}
    return max(measured, key=lambda name: measured[name], default="none was measured")


def rounds(figures: Figures, case: Case, of: Callable[[Window], float]) -> list[float]:
    """What a case came to in every round."""
    return [of(window) for window in _windows(figures, case).values()]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile."""
    lower, median, upper = np.percentile(values, [25, 50, 75]).tolist()
    return lower, median, upper


def _rate(window: Window) -> float:
    return window.rate


def _windows(figures: Figures, case: Case) -> Mapping[int, Window]:
    return figures.windows.get(case, {})


def _pairs(figures: Figures, case: Case, reference: Case, of: Callable[[Window], float]) -> list[float]:
    windows, references = _windows(figures, case), _windows(figures, reference)
    return [of(window) / of(references[number]) for number, window in windows.items() if number in references]


def _of_forward(figures: Figures) -> list[float]:
    windows = _windows(figures, LARGE_NPY)
    return [
        windows[number].rate * LARGE_NPY.size / rate for number, rate in figures.forward.items() if number in windows
    ]


def _of_starts(figures: Figures, of: Callable[[Start], float]) -> list[float]:
    keras, ours = figures.starts.get(FASTAPI_KERAS.name, []), figures.starts.get(OURS.name, [])
    return [of(theirs) / of(own) for theirs, own in zip(keras, ours, strict=False)]
