import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from models.predictors import Dense, DenseNetwork
from training import kmeans, manifest, metrics
from training.dataset import Dataset, Split
from training.recipes import PLACES, SIMPLE


def test_majority_is_taken_from_the_training_rows(made: Dataset) -> None:
    north, south = np.flatnonzero(made.north_of_20), np.flatnonzero(~made.north_of_20)
    split = Split(training=np.array([*north[:5], south[0]]), validation=np.array([*south[:3], north[5]]))
    assert manifest.majority_accuracy(made, split) == 0.25


def test_genres_are_summarised(made: Dataset) -> None:
    distances = np.arange(60) / 2
    first = manifest.summarize_genre(made, np.array([True, True, False] * 20), distances)  # Kenya and Japan
    second = manifest.summarize_genre(made, np.array([False, False, True] * 20), distances)  # Italy
    assert (first.size, second.size) == (40, 20)
    assert (first.share_north_of_20, second.share_north_of_20) == (0.5, 1.0)
    assert first.distance_quantiles[0] == 0.0
    assert first.distance_quantiles[50] == np.median([each / 2 for each in range(60) if each % 3 < 2])
    assert first.distance_quantiles[100] == 29.0
    assert (len(first.distance_quantiles), second.distance_quantiles[-1]) == (101, 29.5)
    assert {(place.country, place.share) for place in first.places} == {("Kenya", 0.5), ("Japan", 0.5)}
    assert [(place.country, place.latitude, place.longitude) for place in second.places] == [("Italy", 41.9, 12.48)]


def test_places_are_listed_from_south_to_north(made: Dataset) -> None:
    places = manifest.summarize_places(made)
    assert [place.country for place in places] == ["Kenya", "Japan", "Italy"]
    assert [place.share for place in places] == pytest.approx([1 / 3] * 3)


def test_unknown_place_has_no_country(made: Dataset) -> None:
    elsewhere = Dataset(made.features, made.latitude + 1, made.longitude, made.sha256)
    assert {place.country for place in manifest.summarize_places(elsewhere)} == {None}


def test_every_network_is_measured_by_its_probability_of_north(made: Dataset) -> None:
    split = made.split(0)
    generator = np.random.default_rng(0)
    for recipe, classes in ((SIMPLE, 2), (PLACES, 3)):
        kernel = generator.normal(size=(68, classes)).astype(np.float32)
        network = DenseNetwork([Dense(kernel, np.zeros(classes, np.float32), "softmax")])
        summary = manifest.summarize_network(dataclasses.replace(recipe, epochs=7), network, made, split)
        north = network.predict(made.features)[:, 1:].sum(axis=1)  # Japan and Italy, or the second class
        validation = north[split.validation], made.north_of_20[split.validation]
        assert summary.epochs == 7
        assert summary.activations == ("softmax",)
        assert summary.validation_accuracy == metrics.accuracy(*validation)
        assert summary.validation_log_loss == pytest.approx(metrics.log_loss(*validation), rel=1e-5)
        training = north[split.training], made.north_of_20[split.training]
        assert summary.training_accuracy == metrics.accuracy(*training)


def test_temperature_is_fitted_on_the_validation_rows() -> None:
    """The first feature is the network's log odds; on the validation rows the true ones are half of it."""
    generator = np.random.default_rng(0)
    features = generator.normal(scale=2.0, size=(4000, 68))
    split = Split(training=np.arange(2000), validation=np.arange(2000, 4000))
    log_odds = features[:, 0] / np.where(np.arange(4000) < 2000, 1.0, 2.0)
    latitude = np.where(generator.uniform(size=4000) < expit(log_odds), 50.0, -50.0)
    kernel = np.zeros((68, 2), np.float32)
    kernel[0, 1] = 1.0
    network = DenseNetwork([Dense(kernel, np.zeros(2, np.float32), "softmax")])
    summary = manifest.summarize_network(SIMPLE, network, Dataset(features, latitude, np.zeros(4000), ""), split)
    assert summary.temperature == pytest.approx(2.0, rel=0.1)


def test_usual_distances_leave_out_one_piece_in_a_thousand(dataset: Dataset) -> None:
    clustering = kmeans.fit(dataset.features, 10, seed=0)
    described = manifest.describe(dataset, dataset.split(0), 0, clustering, {})
    distances = np.linalg.norm(dataset.features - clustering.centroids[clustering.labels], axis=1)
    assert described.usual_distances == pytest.approx(np.quantile(distances, [0.0005, 0.9995]))
    for genre, summary in enumerate(described.genres):
        own = distances[clustering.labels == genre]
        assert summary.distance_quantiles[::50] == pytest.approx(np.quantile(own, [0, 0.5, 1]))
