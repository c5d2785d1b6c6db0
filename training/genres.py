"""How far the genres can be trusted."""

from dataclasses import dataclass

import numpy as np
from rich.progress import track
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from models.predictors import NearestCentroid
from training import kmeans
from training.dataset import Dataset
from training.kmeans import Clustering
from training.metrics import Distribution, distribution

REPEATS = 20


@dataclass(frozen=True)
class ClusteringQuality:
    """How alike the genres come out again, as adjusted Rand indices (1: the same, 0: by chance), and how far apart.

    Over seeds: every pair of fits to the same pieces. Over bootstraps: the fitted genres of all pieces against those by
    the centroids of pieces drawn with replacement. `silhouette` is the mean one (-1 to 1) of all pieces, and
    `genre_silhouettes` are those of each genre's.
    """

    stability_over_seeds: Distribution
    stability_over_bootstraps: Distribution
    silhouette: float
    genre_silhouettes: tuple[float, ...]


def examine(dataset: Dataset, clustering: Clustering, seed: int) -> ClusteringQuality:
    """Measures a fitted clustering against others, and how well it keeps its genres apart."""
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
        tuple(float(silhouettes[clustering.labels == genre].mean()) for genre in range(genres)),
    )
