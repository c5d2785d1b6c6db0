"""The model bundle: all that the service needs, in one file of arrays and a manifest. Only this module knows its form.

A bundle is a NumPy .npz archive without pickles. Its arrays are `centroids`, then `<network>/<layer>/kernel` and
`<network>/<layer>/bias`, with a leading axis of members where a network averages several; its entry `manifest` is UTF-8
JSON, as bytes, that ends in a fingerprint over all the rest.
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features import FEATURE_COUNT, Floats
from models.origin import Places
from models.predictors import HIDDEN_ACTIVATION, OUTPUT_ACTIVATIONS, Dense, DenseNetwork, NearestCentroid, calibrate

FORMAT_VERSION = 3
NETWORKS = ("simple", "hidden", "places")
CLASS_COUNT = 2  # not north of 20° N, north of 20° N; the places network has a class for each place
MAX_BUNDLE_BYTES = 64 * 2**20
QUANTILE_SHARES = np.linspace(0, 1, 101)  # of the pieces of a genre that lie nearer to its centroid
DEFAULT_BUNDLE = Path(__file__).parent / "artifacts" / "bundle.npz"

Arrays = Mapping[str, NDArray[Any]]


class BundleError(Exception):
    """A bundle that cannot be loaded. The message is one sentence that names the file and says what is wrong."""


@dataclass(frozen=True)
class Place:
    """A place of origin: degrees north, degrees east, and its share of the pieces in question (0 to 1)."""

    country: str | None
    latitude: float
    longitude: float
    share: float


@dataclass(frozen=True)
class GenreSummary:
    """Where the training pieces of one genre come from, and how far they lie from its centroid.

    `places` are by share, largest first; `distance_quantiles` are those of the pieces' Euclidean distances to the
    centroid, at QUANTILE_SHARES.
    """

    size: int
    share_north_of_20: float
    places: tuple[Place, ...]
    distance_quantiles: tuple[float, ...]


@dataclass(frozen=True)
class NetworkSummary:
    """How one network was trained, and what it reached in telling north of 20° N from the rest.

    Accuracies lie between 0 and 1; log losses are in nats. `temperature` is what divides the log odds of north to
    calibrate them: the figures are those without it.
    """

    activations: tuple[str, ...]
    epochs: int
    training_accuracy: float
    training_log_loss: float
    validation_accuracy: float
    validation_log_loss: float
    temperature: float


@dataclass(frozen=True)
class Manifest:
    """What a bundle was made from and how well it does.

    `places` are all places of origin, in the order of the places network's classes, each with its share of the rows.
    `kmeans_cost` is the mean squared distance of all rows to their centroids; `majority_accuracy` is the validation
    accuracy of always answering the side of 20° N that is commoner in training. `usual_distances` are the 0.0005 and
    the 0.9995 quantile of the distances of all pieces to their own genre's centroid.
    """

    data_sha256: str
    rows: int
    rows_north_of_20: int
    training_rows: int
    validation_rows: int
    seed: int
    libraries: Mapping[str, str]
    kmeans_cost: float
    kmeans_iterations: int
    majority_accuracy: float
    places: tuple[Place, ...]
    genres: tuple[GenreSummary, ...]
    usual_distances: tuple[float, float]
    networks: Mapping[str, NetworkSummary]
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, eq=False)
class GenrePredictions:
    """The genres (n,) of rows, and how well the rows fit there.

    `distance` (n,) is the Euclidean distance to the genre's centroid, `distances` (n, k) those to all. `typicality`
    (n,) is the share of the genre's training pieces that lie farther from the centroid: 1 nearer than all of them, 0
    beyond all. `unusual` (n,) is true of rows whose distance only one in a thousand training pieces would have.
    """

    genre: NDArray[np.intp]
    distance: NDArray[np.float64]
    distances: NDArray[np.float64]
    typicality: NDArray[np.float64]
    unusual: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """The trained models and their manifest."""

    genres: NearestCentroid
    networks: Mapping[str, DenseNetwork]
    manifest: Manifest

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over every array's name, type, shape and bytes and over the manifest."""
        digest = hashlib.sha256()
        for name, array in sorted(_arrays(self).items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(_canonical_json(dataclasses.asdict(self.manifest)))
        return digest.hexdigest()

    @cached_property
    def places(self) -> Places:
        """Where the classes of the places network are."""
        places = self.manifest.places
        return Places(np.array([place.latitude for place in places]), np.array([place.longitude for place in places]))

    def north_of_20(self, network: str, features: Floats, *, calibrated: bool = True) -> NDArray[np.float64]:
        """The probability (n,) that rows (n, 68) come from north of 20° N, by the network of that name.

        It is calibrated by the network's temperature, which changes no side, unless the raw figure is asked for.
        """
        raw = probability_of_north(network, self.networks[network].predict(features), self.places)
        if not calibrated:
            return raw.astype(np.float64)
        return calibrate(raw, self.manifest.networks[network].temperature)

    def predict_genres(self, features: Floats) -> GenrePredictions:
        """The genre of each row (n, 68), and how far it is, how typical of its genre, and whether it is unusual."""
        distances = self.genres.distances(features).astype(np.float64, copy=False)
        genre = distances.argmin(axis=1)
        distance = distances.min(axis=1)
        typicality = np.empty(len(distance))
        for each in set(genre.tolist()):
            members = genre == each
            typicality[members] = 1 - np.interp(distance[members], self._distance_quantiles[each], QUANTILE_SHARES)
        nearest, farthest = self.manifest.usual_distances
        unusual = (distance < nearest) | (distance > farthest)
        return GenrePredictions(genre, distance, distances, typicality, unusual)

    @cached_property
    def version(self) -> str:
        """The model version that every reply carries: the fingerprint's first 12 digits."""
        return self.fingerprint[:12]

    @cached_property
    def _distance_quantiles(self) -> NDArray[np.float64]:
        """The distance quantiles (k, 101) of every genre."""
        return np.array([genre.distance_quantiles for genre in self.manifest.genres])


def probability_of_north(network: str, probabilities: Floats, places: Places) -> NDArray[np.float32]:
    """The probability (…,) of north of 20° N in a network's class probabilities (…, classes)."""
    north = places.north_of_20 if network == "places" else np.array([False, True])
    # Rounding can take a sum of probabilities a little above one.
    summed: NDArray[np.float32] = np.minimum(probabilities @ north.astype(np.float32), np.float32(1))
    return summed


def save_bundle(bundle: ModelBundle, path: Path) -> None:
    """Writes the bundle to `path`, whole or not at all."""
    description = dataclasses.asdict(bundle.manifest) | {"fingerprint": bundle.fingerprint}
    manifest = np.frombuffer(_canonical_json(description), dtype=np.uint8)
    with replaced_whole(path) as temporary:
        np.savez(temporary, allow_pickle=False, manifest=manifest, **dict(sorted(_arrays(bundle).items())))


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, and moves what was written to `path` at the end.

    A crash at any instant leaves the old file or the new one, whole; an exception leaves the old one and nothing else.
    """
    temporary = path.with_stem(f"{path.stem}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_bundle(path: Path) -> ModelBundle:
    """Reads a bundle and checks it whole: format, shapes and fingerprint. Raises BundleError for anything else."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): train the models or restore the file") from error
    try:
        if max(len(content), _unpacked_size(content)) > MAX_BUNDLE_BYTES:
            raise BundleError(f"{path} is larger than {MAX_BUNDLE_BYTES // 2**20} MiB: is it a model bundle?")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive)
        description = json.loads(arrays.pop("manifest").tobytes())
        if description["format_version"] != FORMAT_VERSION:
            raise BundleError(
                f"{path} has bundle format {description['format_version']!r}, and this release reads "
                f"{FORMAT_VERSION}: train the models again with this release"
            )
        stored_fingerprint = description.pop("fingerprint")
        bundle = _assemble(arrays, _manifest(description))
    except BundleError:
        raise
    except Exception as error:  # damaged bytes make zip, NumPy and JSON readers fail in more ways than can be listed
        raise BundleError(f"{path} is not a complete model bundle: restore the file or train again") from error
    if bundle.fingerprint != stored_fingerprint:
        raise BundleError(f"{path} was altered after training (its fingerprint differs): restore it or train again")
    return bundle


