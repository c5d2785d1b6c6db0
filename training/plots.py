"""Every plot of the report, as Matplotlib figures that can be printed without colour.

The coastlines are Natural Earth's land at 1:110 million, which is in the public domain, as rings of longitude and
latitude: training/coastlines.py makes them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.bundle import Place
from models.origin import NORTH_LATITUDE
from training.dataset import Dataset
from training.evaluate import Evaluation
from training.kmeans import Clustering
from training.metrics import BINS, Reliability
from training.networks import History
from training.notebook import EPOCHS, SCREE_RUNS, CostCurves
from training.recipes import Recipe

COASTLINES = Path(__file__).with_name("coastlines.json")
JITTER_DEGREES = 2.0

# Paul Tol's "muted" scheme, which the colour-blind can tell apart, with a marker besides for each colour.
COLOURS = (
    "#332288",
    "#cc6677",
    "#117733",
    "#ddcc77",
    "#88ccee",
    "#882255",
    "#44aa99",
    "#999933",
    "#aa4499",
    "#888888",
)
MARKERS = "os^DvP<X>*"
LINES = ("-", "--", "-.", ":")

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.framealpha": 0.9,
    "svg.fonttype": "none",
    "svg.hashsalt": "music-origin",  # else the identifiers inside differ from run to run
    "figure.constrained_layout.use": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Draws and saves in the report's style, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)  # type: ignore[arg-type]
        yield


def save(figure: Figure, path: Path) -> None:
    """Writes a .png or .svg file; the same figure gives the same bytes."""
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with style():
        figure.savefig(path, dpi=160, metadata=metadata)


def draw_all(
    dataset: Dataset,
    recipes: Sequence[Recipe],
    places: tuple[Place, ...],
    clustering: Clustering,
    curves: CostCurves,
    evaluation: Evaluation,
) -> dict[str, Figure]:
    """Every plot, by the name of its file."""
    with style():
        return {
            "cost_histories": cost_histories(curves),
            "scree": scree(curves),
            "genre_map": genre_map(dataset, clustering.labels),
            **{
                f"{recipe.name}_accuracy": accuracy_by_epoch(recipe, evaluation.histories[recipe.name])
                for recipe in recipes
                if recipe.name in evaluation.histories
            },
            "reliability": reliability({recipe.name: evaluation.reliability[recipe.name] for recipe in recipes}),
            "confusion": confusion(places, dataset.place, evaluation.place_probabilities),
            "accuracy_by_place": accuracy_by_place(dataset, evaluation.fold_north, evaluation.held_out_north),
        }


def cost_histories(curves: CostCurves) -> Figure:
    """Plot 1: the cost of K-means after every iteration."""
    figure, axes = _axes("K-means from random starts: cost by iteration", "iteration", "cost (mean squared distance)")
    for (genres, costs), colour, marker in zip(curves.histories.items(), COLOURS, MARKERS, strict=False):
        iterations = np.arange(1, costs.shape[1] + 1)
        axes.fill_between(iterations, costs.min(axis=0), costs.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        axes.plot(iterations, costs.mean(axis=0), color=colour, marker=marker, label=f"K = {genres}")
    axes.set_xticks(range(1, 11))
    figure.legend(loc="outside right upper", title=f"mean and range\nof {len(costs)} seeds")
    return figure


def scree(curves: CostCurves) -> Figure:
    """Plot 2: the cost of K-means by the number of clusters."""
    figure, axes = _axes("K-means: cost by number of genres", "number of genres K", "cost (mean squared distance)")
    genres = np.arange(1, len(curves.scree_best) + 1)
    for run in range(SCREE_RUNS):
        axes.plot(
            genres,
            curves.scree_runs[:, run],
            MARKERS[run],
            markersize=6,
            fillstyle="none",
            color=COLOURS[run],
            label=f"single run {run + 1}",
        )
    axes.plot(genres, curves.scree_best, "k-", linewidth=1, label="best of ten restarts")
    axes.set_xticks(genres)
    axes.legend()
    return figure


def genre_map(dataset: Dataset, labels: NDArray[np.intp]) -> Figure:
    """Plot 3: where the pieces of each genre (n,) come from, moved a little at random so that none hides another."""
    figure = Figure(figsize=(14, 7.5))
    axes = figure.subplots()
    _draw_map(
        axes, f"Origin of {len(dataset):,} pieces by genre (moved at random by up to {JITTER_DEGREES:g}°)", dataset
    )
    moves = np.random.default_rng(0).uniform(-JITTER_DEGREES, JITTER_DEGREES, (2, len(dataset)))
    longitude, latitude = dataset.longitude + moves[0], dataset.latitude + moves[1]
    for genre in range(labels.max() + 1):
        members = labels == genre
        axes.scatter(
            longitude[members],
            latitude[members],
            s=14,
            color=COLOURS[genre % len(COLOURS)],
            marker=MARKERS[(genre + genre // len(COLOURS)) % len(MARKERS)],
            edgecolors="white",
            linewidths=0.2,
            label=f"genre {genre} ({members.sum()})",
            zorder=3,
        )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, title="genre (pieces)")
    return figure


def accuracy_by_epoch(recipe: Recipe, history: History) -> Figure:
    """Plots 4 and 5: a network's accuracy after every epoch, on training and validation rows of many splits."""
    epochs, splits, _ = history.accuracy.shape
    figure, axes = _axes(f"The {recipe.name} network: accuracy by epoch", "epoch", "accuracy (share of pieces)")
    for side, label in enumerate(("training", "validation")):
        accuracy = history.accuracy[..., side]
        mean, spread = accuracy.mean(axis=1), accuracy.std(axis=1, ddof=1)
        numbers = np.arange(1, epochs + 1)
        axes.fill_between(numbers, mean - spread, mean + spread, color=COLOURS[side], alpha=0.2, linewidth=0)
        axes.plot(
            numbers,
            mean,
            LINES[side],
            color=COLOURS[side],
            label=f"{label}, mean ± standard deviation of {splits} splits",
        )
    axes.axvline(recipe.epochs, color="black", linewidth=1, label=f"epoch kept ({recipe.epochs})")
    if recipe.epochs > EPOCHS:
        axes.axvline(EPOCHS, color="black", linewidth=1, linestyle=":", label=f"the notebook's last epoch ({EPOCHS})")
    axes.set_xlim(0, 1.02 * epochs)
    axes.legend(loc="lower right")
    return figure


