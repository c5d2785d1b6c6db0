"""K-means: Lloyd's algorithm from k-means++ starts, the best of several restarts kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.predictors import squared_distances

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clustering:
    """A fitted clustering: centroids (k, d), the label of each row (n,), and the cost after every iteration.

    The cost is the mean squared distance of the rows to their centroids (inertia / n).
    """

    centroids: Matrix
    labels: NDArray[np.intp]
    costs: tuple[float, ...]
    converged: bool

    @property
    def cost(self) -> float:
        """The cost of the final centroids."""
        return self.costs[-1]

    @property
    def sizes(self) -> NDArray[np.intp]:
        """How many rows (k,) each cluster has."""
        return np.bincount(self.labels, minlength=len(self.centroids))


def fit(rows: Matrix, clusters: int, *, seed: int, restarts: int = 10, max_iterations: int = 300) -> Clustering:
    """Clusters rows (n, d), numbering the clusters by size, largest first.

    Raises ValueError unless there are at least as many distinct rows as clusters.
    """
    distinct = len(np.unique(rows, axis=0))
    if not 1 <= clusters <= distinct:
        raise ValueError(f"{clusters} clusters need at least {clusters} distinct rows, and there are {distinct}")
    generators = np.random.default_rng(seed).spawn(restarts)
    runs = (lloyd(rows, plus_plus(rows, clusters, generator), max_iterations) for generator in generators)
    return by_size(min(runs, key=lambda run: run.cost))


def lloyd(rows: Matrix, centroids: Matrix, max_iterations: int = 300) -> Clustering:
    """Moves centroids (k, d) to the means of their rows (n, d) until no row changes its cluster.

    An iteration is a move and the assignment after it. A cluster without rows moves to the row that is farthest from
    every other centroid, so that no run converges with an empty cluster.
    """
    labels, nearest = _assign(rows, centroids)
    costs: list[float] = []
    converged = False
    while not converged and len(costs) < max_iterations:
        centroids = _means(rows, labels, len(centroids))
        previous_labels = labels
        labels, nearest = _assign(rows, centroids)
        costs.append(float(nearest.mean()))
        converged = np.array_equal(labels, previous_labels)
    return Clustering(centroids, labels, tuple(costs), converged)


def plus_plus(rows: Matrix, clusters: int, generator: np.random.Generator) -> Matrix:
    """Draws k distinct rows as initial centroids (k, d), in proportion to their squared distances from those before.

    Of several such draws the one that lowers the cost most is taken, as Arthur and Vassilvitskii suggest at the end of
    "k-means++: The Advantages of Careful Seeding" (2007).
    """
    draws = 2 + int(np.log(clusters))
    chosen = [int(generator.integers(len(rows)))]
    nearest = squared_distances(rows, rows[chosen])[:, 0]
    while len(chosen) < clusters:
        nearest[chosen] = 0.0
        if not nearest.any():
            raise ValueError(f"{clusters} clusters need rows that differ more")
        candidates = generator.choice(len(rows), size=draws, p=nearest / nearest.sum())
        remaining = np.minimum(nearest[:, None], squared_distances(rows, rows[candidates]))
        best = int(remaining.sum(axis=0).argmin())
        chosen.append(int(candidates[best]))
        nearest = remaining[:, best]
    return rows[chosen]


def by_size(clustering: Clustering) -> Clustering:
    """The same clustering with its clusters renumbered by size, largest first."""
    order = np.argsort(-clustering.sizes, kind="stable")
    ranks = np.argsort(order)
    return Clustering(clustering.centroids[order], ranks[clustering.labels], clustering.costs, clustering.converged)


def _assign(rows: Matrix, centroids: Matrix) -> tuple[NDArray[np.intp], Matrix]:
    """The nearest centroid of each row (n,) and the squared distance to it (n,)."""
    distances = squared_distances(rows, centroids)
    return distances.argmin(axis=1), distances.min(axis=1)


def _means(rows: Matrix, labels: NDArray[np.intp], clusters: int) -> Matrix:
    """The mean (k, d) of each cluster's rows; for a cluster without rows, the row farthest from the other means."""
    members = (labels[:, None] == np.arange(clusters)).astype(np.float64)
    sizes = members.sum(axis=0)
    means: Matrix = (members.T @ rows) / np.maximum(sizes, 1.0)[:, None]
    placed = list(np.flatnonzero(sizes))
    for empty in np.flatnonzero(sizes == 0):
        _, nearest = _assign(rows, means[placed])
        means[empty] = rows[nearest.argmax()]
        placed.append(empty)
    return means