def _canonical_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def _arrays(bundle: ModelBundle) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"centroids": bundle.genres.centroids}
    for name, network in bundle.networks.items():
        for index, layer in enumerate(network.layers):
            arrays[f"{name}/{index}/kernel"] = layer.kernel
            arrays[f"{name}/{index}/bias"] = layer.bias
    return arrays


def _unpacked_size(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sum(member.file_size for member in archive.infolist())


def _manifest(description: dict[str, Any]) -> Manifest:
    genres = tuple(_genre_summary(genre) for genre in description["genres"])
    networks = {
        name: NetworkSummary(**(network | {"activations": tuple(network["activations"])}))
        for name, network in description["networks"].items()
    }
    places = tuple(Place(**place) for place in description["places"])
    usual_distances = tuple(description["usual_distances"])
    parts = {"places": places, "genres": genres, "usual_distances": usual_distances, "networks": networks}
    return Manifest(**(description | parts))


def _genre_summary(genre: dict[str, Any]) -> GenreSummary:
    places = tuple(Place(**place) for place in genre["places"])
    return GenreSummary(**(genre | {"places": places, "distance_quantiles": tuple(genre["distance_quantiles"])}))


def _assemble(arrays: Arrays, manifest: Manifest) -> ModelBundle:
    """Puts the predictors together; raises LookupError or ValueError where arrays and manifest do not match."""
    if manifest.networks.keys() != set(NETWORKS):
        raise ValueError(f"the networks must be {NETWORKS}")
    networks = {name: _network(arrays, name, summary.activations) for name, summary in manifest.networks.items()}
    for name, network in networks.items():
        classes = len(manifest.places) if name == "places" else CLASS_COUNT
        if network.classes != classes:
            raise ValueError(f"{name} must end in {classes} classes")
    bundle = ModelBundle(NearestCentroid(arrays["centroids"]), networks, manifest)
    if bundle.genres.centroids.shape != (len(manifest.genres), FEATURE_COUNT):
        raise ValueError("centroids and genres do not match")
    if _arrays(bundle).keys() != arrays.keys():
        raise ValueError("unknown arrays")
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("arrays must be finite numbers")
    _check_distances_and_temperatures(manifest)
    return bundle


def _check_distances_and_temperatures(manifest: Manifest) -> None:
    """Raises TypeError or ValueError for numbers that predictions would fail on or be wrong by."""
    _check_ascending(manifest.usual_distances, 2)
    for genre in manifest.genres:
        _check_ascending(genre.distance_quantiles, len(QUANTILE_SHARES))
    for network in manifest.networks.values():
        if not 0 < network.temperature < math.inf:
            raise ValueError("temperatures must be positive and finite")


def _check_ascending(values: tuple[float, ...], count: int) -> None:
    numbers = np.array(values)
    if numbers.shape != (count,) or not np.isfinite(numbers).all() or (np.diff(numbers) < 0).any():
        raise ValueError(f"distances must be {count} finite numbers in ascending order")


def _network(arrays: Arrays, name: str, activations: tuple[str, ...]) -> DenseNetwork:
    *hidden_activations, output_activation = activations
    if set(hidden_activations) - {HIDDEN_ACTIVATION} or output_activation not in OUTPUT_ACTIVATIONS:
        raise ValueError(f"{name} has activations that are not known")
    layers = []
    units, members = FEATURE_COUNT, arrays[f"{name}/0/bias"].shape[:-1]
    if len(members) > 1 or 0 in members:
        raise ValueError(f"{name} must have members side by side")
    for index, activation in enumerate(activations):
        layer = Dense(arrays[f"{name}/{index}/kernel"], arrays[f"{name}/{index}/bias"], activation)
        if layer.bias.shape[:-1] != members or layer.kernel.shape != (*members, units, layer.bias.shape[-1]):
            raise ValueError(f"layer {index} of {name} has wrong shapes")
        units = layer.bias.shape[-1]
        layers.append(layer)
    return DenseNetwork(layers)
