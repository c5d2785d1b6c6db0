"""How far the genres can be trusted, and what sets each apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from models.predictors import NearestCentroid
from training import kmeans
from training.dataset import Dataset
from training.kmeans import Clustering
from training.metrics import Distribution, distribution

REPEATS = 20
DISTINCTIVE_FEATURES = 10
SMALLEST_SPREAD = 1e-12  # a feature that is the same everywhere sets nothing apart


@dataclass(frozen=True)
class DistinctiveFeature:
    """A feature (numbered from 1), and how far a genre's mean of it lies from all pieces', in standard deviations."""

    feature: int
    z_score: float


@dataclass(frozen=True)
class GenreQuality:
    """How well a genre's pieces are kept apart (mean silhouette, -1 to 1), and its most distinctive features."""

    silhouette: float
    distinctive_features: tuple[DistinctiveFeature, ...]


@dataclass(frozen=True)
class ClusteringQuality:
    """How alike the genres come out again, as adjusted Rand indices (1: the same, 0: by chance), and each genre.

    Over seeds: every pair of fits to the same pieces. Over bootstraps: the fitted genres of all pieces against those by
    the centroids of pieces drawn with replacement.
    """

    stability_over_seeds: Distribution
    stability_over_bootstraps: Distribution
    silhouette: float
    genres: tuple[GenreQuality, ...]


def examine(dataset: Dataset, clustering: Clustering, seed: int) -> ClusteringQuality:
    """Measures a fitted clustering against others and describes its genres."""
    rows, genres = dataset.features, len(clustering.centroids)
    generators = np.random.default_rng(seed).spawn(REPEATS)
    others, bootstraps = [], []
    for generator in track(generators, description="genres over seeds and bootstraps"):
        others.append(kmeans.fit(rows, genres, seed=int(generator.integers(2**32))).labels)
        drawn = rows[generator.integers(len(rows), size=len(rows))]
        centroids = kmeans.fit(drawn, genres, seed=int(generator.integers(2**32))).centroids
        bootstraps.append(NearestCentroid(centroids).predict(rows))
    over_seeds = [adjusted_rand_score(first, second) for index, first in enumerate(others) for second in others[:index]]
    over_bootstraps = [adjusted_rand_score(clustering.labels, labels) for labels in bootstraps]
    silhouettes = silhouette_samples(rows, clustering.labels) if genres > 1 else np.zeros(len(rows))
    return ClusteringQuality(
        distribution(over_seeds),
        distribution(over_bootstraps),
        float(silhouettes.mean()),
        tuple(_examine_genre(rows, clustering.labels == genre, silhouettes) for genre in range(genres)),
    )


def _examine_genre(
    rows: NDArray[np.float64], members: NDArray[np.bool_], silhouettes: NDArray[np.float64]
) -> GenreQuality:
    z_scores = (rows[members].mean(axis=0) - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), SMALLEST_SPREAD)
    most = np.argsort(-np.abs(z_scores), kind="stable")[:DISTINCTIVE_FEATURES]
    features = tuple(DistinctiveFeature(int(column) + 1, float(z_scores[column])) for column in most)
    return GenreQuality(float(silhouettes[members].mean()), features)
