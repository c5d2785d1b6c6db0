"""K-means against scikit-learn: ten restarts on the real rows, and time and memory of an iteration on made ones."""

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.progress import track
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks.timing import Timings, interleaved
from training import kmeans
from training.dataset import Dataset

Matrix = NDArray[np.float64]

RESTART_ROUNDS = 21
SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLUSTERS = (10, 100)
ITERATIONS = 10
COLUMNS = 68


def measure_restarts(dataset: Dataset) -> Timings:
    """Seconds for the best of ten restarts on the real rows, K = 10, each with its own defaults and all threads."""
    rows = dataset.features
    return interleaved(
        {
            "music-origin": lambda: kmeans.fit(rows, 10, seed=0),
            "scikit-learn": lambda: KMeans(10, n_init=10, random_state=0).fit(rows),
        },
        RESTART_ROUNDS,
    )


def measure_iterations() -> dict[tuple[int, int], Timings]:
    """Seconds an iteration from the same start, on one thread, by number of rows and of clusters.

    Raises SystemExit if the two do not end with the same centroids.
    """
    warnings.simplefilter("ignore", ConvergenceWarning)
    timings = {}
    rows = make_rows(max(SIZES))
    with threadpool_limits(1):
        for size in track(SIZES, description="K-means iterations"):
            for clusters in CLUSTERS:
                jobs, check = jobs_for(rows[:size], clusters)
                check()
                measured = interleaved(jobs, rounds=21 if size <= 10_000 else 5)
                timings[size, clusters] = {
                    name: [seconds / ITERATIONS for seconds in values] for name, values in measured.items()
                }
    return timings


def jobs_for(rows: Matrix, clusters: int) -> tuple[dict[str, Callable[[], object]], Callable[[], None]]:
    """Ten iterations by each, from the first rows as centroids; and a check that they come to the same."""
    start = rows[:clusters].copy()

    def ours() -> Matrix:
        return kmeans.lloyd(rows, start[None], ITERATIONS)[0].centroids

    def theirs() -> Matrix:
        model = KMeans(clusters, init=start, n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd")
        centroids: Matrix = model.fit(rows).cluster_centers_
        return centroids

    def check() -> None:
        if not np.allclose(ours(), theirs(), atol=1e-8):
            raise SystemExit("the two K-means do not agree")

    return {"music-origin": ours, "scikit-learn": theirs}, check


def make_rows(size: int) -> Matrix:
    """Rows (size, 68) around 100 centres, so that an iteration is neither the first nor the last."""
    generator = np.random.default_rng(0)
    centres = generator.normal(0, 0.5, size=(100, COLUMNS))
    rows = generator.standard_normal((size, COLUMNS))
    for block in np.array_split(np.arange(size), max(size // 10_000, 1)):
        rows[block] += centres[generator.integers(100, size=len(block))]
    return rows


def measure_memory(name: str, size: int, clusters: int) -> float:
    """Megabytes by which ten iterations raise the peak memory of a fresh process above its rows."""
    command = [sys.executable, "-m", "benchmarks.kmeans", name, str(size), str(clusters)]
    root = Path(__file__).parent.parent
    return float(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)


def plot_times(timings: dict[tuple[int, int], Timings]) -> Figure:
    """Milliseconds an iteration against the number of rows."""
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    for clusters, marker in zip(CLUSTERS, "os", strict=True):
        for name, line, colour in (("music-origin", "-", "#332288"), ("scikit-learn", "--", "#cc6677")):
            medians = [1e3 * np.median(timings[size, clusters][name]) for size in SIZES]
            axes.plot(SIZES, medians, line, marker=marker, color=colour, label=f"{name}, K = {clusters}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows of 68 numbers")
    axes.set_ylabel("milliseconds an iteration")
    axes.set_title("K-means on one thread: time against the number of rows")
    axes.legend()
    return figure


def _print_memory(name: str, size: int, clusters: int) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = make_rows(size)
    jobs, _ = jobs_for(make_rows(1_000), clusters)  # loads and sets up all that is used
    for job in jobs.values():
        job()
    job = jobs_for(rows, clusters)[0][name]
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = _peak_memory()
    job()
    print(_peak_memory() - before)


def _peak_memory() -> float:
    """The largest resident set so far, in megabytes (Linux)."""
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kibibytes) * 1024 / 1e6


if __name__ == "__main__":
    _print_memory(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
