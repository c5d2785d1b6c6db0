"""The training run, top to bottom: `python -m training`."""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from models.bundle import DEFAULT_BUNDLE, Manifest, ModelBundle, replaced_whole, save_bundle
from models.predictors import NearestCentroid

try:
    from training import evaluate, kmeans, report
    from training.dataset import DatasetError, load_dataset
except ModuleNotFoundError as missing:
    sys.exit(f"error: training needs {missing.name}, which is not installed: run `make train`")

LIBRARIES = ("numpy", "keras", "tensorflow")


class OutputError(Exception):
    """An output folder that cannot be written. The message is one sentence that names it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs training from the command line and returns the exit status."""
    options = parse_arguments(arguments)
    try:
        run(options)
    except (DatasetError, evaluate.DisagreementError, OutputError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the saved models are whole", file=sys.stderr)
        return 130
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options, with their defaults."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        help="the data set's .txt or .zip (default: $MUSIC_ORIGIN_DATA, else cached, else downloaded)",
    )
    parser.add_argument(
        "--no-verify", dest="verify", action="store_false", help="take a file of your own, of that form"
    )
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_BUNDLE.parent, help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=_whole_number(0, 2**32 - 1), default=0, help="of split, starts and weights (default: 0)"
    )
    parser.add_argument("--genres", type=_whole_number(1, 1000), default=10, help="clusters of K-means (default: 10)")
    parser.add_argument("--epochs", type=_whole_number(1, 100_000), default=100, help="epochs a network (default: 100)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Reads the data, fits and checks the models, and saves them."""
    started = time.perf_counter()
    dataset = load_dataset(options.data, verify=options.verify)
    split = dataset.split(options.seed)
    with explained(options.output):
        options.output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.output).close()

    try:
        clustering = kmeans.fit(dataset.features, options.genres, seed=options.seed)
    except ValueError as error:
        raise DatasetError(f"{error}: lower --genres") from error
    genres = NearestCentroid(clustering.centroids)
    evaluate.check_genres(genres, clustering.labels, dataset.features)

    from training import networks  # TensorFlow takes seconds to import; wrong options and wrong data need not wait

    fitted = {
        "simple": networks.fit_simple(dataset, split, epochs=options.epochs, seed=options.seed),
        "hidden": networks.fit_hidden(dataset, split, epochs=options.epochs, seed=options.seed),
    }
    exported = {name: networks.export(network.model) for name, network in fitted.items()}
    for name, network in fitted.items():
        keras_probabilities = networks.predict(network.model, dataset.features)
        evaluate.check_agreement(exported[name], keras_probabilities, dataset.features, name)

    manifest = Manifest(
        data_sha256=dataset.sha256,
        rows=len(dataset),
        rows_north_of_20=int(dataset.north_of_20.sum()),
        training_rows=len(split.training),
        validation_rows=len(split.validation),
        seed=options.seed,
        libraries={"python": platform.python_version()} | {library: version(library) for library in LIBRARIES},
        kmeans_cost=clustering.cost,
        kmeans_iterations=len(clustering.costs),
        majority_accuracy=evaluate.majority_accuracy(dataset, split),
        genres=evaluate.summarize_genres(dataset, clustering.labels, options.genres),
        networks={
            name: evaluate.summarize_network(exported[name], network.kept_epoch, dataset, split)
            for name, network in fitted.items()
        },
    )
    bundle = ModelBundle(genres, exported, manifest)
    files = [options.output / f"{name}.keras" for name in fitted] + [options.output / "bundle.npz"]
    with explained(options.output), ExitStack() as replacements:
        # All are written before any is replaced; the bundle, entered first, is replaced last.
        *keras_files, bundle_file = [replacements.enter_context(replaced_whole(file)) for file in reversed(files)][::-1]
        for file, network in zip(keras_files, fitted.values(), strict=True):
            networks.save(network.model, file)
        save_bundle(bundle, bundle_file)
    report.print_summary(bundle, files, time.perf_counter() - started)


@contextmanager
def explained(output: Path) -> Iterator[None]:
    """Says of a failure to write into the output folder what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written ({error.strerror}): choose another folder as --output"
        ) from error


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and len(text) <= len(str(highest)) and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
