"""The training run, top to bottom: `python -m training`."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from models.archive import DEFAULT_BUNDLE, replaced_whole, save_bundle
from models.bundle import ModelBundle
from models.predictors import DenseNetwork, NearestCentroid

try:
    from training import agreement, kmeans
    from training.dataset import Dataset, DatasetError, load_dataset
    from training.kmeans import Clustering
    from training.recipes import RECIPES, Recipe
except ModuleNotFoundError as missing:
    sys.exit(f"error: training needs {missing.name}, which is not installed: run `make train`")

Write = Callable[[Path], None]


class OutputError(Exception):
    """An output folder that cannot be written. The message is one sentence that names it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs training from the command line and returns the exit status."""
    options = parse_arguments(arguments)
    try:
        with interruptible():
            run(options)
    except (DatasetError, agreement.DisagreementError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the saved models are whole", file=sys.stderr)
        return 130
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options, with their defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description="Fits the models, evaluates them, and writes them with a report."
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="the data set's .txt or .zip (default: $MUSIC_ORIGIN_DATA, else cached, else downloaded)",
    )
    parser.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="take a file of your own: 70 comma-separated numbers a line, the last two latitude and longitude",
    )
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_BUNDLE.parent, help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=_whole_number(0, 2**32 - 1), default=0, help="of split, starts and weights (default: 0)"
    )
    parser.add_argument("--genres", type=_whole_number(1, 1000), default=10, help="clusters of K-means (default: 10)")
    parser.add_argument(
        "--epochs", type=_whole_number(1, 100_000), help="epochs of every network (default: each network's own)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fit and save the models only: no evaluation, no plots, no model card"
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Reads the data, fits, checks, evaluates and saves the models, and reports on them."""
    started = time.perf_counter()
    dataset = load_dataset(options.data, verify=options.verify)
    split = dataset.split(options.seed)
    with explained(options.output):
        options.output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.output).close()
    clustering = fit_genres(dataset, options.genres, options.seed)

    # TensorFlow takes seconds to import; wrong options and wrong data need not wait.
    from training import manifest, networks, report

    recipes = [replace(recipe, epochs=options.epochs or recipe.epochs) for recipe in RECIPES]
    exported: dict[Recipe, DenseNetwork] = {}
    writes: dict[str, Write] = {}
    for recipe in recipes:
        (exported[recipe],), trained_probabilities, _ = networks.fit(recipe, dataset, [split.training], [options.seed])
        keras_model = networks.as_keras(recipe, exported[recipe])
        keras_probabilities = networks.predict(keras_model, dataset.features)
        for expected in (trained_probabilities[0], keras_probabilities):
            agreement.check_network(exported[recipe], expected, dataset.features, recipe.name)
        writes[f"{recipe.name}.keras"] = partial(networks.save, keras_model)

    bundle = ModelBundle(
        NearestCentroid(clustering.centroids),
        {recipe.name: network for recipe, network in exported.items()},
        manifest.describe(dataset, split, options.seed, clustering, exported),
    )
    if not options.quick:
        bundle, reports = examine(dataset, recipes, bundle, clustering)
        writes |= reports
    writes["bundle.npz"] = partial(save_bundle, bundle)
    write_all(options.output, writes)
    report.print_summary(bundle, options.output, len(writes), time.perf_counter() - started)
    if options.quick and (options.output / report.METRICS_FILE).exists():
        print(
            f"note: the report in {options.output} is of other models: a run without --quick renews it", file=sys.stderr
        )


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C end in KeyboardInterrupt, whatever TensorFlow's compiled code makes of one on the way."""
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # it is ignored, as in a background job
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception as error:
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def fit_genres(dataset: Dataset, genres: int, seed: int) -> Clustering:
    """Clusters the pieces; serving must give each the genre that it has here."""
    try:
        clustering = kmeans.fit(dataset.features, genres, seed=seed)
    except ValueError as error:
        raise DatasetError(f"{error}: lower --genres") from error
    agreement.check_genres(NearestCentroid(clustering.centroids), clustering.labels, dataset.features)
    return clustering


def examine(
    dataset: Dataset, recipes: Sequence[Recipe], bundle: ModelBundle, clustering: Clustering
) -> tuple[ModelBundle, dict[str, Write]]:
    """Repeats the notebook and evaluates all models on many splits.

    Gives the bundle whose manifest says what came of it, and what is to be written of it, by file name.
    """
    from training import card, evaluate, genres, manifest, notebook, plots, report

    seed, places = bundle.manifest.seed, bundle.manifest.places
    evaluate.check_size(dataset, len(clustering.centroids), seed)
    evaluation = evaluate.evaluate(dataset, recipes, seed)
    bundle = replace(bundle, manifest=manifest.with_accuracies(bundle.manifest, evaluation.north))
    curves = notebook.cost_curves(dataset.features, seed)
    metrics = report.collect(
        bundle,
        north=evaluation.north,
        pooled_calibration_error={name: each.calibration_error for name, each in evaluation.reliability.items()},
        calibration=evaluation.calibration,
        places_ahead=evaluation.places_ahead,
        splits=evaluation.splits,
        place=evaluation.place,
        origin=evaluation.origin,
        genre_quality=genres.examine(dataset, clustering, seed),
        notebook=notebook.check_claims(curves, evaluation.histories),
    )
    figures = plots.draw_all(dataset, recipes, places, clustering, curves, evaluation)
    writes: dict[str, Write] = {
        report.METRICS_FILE: partial(report.write, report.as_json(metrics)),
        "MODEL_CARD.md": partial(report.write, card.model_card(metrics)),
    }
    writes |= {
        f"plots/{name}.{suffix}": partial(plots.save, figure)
        for name, figure in figures.items()
        for suffix in ("png", "svg")
    }
    return bundle, writes


def write_all(output: Path, writes: Mapping[str, Write]) -> None:
    """Writes every file, by its name under the output folder, before any is replaced; the last one is replaced last."""
    with explained(output), ExitStack() as replacements:
        for name in writes:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
        temporary_files = {
            name: replacements.enter_context(replaced_whole(output / name)) for name in reversed(list(writes))
        }
        for name, write in writes.items():
            write(temporary_files[name])


@contextmanager
def explained(output: Path) -> Iterator[None]:
    """Says of a failure to write into the output folder what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written ({error.strerror or error}): choose another folder as --output"
        ) from error


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and len(text) <= len(str(highest)) and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
