import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from models.archive import DEFAULT_BUNDLE
from models.bundle import Place
from training import metrics, notebook, plots
from training.dataset import Dataset
from training.networks import History
from training.recipes import HIDDEN, SIMPLE

NAMES = {
    "cost_histories",
    "scree",
    "genre_map",
    "simple_accuracy",
    "hidden_accuracy",
    "reliability",
    "confusion",
    "accuracy_by_place",
}
# How colours are seen, by Machado and others (2009), severity 1.
DEFICIENCIES = {
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}
PLACES = (Place("Kenya", -1.26, 36.8, 1 / 3), Place("Japan", 35.7, 139.71, 1 / 3), Place(None, 41.9, 12.48, 1 / 3))


@pytest.fixture(scope="module")
def figures(made: Dataset) -> dict[str, Figure]:
    return draw(made)


def draw(made: Dataset) -> dict[str, Figure]:
    """Every plot, of made results."""
    generator = np.random.default_rng(0)
    curves = notebook.cost_curves(made.features, 0)
    accuracy = np.sort(generator.uniform(0.5, 1, (300, 4, 2)).astype(np.float32), axis=0)
    diagram = metrics.reliability(generator.uniform(size=100), generator.uniform(size=100) > 0.5)
    probabilities = generator.dirichlet(np.ones(3), 60).astype(np.float32)
    with plots.style():
        return {
            "cost_histories": plots.cost_histories(curves),
            "scree": plots.scree(curves),
            "genre_map": plots.genre_map(made, np.arange(60) % 4),
            "simple_accuracy": plots.accuracy_by_epoch(SIMPLE, History(accuracy, accuracy)),
            "hidden_accuracy": plots.accuracy_by_epoch(HIDDEN, History(accuracy[:100], accuracy[:100])),
            "reliability": plots.reliability({"simple": diagram, "hidden": diagram, "places": diagram}),
            "confusion": plots.confusion(PLACES, made.place, probabilities),
            "accuracy_by_place": plots.accuracy_by_place(made, probabilities[:, 0], probabilities[:, 1]),
        }


def texts(figure: Figure) -> str:
    return " | ".join(
        [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_plot_has_a_title_and_named_axes(figures: dict[str, Figure], name: str) -> None:
    figure = figures[name]
    assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)
    assert figure.axes[0].get_title()
    assert figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cost_histories", ["K = 3", "K = 20", "iteration", "mean squared distance"]),
        ("scree", ["single run 3", "best of ten restarts"]),
        ("genre_map", ["degrees north", "degrees east", "genre 3 (15)", "20° N"]),
        ("simple_accuracy", ["training", "validation", "epoch kept (300)", "notebook's last epoch (100)"]),
        ("hidden_accuracy", ["epoch kept (40)"]),
        ("reliability", ["perfectly calibrated", "places: calibration error"]),
        ("confusion", ["Kenya (20)", "Japan", "41.9, 12.48 (20)"]),
        ("accuracy_by_place", ["ten folds", "held-out places"]),
    ],
)
def test_plot_says_what_it_shows(figures: dict[str, Figure], name: str, words: list[str]) -> None:
    shown = texts(figures[name])
    for word in words:
        assert word in shown


def test_confusion_counts_the_likeliest_place_of_each_true_place() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1]], np.float32)
    with plots.style():
        figure = plots.confusion(PLACES, np.array([0, 0, 2, 1]), probabilities)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert shown.tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_accuracy_by_place_is_within_above_and_without_below(made: Dataset) -> None:
    within = np.where(made.north_of_20, 0.9, 0.1).astype(np.float32)
    without = np.full(60, 0.9, np.float32)
    with plots.style():
        figure = plots.accuracy_by_place(made, within, without)
    upper, lower = (axes.collections[-1].get_array() for axes in figure.axes[:2])
    assert np.asarray(upper).tolist() == [1.0, 1.0, 1.0]
    assert np.asarray(lower).tolist() == [0.0, 1.0, 1.0]  # Kenya, Japan, Italy


def test_more_than_ten_genres_differ_by_colour_or_marker(made: Dataset) -> None:
    with plots.style():
        figure = plots.genre_map(made, np.arange(60) % 20)
    dots = [each for each in figure.axes[0].collections if str(each.get_label()).startswith("genre")]
    looks = {(str(each.get_facecolor()), np.asarray(each.get_paths()[0].vertices).tobytes()) for each in dots}
    assert len(looks) == len(dots) == 20


def test_kept_epoch_is_marked_where_it_is(figures: dict[str, Figure]) -> None:
    for name, epoch in (("simple_accuracy", 300), ("hidden_accuracy", 40)):
        (line,) = [line for line in figures[name].axes[0].lines if "epoch kept" in str(line.get_label())]
        assert set(np.asarray(line.get_xdata())) == {epoch}


def test_pieces_are_moved_by_two_degrees_at_most_and_none_is_lost(made: Dataset) -> None:
    with plots.style():
        figure = plots.genre_map(made, np.zeros(60, np.intp))
    (dots,) = [each for each in figure.axes[0].collections if str(each.get_label()).startswith("genre")]
    moves = np.asarray(dots.get_offsets()) - np.stack([made.longitude, made.latitude], axis=1)
    assert moves.shape == (60, 2)
    assert np.abs(moves).max() <= 2.0
    assert np.abs(moves).max() > 1.5


def test_coastlines_are_all_over_the_world_and_do_not_cross_it() -> None:
    lines = plots._coastlines()
    points = np.concatenate(lines)
    assert len(points) > 4_000
    assert points[:, 0].min() < -170
    assert points[:, 0].max() > 170
    assert max(np.abs(np.diff(line[:, 0])).max(initial=0) for line in lines) <= 180


def test_colours_can_be_told_apart_by_the_colour_blind() -> None:
    """Each pair of colours stays apart, or has markers that differ."""
    assert len(set(plots.COLOURS)) == len(set(plots.MARKERS)) == 10
    colours = np.array([to_rgb(colour) for colour in plots.COLOURS]) ** 2.2
    for seen in (colours, *(colours @ deficiency.T for deficiency in DEFICIENCIES.values())):
        shown = np.clip(seen, 0, 1) ** (1 / 2.2)
        distances = np.linalg.norm(shown[:, None] - shown, axis=2)[np.triu_indices(10, 1)]
        assert distances.min() > 0.08


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_same_results_are_saved_as_the_same_bytes(made: Dataset, tmp_path: Path, suffix: str) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for name, figure in draw(made).items():
            plots.save(figure, tmp_path / folder / f"{name}{suffix}")
    for name in NAMES:
        first, second = (tmp_path / folder / f"{name}{suffix}" for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_committed_plots_are_whole_and_large_enough_to_print() -> None:
    folder = DEFAULT_BUNDLE.with_name("plots")
    expected = {f"{name}.{suffix}" for name in NAMES for suffix in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == expected
    for name in NAMES:
        with Image.open(folder / f"{name}.png") as image:
            image.load()
            assert min(image.size) >= 600
            assert len(set(image.convert("L").tobytes())) > 20
        root = ElementTree.parse(folder / f"{name}.svg").getroot()
        assert root.tag.endswith("svg")
        assert len(list(root.iter())) > 100
