import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from models.predictors import squared_distances
from training import kmeans
from training.dataset import Dataset

Matrix = NDArray[np.float64]


@pytest.fixture(scope="module")
def rows() -> Matrix:
    return np.random.default_rng(4).normal(size=(300, 5))


@pytest.mark.parametrize("seed", range(20))
def test_same_start_gives_the_centroids_of_scikit_learn(dataset: Dataset, seed: int) -> None:
    start = dataset.features[np.random.default_rng(seed).choice(len(dataset), 10, replace=False)]
    (ours,) = kmeans.lloyd(dataset.features, start[None])
    theirs = KMeans(10, init=start, n_init=1, tol=0, max_iter=300).fit(dataset.features)
    np.testing.assert_allclose(ours.centroids, theirs.cluster_centers_, atol=1e-6)
    assert ours.cost == pytest.approx(theirs.inertia_ / len(dataset))
    assert ours.converged


def test_ten_restarts_cost_no_more_than_those_of_scikit_learn(dataset: Dataset) -> None:
    ours = [kmeans.fit(dataset.features, 10, seed=seed).cost for seed in range(20)]
    theirs = [
        KMeans(10, n_init=10, random_state=seed).fit(dataset.features).inertia_ / len(dataset) for seed in range(20)
    ]
    assert np.mean(ours) <= 1.001 * np.mean(theirs)


def test_one_cluster_costs_the_total_variance(dataset: Dataset) -> None:
    assert kmeans.fit(dataset.features, 1, seed=0).cost == pytest.approx(67.568, abs=5e-4)


def test_cost_never_rises_and_belongs_to_the_labels(rows: Matrix) -> None:
    clustering = kmeans.fit(rows, 7, seed=0)
    assert len(clustering.costs) > 2
    assert (np.diff(clustering.costs) <= 1e-12).all()
    residuals = rows - clustering.centroids[clustering.labels]
    assert clustering.cost == pytest.approx((residuals**2).sum() / len(rows))


def test_converged_centroids_are_the_means_of_their_rows(rows: Matrix) -> None:
    clustering = kmeans.fit(rows, 7, seed=1)
    assert clustering.converged
    for cluster, centroid in enumerate(clustering.centroids):
        np.testing.assert_allclose(centroid, rows[clustering.labels == cluster].mean(axis=0))


def test_clusters_are_numbered_by_size(rows: Matrix) -> None:
    clustering = kmeans.fit(rows, 7, seed=2)
    assert clustering.sizes.sum() == len(rows)
    assert (np.diff(clustering.sizes) <= 0).all()
    np.testing.assert_array_equal(clustering.labels, squared_distances(rows, clustering.centroids).argmin(axis=1))


def test_more_restarts_never_cost_more(rows: Matrix) -> None:
    costs = [kmeans.fit(rows, 7, seed=3, restarts=restarts).cost for restarts in (1, 5, 10)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


def test_same_seed_gives_the_same_clustering(rows: Matrix) -> None:
    first, second, other = (kmeans.fit(rows, 7, seed=seed, restarts=1) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.centroids, second.centroids)
    assert not np.array_equal(first.centroids, other.centroids)


def test_iterations_are_limited(rows: Matrix) -> None:
    (clustering,) = kmeans.lloyd(rows, rows[None, :7], max_iterations=2)
    assert len(clustering.costs) == 2
    assert not clustering.converged


@pytest.mark.parametrize("max_iterations", [1, 300])
def test_empty_clusters_are_seeded_again_at_different_rows(rows: Matrix, max_iterations: int) -> None:
    shifted = rows + 100
    coinciding = shifted[[0, 0, 0, 1]]
    far_away = np.vstack([shifted[:2], np.full((2, rows.shape[1]), -1e3)])
    for clustering in kmeans.lloyd(shifted, np.array([coinciding, far_away]), max_iterations):
        assert (clustering.sizes > 0).all()


def test_empty_cluster_is_not_seeded_where_another_one_moves() -> None:
    rows = np.array([[0.0], [1.0], [10.0]])
    (clustering,) = kmeans.lloyd(rows, np.array([[[0.4], [19.0], [1000.0]]]))
    assert clustering.sizes.tolist() == [1, 1, 1]
    assert clustering.cost == 0.0


def test_repeated_rows_leave_no_cluster_empty() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        rows = generator.integers(0, 4, size=(12, 1)).astype(float)
        starts = generator.uniform(-5, 9, size=(3, len(np.unique(rows)), 1))
        assert all((clustering.sizes > 0).all() for clustering in kmeans.lloyd(rows, starts))


def test_as_many_clusters_as_distinct_rows_cost_nothing() -> None:
    rows = np.repeat(np.arange(12.0).reshape(4, 3), 5, axis=0)
    clustering = kmeans.fit(rows, 4, seed=0)
    assert clustering.cost == pytest.approx(0.0, abs=1e-12)
    assert clustering.sizes.tolist() == [5, 5, 5, 5]


def test_too_few_distinct_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 clusters need at least 3 distinct rows, and there are 2"):
        kmeans.fit(np.repeat(np.eye(2), 50, axis=0), 3, seed=0)


def test_starts_are_distinct_rows(rows: Matrix) -> None:
    starts = kmeans.plus_plus(rows, 50, np.random.default_rng(0).spawn(3))
    assert starts.shape == (3, 50, 5)
    for start in starts:
        assert len(np.unique(start, axis=0)) == 50
        assert all((rows == centroid).all(axis=1).any() for centroid in start)
    assert not np.array_equal(starts[0], starts[1])


def test_starts_are_spread_over_far_groups() -> None:
    generator = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    rows = np.repeat(centers, [5, 500, 500], axis=0) + generator.normal(size=(1005, 2))
    for start in kmeans.plus_plus(rows, 3, np.random.default_rng(0).spawn(20)):
        assert sorted(squared_distances(start, centers).argmin(axis=1)) == [0, 1, 2]


def test_restarts_together_give_what_each_gives_alone(dataset: Dataset) -> None:
    starts = kmeans.plus_plus(dataset.features, 10, np.random.default_rng(1).spawn(6))
    together = kmeans.lloyd(dataset.features, starts)
    assert len({len(run.costs) for run in together}) > 1  # they end at different iterations
    for start, run in zip(starts, together, strict=True):
        (alone,) = kmeans.lloyd(dataset.features, start[None])
        np.testing.assert_array_equal(run.labels, alone.labels)
        np.testing.assert_allclose(run.centroids, alone.centroids, atol=1e-12)
        np.testing.assert_allclose(run.costs, alone.costs, rtol=1e-12)


def test_blocks_of_rows_do_not_show(rows: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = kmeans.fit(rows, 7, seed=0)
    monkeypatch.setattr(kmeans, "BLOCK_ROWS", 37)
    in_blocks = kmeans.fit(rows, 7, seed=0)
    np.testing.assert_array_equal(in_blocks.labels, whole.labels)
    np.testing.assert_allclose(in_blocks.centroids, whole.centroids, atol=1e-12)
    np.testing.assert_allclose(in_blocks.costs, whole.costs, rtol=1e-12)


def test_memory_beside_the_rows_is_a_block_and_a_few_numbers_a_row() -> None:
    rows = np.random.default_rng(0).normal(size=(200_000, 68))
    tracemalloc.start()
    kmeans.lloyd(rows, rows[None, :100], max_iterations=2)
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 16 * len(rows) + 8 * 2**20 < rows.nbytes / 9
    tracemalloc.reset_peak()
    kmeans.fit(rows, 10, seed=0, max_iterations=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 24 * len(rows) + 8 * 2**20 < rows.nbytes / 1.9
