"""K-means: Lloyd's algorithm from k-means++ starts; all restarts advance together, and the best is kept.

Rows are taken in blocks, and each pass over a block serves every restart with one matrix product. What is held beside
the rows is a block of scores and, for each restart, a few numbers a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from models.predictors import squared_distances

# A block of rows, and of their scores for all centroids, stays in a processor's cache.
BLOCK_ROWS = 2**12
BLOCK_SCORES = 2**18

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
    distinct = _count_distinct(rows, enough=clusters)
    if not 1 <= clusters <= distinct:
        raise ValueError(f"{clusters} clusters need at least {clusters} distinct rows, and there are {distinct}")
    starts = plus_plus(rows, clusters, np.random.default_rng(seed).spawn(restarts))
    return by_size(min(lloyd(rows, starts, max_iterations), key=lambda run: run.cost))


def lloyd(rows: Matrix, starts: Matrix, max_iterations: int = 300) -> list[Clustering]:
    """Moves each restart's centroids (r, k, d) to the means of their rows (n, d) until no row changes its cluster.

    An iteration is a move and the assignment after it. A cluster without rows moves to the row that is farthest from
    every other centroid, so that no run converges with an empty cluster.
    """
    restarts = len(starts)
    runs: list[Clustering | None] = [None] * restarts
    active = np.arange(restarts)
    centroids = starts
    costs = np.empty((0, restarts))
    labels = np.full((len(rows), restarts), -1)
    total = float(np.einsum("nd,nd->", rows, rows))
    sums, sizes, _ = _assign(rows, centroids, labels)
    while active.size:
        centroids = _means(rows, sums, sizes)
        sums, sizes, moved = _assign(rows, centroids, labels)
        costs = np.vstack([costs, _costs(total, centroids, sums, sizes)])
        ended = ~moved | (len(costs) == max_iterations)
        for index in np.flatnonzero(ended):
            run = Clustering(
                centroids[index], labels[:, index].copy(), tuple(costs[:, index].tolist()), not moved[index]
            )
            runs[active[index]] = run
        if ended.any():
            active, costs, labels = active[~ended], costs[:, ~ended], labels[:, ~ended]
            sums, sizes = sums[~ended], sizes[~ended]
    return [run for run in runs if run]


def plus_plus(rows: Matrix, clusters: int, generators: Sequence[np.random.Generator]) -> Matrix:
    """Draws k distinct rows for each of r generators as initial centroids (r, k, d).

    A row is drawn in proportion to its squared distance from those before. Of several such draws the one that lowers
    the cost most is taken, as Arthur and Vassilvitskii suggest at the end of "k-means++: The Advantages of Careful
    Seeding" (2007).
    """
    restarts, draws = len(generators), 2 + int(np.log(clusters))
    chosen = np.array([[generator.integers(len(rows))] for generator in generators])
    nearest = np.full((restarts, len(rows)), np.inf)
    while True:
        for block in _blocks(rows, restarts):
            distances = squared_distances(rows[chosen[:, -1]], rows[block])
            np.minimum(nearest[:, block], distances, out=nearest[:, block])
        if chosen.shape[1] == clusters:
            starts: Matrix = rows[chosen]
            return starts
        np.put_along_axis(nearest, chosen, 0.0, axis=1)
        if not nearest.any(axis=1).all():
            raise ValueError(f"{clusters} clusters need rows that differ more")
        candidates = np.array(
            [_draw(weights, draws, generator) for weights, generator in zip(nearest, generators, strict=True)]
        )
        remaining = np.zeros((restarts, draws))
        for block in _blocks(rows, restarts * draws):
            distances = squared_distances(rows[candidates.ravel()], rows[block]).reshape(restarts, draws, -1)
            remaining += np.minimum(distances, nearest[:, None, block]).sum(axis=2)
        best = remaining.argmin(axis=1)[:, None]
        chosen = np.hstack([chosen, np.take_along_axis(candidates, best, axis=1)])


def by_size(clustering: Clustering) -> Clustering:
    """The same clustering with its clusters renumbered by size, largest first."""
    order = np.argsort(-clustering.sizes, kind="stable")
    ranks = np.argsort(order)
    return Clustering(clustering.centroids[order], ranks[clustering.labels], clustering.costs, clustering.converged)


def _count_distinct(rows: Matrix, enough: int) -> int:
    """How many distinct rows there are, counted no further than `enough`."""
    seen: set[bytes] = set()
    for row in rows:
        seen.add((row + 0.0).tobytes())  # the sum makes the zero below zero one with the other
        if len(seen) >= enough:
            break
    return len(seen)


def _blocks(rows: Matrix, width: int) -> Iterator[slice]:
    """Divides the rows into blocks of at most BLOCK_ROWS, and BLOCK_SCORES numbers at `width` a row."""
    size = max(min(BLOCK_ROWS, BLOCK_SCORES // width), 1)
    return (slice(start, start + size) for start in range(0, len(rows), size))


def _draw(weights: Matrix, draws: int, generator: np.random.Generator) -> NDArray[np.intp]:
    cumulated = weights.cumsum()
    drawn: NDArray[np.intp] = cumulated.searchsorted(generator.random(draws) * cumulated[-1], side="right")
    return drawn


def _assign(
    rows: Matrix, centroids: Matrix, labels: NDArray[np.intp]
) -> tuple[Matrix, NDArray[np.intp], NDArray[np.bool_]]:
    """Writes the nearest of each restart's centroids (r, k, d) into labels (n, r), in one pass over the rows.

    Gives the sum (r, k, d) and number (r, k) of each cluster's rows, and whether any label of a restart (r,) changed.
    """
    restarts, clusters, columns = centroids.shape
    flat = centroids.reshape(-1, columns)
    projection, squares = -2.0 * flat.T, np.einsum("kd,kd->k", flat, flat)
    first_clusters = clusters * np.arange(restarts)
    sums, sizes = np.zeros_like(flat), np.zeros(len(flat), np.intp)
    moved = np.zeros(restarts, np.bool_)
    scores, membership = np.empty((0, len(flat))), csc_array((len(flat), 0))
    for block in _blocks(rows, len(flat)):
        size = len(rows[block])
        if len(scores) != size:  # made for the first block, and again for a shorter last one
            scores, membership = np.empty((size, len(flat))), _membership(size, restarts, len(flat))
        np.matmul(rows[block], projection, out=scores)
        scores += squares  # now the squared distances, less the rows' own squares
        nearest = scores.reshape(-1, clusters).argmin(axis=1).reshape(-1, restarts)
        moved |= (labels[block] != nearest).any(axis=0)
        labels[block] = nearest
        membership.indices[:] = (nearest + first_clusters).ravel()
        sums += membership @ rows[block]
        sizes += np.bincount(membership.indices, minlength=len(flat))
    return sums.reshape(centroids.shape), sizes.reshape(restarts, clusters), moved


def _membership(rows: int, restarts: int, clusters: int) -> csc_array:
    """A sparse matrix (clusters, rows) with a one for each restart in every column; which clusters, its indices say."""
    entries = rows * restarts
    return csc_array(
        (np.ones(entries), np.zeros(entries, np.int32), np.arange(0, entries + 1, restarts, dtype=np.int32)),
        shape=(clusters, rows),
    )


def _costs(total: float, centroids: Matrix, sums: Matrix, sizes: NDArray[np.intp]) -> Matrix:
    """The cost (r,) of centroids (r, k, d), from the sum of all squares, and each cluster's sum and number of rows."""
    within = np.einsum("rk,rkd,rkd->r", sizes, centroids, centroids) - 2.0 * np.einsum("rkd,rkd->r", centroids, sums)
    costs: Matrix = np.maximum(total + within, 0.0) / sizes[0].sum()
    return costs


def _means(rows: Matrix, sums: Matrix, sizes: NDArray[np.intp]) -> Matrix:
    """The mean (r, k, d) of each cluster's rows; for a cluster without rows, the row farthest from the other means."""
    means = sums / np.maximum(sizes, 1)[:, :, None]
    for restart, empty in np.argwhere(sizes == 0):
        placed = sizes[restart] > 0
        placed[:empty] = True
        means[restart, empty] = rows[_farthest(rows, means[restart, placed])]
    return means


def _farthest(rows: Matrix, centroids: Matrix) -> int:
    """The index of the row that is farthest from all of the centroids (k, d)."""
    blocks = _blocks(rows, len(centroids))
    return int(np.concatenate([squared_distances(rows[block], centroids).min(axis=1) for block in blocks]).argmax())
