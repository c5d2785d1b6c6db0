"""The plot of the results."""

import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scoring.contenders import TWO_WORKERS, YARDSTICKS
from benchmarks.scoring.measure import Figures
from training.plots import COLOURS, LINES, MARKERS, style


def draw(figures: Figures) -> Figure:
    """Time and memory against the number of rows."""
    with style():
        figure = Figure(figsize=(10, 4.2))
        times, memory = figure.subplots(1, 2)
        _times(times, figures)
        _memory(memory, figures)
    return figure


def _times(axes: Axes, figures: Figures) -> None:
    contenders = [contender for contender in figures.contenders if contender != YARDSTICKS]
    for contender, colour, marker, line in zip(contenders, COLOURS, MARKERS, LINES, strict=False):
        points = {
            rows / 1e6: statistics.median(run.seconds for run in figures.runs[contender, rows])
            for rows in figures.sizes(contender)
        }
        axes.plot(list(points), list(points.values()), line, color=colour, marker=marker, label=contender.name)
    axes.set_xlabel("million rows")
    axes.set_ylabel("seconds, from start to end")
    axes.set_ylim(bottom=0)
    axes.set_title("Time")
    axes.legend()


def _memory(axes: Axes, figures: Figures) -> None:
    sizes = figures.sizes(TWO_WORKERS)
    runs = [figures.runs[TWO_WORKERS, rows] for rows in sizes]
    for label, most, colour, marker in (
        ("all processes together", [max(run.megabytes for run in each) for each in runs], COLOURS[0], "o"),
        ("the largest one", [max(run.largest_megabytes for run in each) for each in runs], COLOURS[1], "s"),
    ):
        axes.plot([rows / 1e6 for rows in sizes], most, color=colour, marker=marker, label=label)
    axes.set_xlabel("million rows")
    axes.set_ylabel("most megabytes at once")
    axes.set_ylim(bottom=0)
    axes.set_title(f"Memory of {TWO_WORKERS.name}")
    axes.legend()