def reliability(diagrams: Mapping[str, Reliability]) -> Figure:
    """How often music is from north of 20° N where a network gives that so much probability, by network."""
    figure = Figure(figsize=(10, 4))
    for axes, (name, diagram), colour in zip(
        np.atleast_1d(figure.subplots(1, len(diagrams), sharey=True)), diagrams.items(), COLOURS, strict=False
    ):
        filled = diagram.counts > 0
        shares = diagram.counts / diagram.counts.sum()
        axes.bar((np.arange(BINS) + 0.5) / BINS, shares, 0.09, color="#bbbbbb", label="share of predictions")
        axes.plot([0, 1], [0, 1], "k:", linewidth=1, label="perfectly calibrated")
        axes.plot(diagram.predicted[filled], diagram.observed[filled], "-o", color=colour, label="observed")
        axes.set_title(f"{name}: calibration error {diagram.calibration_error:.3f}", fontsize=10)
        axes.set_xlabel("predicted probability of north of 20° N")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    figure.axes[0].set_ylabel("observed share north of 20° N")
    figure.axes[0].legend(loc="upper left", fontsize=8)
    figure.suptitle("Reliability on the validation pieces of all random splits")
    return figure


def confusion(places: tuple[Place, ...], true: NDArray[np.intp], probabilities: NDArray[np.float32]) -> Figure:
    """Which place is taken for which: rows are true places (n,), columns the likeliest of probabilities (n, p)."""
    counts = np.zeros((len(places), len(places)))
    np.add.at(counts, (true, probabilities.argmax(axis=1)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    names = [_name(place) for place in places]
    figure = Figure(figsize=(9.5, 8.5))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), origin="lower")
    axes.grid(visible=False)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(
        range(len(names)), [f"{name} ({int(row.sum())})" for name, row in zip(names, counts, strict=True)], fontsize=8
    )
    border = np.searchsorted([place.latitude for place in places], NORTH_LATITUDE) - 0.5
    axes.axhline(border, color="black", linewidth=1)
    axes.axvline(border, color="black", linewidth=1)
    axes.set_xlabel("likeliest place")
    axes.set_ylabel("true place (pieces), from south to north")
    axes.set_title("The places network over ten folds: the lines mark 20° N")
    figure.colorbar(image, label="share of the true place's pieces", shrink=0.8)
    return figure


def accuracy_by_place(dataset: Dataset, within: NDArray[np.float32], without: NDArray[np.float32]) -> Figure:
    """Two maps of how often the side of 20° N is told rightly at each place, by the probability of north (n,).

    `within` is from ten folds, which know each place from other pieces; `without` from folds without the whole place.
    """
    figure = Figure(figsize=(11, 9.5))
    upper, lower = figure.subplots(2, 1)
    counts = np.bincount(dataset.place)
    for axes, probabilities, title in (
        (upper, within, "Pieces of the same place were in training (ten folds)"),
        (lower, without, "No piece of the place was in training (held-out places)"),
    ):
        _draw_map(axes, title, dataset)
        right = (probabilities > 0.5) == dataset.north_of_20
        dots = axes.scatter(
            dataset.places.longitude,
            dataset.places.latitude,
            s=4 * counts,
            c=np.bincount(dataset.place, weights=right) / counts,
            cmap="cividis",
            norm=BoundaryNorm(np.linspace(0, 1, 6), 256),
            edgecolors="black",
            linewidths=0.6,
            zorder=3,
        )
    figure.colorbar(dots, ax=[upper, lower], label="share of pieces on the right side of 20° N", shrink=0.6)
    figure.suptitle("The places network: accuracy by place (area of a dot: number of pieces)")
    return figure


def _axes(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _draw_map(axes: Axes, title: str, dataset: Dataset) -> None:
    """Coastlines and 20° N, as far as there are pieces."""
    latitude, longitude = dataset.latitude, dataset.longitude
    axes.add_collection(LineCollection(_coastlines(), colors="#777777", linewidths=0.6))
    axes.axhline(NORTH_LATITUDE, color="black", linewidth=0.8, linestyle="--")
    axes.annotate("20° N", (-123, NORTH_LATITUDE + 1.5), fontsize=8)
    axes.set_xlim(min(-125, longitude.min() - 5), 180)
    axes.set_ylim(min(-58, latitude.min() - 5), max(75, latitude.max() + 5))
    axes.set_xticks(range(-120, 181, 60))
    axes.set_aspect("equal")
    axes.set_xlabel("longitude (degrees east)")
    axes.set_ylabel("latitude (degrees north)")
    axes.set_title(title)


def _coastlines() -> list[NDArray[np.float64]]:
    """Lines of longitude and latitude (n, 2), cut where they cross the map's edge."""
    rings = [np.array(ring) for ring in json.loads(COASTLINES.read_text())]
    return [line for ring in rings for line in np.split(ring, np.flatnonzero(np.abs(np.diff(ring[:, 0])) > 180) + 1)]


def _name(place: Place) -> str:
    return place.country or f"{place.latitude:g}, {place.longitude:g}"
