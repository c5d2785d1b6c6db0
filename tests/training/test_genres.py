import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples, silhouette_score

from training import genres, kmeans
from training.dataset import Dataset


def test_clear_clusters_are_stable_and_apart(made: Dataset) -> None:
    clustering = kmeans.fit(made.features, 3, seed=0)
    quality = genres.examine(made, clustering, seed=0)
    assert quality.stability_over_seeds.least == pytest.approx(1.0)
    assert quality.stability_over_bootstraps.mean > 0.95
    assert quality.silhouette == pytest.approx(silhouette_score(made.features, clustering.labels))
    of_each = silhouette_samples(made.features, clustering.labels)
    assert quality.genre_silhouettes == pytest.approx(
        [of_each[clustering.labels == genre].mean() for genre in range(3)], rel=1e-9
    )


def test_clusters_of_noise_are_not_stable() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 68))
    noise = Dataset(rows, np.zeros(200), np.zeros(200), "")
    quality = genres.examine(noise, kmeans.fit(rows, 5, seed=0), seed=0)
    assert quality.stability_over_seeds.mean < 0.5
    assert quality.stability_over_bootstraps.mean < 0.5


def test_bootstraps_are_drawn_with_replacement_and_held_against_the_fitted_genres(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genres, "REPEATS", 3)
    clustering = kmeans.fit(dataset.features, 10, seed=0)
    fitted = []
    original = kmeans.fit

    def recorded(rows: NDArray[np.float64], clusters: int, *, seed: int) -> kmeans.Clustering:
        fitted.append(len(np.unique(rows, axis=0)))
        return original(rows, clusters, seed=seed)

    monkeypatch.setattr(kmeans, "fit", recorded)
    quality = genres.examine(dataset, clustering, seed=0)
    assert fitted[::2] == [1059] * 3
    assert all(600 < distinct < 740 for distinct in fitted[1::2])
    shuffled = dataclasses.replace(clustering, labels=np.random.default_rng(0).permutation(clustering.labels))
    against_chance = genres.examine(dataset, shuffled, seed=0)
    assert quality.stability_over_bootstraps.mean > 0.3
    assert abs(against_chance.stability_over_bootstraps.mean) < 0.05
    assert against_chance.stability_over_seeds == quality.stability_over_seeds


def test_one_genre_has_no_silhouette_to_speak_of(made: Dataset) -> None:
    quality = genres.examine(made, kmeans.fit(made.features, 1, seed=0), seed=0)
    assert quality.silhouette == 0.0
