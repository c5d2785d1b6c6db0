"""The plots of the results."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from benchmarks.serving.measure import Figures
from benchmarks.serving.plan import CURVE_SIZES, CURVE_STACKS, batch, vector
from benchmarks.serving.ratios import quartiles, rounds
from benchmarks.serving.stacks import OURS, STACKS
from training.plots import COLOURS, LINES, MARKERS, style


def draw_all(figures: Figures) -> Mapping[str, Figure]:
    """Every plot, by the name of its file."""
    with style():
        return {"serving_rates": rates(figures), "serving_batches": batches(figures)}


def rates(figures: Figures) -> Figure:
    """Requests a second of every stack, one vector each."""
    measured = [
        (stack, rounds(figures, vector(stack, 16), lambda window: window.rate)) for stack in STACKS if stack.pinned
    ]
    found = sorted(((stack, quartiles(values)) for stack, values in measured if values), key=lambda each: each[1][1])
    figure = Figure(figsize=(8, 0.35 * len(found) + 1.2))
    axes = figure.subplots()
    for position, (stack, (lower, median, upper)) in enumerate(found):
        ours = stack.environment == OURS.environment
        axes.barh(position, median, color=COLOURS[0] if ours else "#bbbbbb", hatch="//" if ours else None)
        axes.errorbar(median, position, xerr=[[median - lower], [upper - median]], color="black", capsize=3)
        axes.annotate(f" {median:,.0f}", (upper, position), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(found)), [stack.name for stack, _ in found])
    axes.set_xscale("log")
    axes.set_xlim(right=4 * max(upper for _, (_, _, upper) in found))
    axes.set_xlabel("requests a second, median and quartiles")
    axes.set_title("One vector a request, 16 connections, one core")
    axes.grid(visible=False, axis="y")
    return figure


def batches(figures: Figures) -> Figure:
    """Milliseconds a request against the number of vectors in it, by form."""
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    curves = [(stack, form) for stack in CURVE_STACKS for form in stack.batches]
    for index, (stack, form) in enumerate(curves):
        points = {
            size: 1e3 / float(np.median(values))
            for size in CURVE_SIZES
            if (values := rounds(figures, batch(stack, form, size), lambda window: window.rate))
        }
        label, line = f"{stack.name}, {form}", LINES[0 if stack is OURS else 1]
        axes.plot(list(points), list(points.values()), line, color=COLOURS[index], marker=MARKERS[index], label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("vectors in a request")
    axes.set_ylabel("milliseconds a request (one over the rate)")
    axes.set_title("Time a request by form and size, on one core")
    axes.legend()
    return figure
