"""Measures training against Keras's plain `fit` and K-means against scikit-learn, all in one run.

`make bench-training`, or `python -m benchmarks.training`, writes benchmarks/TRAINING.md and its plot.
"""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import kmeans, networks
from benchmarks.timing import Timings
from training import plots
from training.dataset import load_dataset

FOLDER = Path(__file__).parent
LIBRARIES = ("numpy", "scipy", "scikit-learn", "keras", "tensorflow")


def main() -> None:
    """Measures everything and writes the results."""
    dataset = load_dataset()
    training = networks.measure_training(dataset)
    restarts = kmeans.measure_restarts(dataset)
    iterations = kmeans.measure_iterations()
    memory = {
        (name, size): kmeans.measure_memory(name, size, clusters=100)
        for size in kmeans.SIZES[2:]
        for name in ("music-origin", "scikit-learn")
    }
    with plots.style():
        figure = kmeans.plot_times(iterations)
    for suffix in ("png", "svg"):
        plots.save(figure, FOLDER / f"kmeans.{suffix}")
    text = results(training, restarts, iterations, memory)
    (FOLDER / "TRAINING.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


def results(
    training: Timings,
    restarts: Timings,
    iterations: dict[tuple[int, int], Timings],
    memory: dict[tuple[str, int], float],
) -> str:
    """The results in Markdown, ratios first."""
    libraries = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return f"""# Training, measured

Written by `make bench-training`. In every comparison the jobs take turns, after one round that is not counted.
Times are medians, and in brackets the least and the greatest. {platform.system()} on {platform.machine()},
{os.cpu_count()} CPUs, Python {platform.python_version()}; {libraries}.

## Networks

The hidden network, {networks.EPOCHS} epochs of 800 rows. The plain fit validates after every epoch, as in the notebook.
Outcomes are compared by a test, over 20 seeds.

{_table(("", "of plain fit", "seconds"), _compared(training, networks.PLAIN, 1, 2))}

## K-means, ten restarts

The real rows (1,059 × 68), K = 10, every default, all threads. A test compares the costs, over 20 seeds.

{_table(("", "of scikit-learn", "milliseconds"), _compared(restarts, "scikit-learn", 1e3, 1))}

## K-means, one iteration

Made rows of 68 numbers, one thread, ten iterations of both from the same start to the same centroids.

{_table(("rows", "K", "of scikit-learn", "music-origin, ms", "scikit-learn, ms"), _by_size(iterations))}

![Time of an iteration against the number of rows](kmeans.png)

## K-means, memory

By how much ten iterations, K = 100, raise the peak memory of a process that holds the rows already.

{_table(("rows", "size of the rows, MB", "music-origin, MB", "scikit-learn, MB"), _memory(memory))}
"""


def _compared(timings: Timings, reference: str, unit: float, decimals: int) -> Iterable[Sequence[str]]:
    for name, values in timings.items():
        ratio = statistics.median(values) / statistics.median(timings[reference])
        yield name, f"{ratio:.3f}", _shown(values, unit, decimals)


def _by_size(iterations: dict[tuple[int, int], Timings]) -> Iterable[Sequence[str]]:
    for (size, clusters), timings in iterations.items():
        ours, theirs = timings["music-origin"], timings["scikit-learn"]
        ratio = statistics.median(ours) / statistics.median(theirs)
        yield f"{size:,}", str(clusters), f"{ratio:.2f}", _shown(ours, 1e3, 2), _shown(theirs, 1e3, 2)


def _memory(memory: dict[tuple[str, int], float]) -> Iterable[Sequence[str]]:
    for size in sorted({size for _, size in memory}):
        row = (memory[name, size] for name in ("music-origin", "scikit-learn"))
        yield f"{size:,}", f"{size * kmeans.COLUMNS * 8 / 1e6:.0f}", *(f"{each:.0f}" for each in row)


def _shown(values: Sequence[float], unit: float, decimals: int) -> str:
    median, least, greatest = (
        f"{value * unit:,.{decimals}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return f"{median} ({least} to {greatest})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    main()
