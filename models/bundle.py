"""The model bundle: all that the service needs. What it is made of, what it predicts, and its fingerprint."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features import Floats
from models.origin import Places
from models.predictors import DenseNetwork, NearestCentroid, calibrate

FORMAT_VERSION = 4
NETWORKS = ("simple", "hidden", "places")
EVALUATED = (*NETWORKS, "majority")  # whose accuracies on unseen pieces a manifest has
CLASS_COUNT = 2  # not north of 20° N, north of 20° N; the places network has a class for each place
QUANTILE_SHARES = np.linspace(0, 1, 101)  # of the pieces of a genre that lie nearer to its centroid


@dataclass(frozen=True)
class Place:
    """A place of origin: degrees north, degrees east, and its share of the pieces in question (0 to 1)."""

    country: str | None
    latitude: float
    longitude: float
    share: float


@dataclass(frozen=True)
class DistinctiveFeature:
    """A feature (numbered from 1), and how far a genre's mean of it lies from all pieces', in standard deviations."""

    feature: int
    z_score: float


@dataclass(frozen=True)
class GenreSummary:
    """Where the training pieces of one genre come from, what sets them apart, and how far they lie from its centroid.

    `places` are all that its pieces come from, by share, largest first; `distinctive_features` are those in which it
    lies farthest from all pieces, farthest first; `distance_quantiles` are those of the pieces' Euclidean distances to
    the centroid, at QUANTILE_SHARES.
    """

    size: int
    share_north_of_20: float
    places: tuple[Place, ...]
    distinctive_features: tuple[DistinctiveFeature, ...]
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

    `accuracy_known_places` and `accuracy_unseen_places` have, by the names in EVALUATED, mean accuracies (0 to 1) in
    telling the side of 20° N of pieces left out of training, over many splits for each of which the network was fitted
    anew: other pieces of the same places, and pieces of places that were wholly left out. `majority` always answers the
    side that is commoner in training. Both are empty where nothing was evaluated.
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
    accuracy_known_places: Mapping[str, float]
    accuracy_unseen_places: Mapping[str, float]
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
class OriginPredictions:
    """The likeliest places (n,) of rows, and the points on Earth (n,) that the probabilities of all places stand for.

    `country` is empty where a place has none; `probability` is that of the likeliest place. Latitudes are in degrees
    north, longitudes in degrees east, errors in km.
    """

    country: NDArray[np.str_]
    place_latitude: NDArray[np.float64]
    place_longitude: NDArray[np.float64]
    probability: NDArray[np.float32]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    expected_error_km: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """The trained models and their manifest."""

    genres: NearestCentroid
    networks: Mapping[str, DenseNetwork]
    manifest: Manifest

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array by its name: `centroids`, then `<network>/<layer>/kernel` and `<network>/<layer>/bias`.

        Where a network averages several, these have a leading axis of members.
        """
        arrays: dict[str, NDArray[Any]] = {"centroids": self.genres.centroids}
        for name, network in self.networks.items():
            for index, layer in enumerate(network.layers):
                arrays[f"{name}/{index}/kernel"] = layer.kernel
                arrays[f"{name}/{index}/bias"] = layer.bias
        return arrays

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over every array's name, type, shape and bytes and over the manifest."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(canonical_json(dataclasses.asdict(self.manifest)))
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
        return self.north_in(network, self.networks[network].predict(features), calibrated=calibrated)

    def north_in(self, network: str, probabilities: Floats, *, calibrated: bool = True) -> NDArray[np.float64]:
        """The same (n,), from the class probabilities (n, classes) that the network gave."""
        raw = probability_of_north(network, probabilities, self.places)
        if not calibrated:
            return raw.astype(np.float64)
        return calibrate(raw, self.manifest.networks[network].temperature)

    def origins_in(self, probabilities: NDArray[np.float32]) -> OriginPredictions:
        """The origins (n,) that the class probabilities (n, p) of the places network stand for."""
        points, likeliest = self.places.origins(probabilities), probabilities.argmax(axis=1)
        return OriginPredictions(
            country=self._countries[likeliest],
            place_latitude=self.places.latitude[likeliest],
            place_longitude=self.places.longitude[likeliest],
            # Rounding can take a mean of probabilities a little above one.
            probability=probabilities.max(axis=1).clip(max=1),
            latitude=points.latitude,
            longitude=points.longitude,
            expected_error_km=points.expected_error_km,
        )

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
    def _countries(self) -> NDArray[np.str_]:
        """The country (p,) of every place."""
        return np.array([place.country or "" for place in self.manifest.places])

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


def canonical_json(value: object) -> bytes:
    """JSON whose bytes are the same whenever the value is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
