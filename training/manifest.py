"""What a bundle says of itself: where it comes from, its genres and places, how its networks do on its own split."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from models.bundle import (
    EVALUATED,
    QUANTILE_SHARES,
    DistinctiveFeature,
    GenreSummary,
    Manifest,
    NetworkSummary,
    Place,
    probability_of_north,
)
from models.features import Floats
from models.predictors import DenseNetwork, NearestCentroid
from training import metrics
from training.calibration import fit_temperature
from training.dataset import Dataset, Split
from training.kmeans import Clustering
from training.metrics import Estimate
from training.places import COUNTRIES
from training.recipes import Recipe

LIBRARIES = ("numpy", "keras", "tensorflow")
DISTINCTIVE_FEATURES = 10
SMALLEST_SPREAD = 1e-12  # a feature that is the same everywhere sets nothing apart
USUAL_SHARES = (0.0005, 0.9995)  # all but one piece in a thousand lie between


def describe(
    dataset: Dataset, split: Split, seed: int, clustering: Clustering, networks: dict[Recipe, DenseNetwork]
) -> Manifest:
    """The manifest of models that were fitted with this split and seed, and not evaluated yet."""
    distances = NearestCentroid(clustering.centroids).distances(dataset.features).min(axis=1)
    lowest, highest = _quantiles(distances, USUAL_SHARES)
    return Manifest(
        data_sha256=dataset.sha256,
        rows=len(dataset),
        rows_north_of_20=int(dataset.north_of_20.sum()),
        training_rows=len(split.training),
        validation_rows=len(split.validation),
        seed=seed,
        libraries={"python": platform.python_version()} | {library: version(library) for library in LIBRARIES},
        kmeans_cost=clustering.cost,
        kmeans_iterations=len(clustering.costs),
        majority_accuracy=majority_accuracy(dataset, split),
        places=summarize_places(dataset),
        genres=tuple(
            summarize_genre(dataset, clustering.labels == genre, distances) for genre in range(len(clustering.sizes))
        ),
        usual_distances=(lowest, highest),
        networks={
            recipe.name: summarize_network(recipe, network, dataset, split) for recipe, network in networks.items()
        },
        accuracy_known_places={},
        accuracy_unseen_places={},
    )


def with_accuracies(manifest: Manifest, north: Mapping[str, Mapping[str, Mapping[str, Estimate]]]) -> Manifest:
    """The manifest with what the evaluation found in telling the side of 20° N: protocol → model → metric."""
    known, unseen = (
        {model: north[protocol][model]["accuracy"].mean for model in EVALUATED}
        for protocol in ("random splits", "held-out places")
    )
    return replace(manifest, accuracy_known_places=known, accuracy_unseen_places=unseen)


def majority_accuracy(dataset: Dataset, split: Split) -> float:
    """The validation accuracy of always answering the side that is commoner among the training rows."""
    commoner = dataset.north_of_20[split.training].mean() > 0.5
    return float(np.mean(dataset.north_of_20[split.validation] == commoner))


def summarize_network(recipe: Recipe, network: DenseNetwork, dataset: Dataset, split: Split) -> NetworkSummary:
    """The network's accuracy and log loss in telling north of 20° N on both sides of the split.

    Its temperature is fitted on the validation rows: on those that trained it, the network is too sure of itself.
    """
    probabilities = probability_of_north(recipe.name, network.predict(dataset.features), dataset.places)
    training, validation = (
        (probabilities[rows], dataset.north_of_20[rows]) for rows in (split.training, split.validation)
    )
    return NetworkSummary(
        activations=tuple(layer.activation for layer in network.layers),
        epochs=recipe.epochs,
        training_accuracy=metrics.accuracy(*training),
        training_log_loss=metrics.log_loss(*training),
        validation_accuracy=metrics.accuracy(*validation),
        validation_log_loss=metrics.log_loss(*validation),
        temperature=fit_temperature(*validation),
    )


def summarize_places(dataset: Dataset) -> tuple[Place, ...]:
    """Every place of the data, from south to north, with its share of the pieces."""
    return tuple(_place(dataset, place, count / len(dataset)) for place, count in enumerate(np.bincount(dataset.place)))


def summarize_genre(dataset: Dataset, members: NDArray[np.bool_], distances: Floats) -> GenreSummary:
    """A genre's size, its share north of 20° N, its places of origin, what sets it apart, and how far its pieces lie.

    `members` (n,) says which pieces are its own, and `distances` (n,) how far each lies from its genre's centroid.
    """
    size = int(members.sum())
    commonest = Counter(dataset.place[members].tolist()).most_common()
    return GenreSummary(
        size,
        share_north_of_20=float(dataset.north_of_20[members].mean()),
        places=tuple(_place(dataset, place, count / size) for place, count in commonest),
        distinctive_features=distinctive_features(dataset.features, members),
        distance_quantiles=_quantiles(distances[members], QUANTILE_SHARES),
    )


def distinctive_features(rows: Floats, members: NDArray[np.bool_]) -> tuple[DistinctiveFeature, ...]:
    """The ten features in which the mean of the members (n,) lies farthest from that of all rows (n, 68)."""
    z_scores = (rows[members].mean(axis=0) - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), SMALLEST_SPREAD)
    most = np.argsort(-np.abs(z_scores), kind="stable")[:DISTINCTIVE_FEATURES]
    return tuple(DistinctiveFeature(int(column) + 1, float(z_scores[column])) for column in most)


def _quantiles(distances: Floats, shares: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.quantile(distances, shares).tolist())


def _place(dataset: Dataset, place: int, share: float) -> Place:
    latitude, longitude = float(dataset.places.latitude[place]), float(dataset.places.longitude[place])
    return Place(COUNTRIES.get((latitude, longitude)), latitude, longitude, float(share))
