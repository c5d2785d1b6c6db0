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
    assert first.distinctive_features == manifest.distinctive_features(
        made.features, np.array([True, True, False] * 20)
    )


def test_genre_has_all_its_places_commonest_first(dataset: Dataset) -> None:
    members = np.arange(len(dataset)) % 2 == 0
    places = manifest.summarize_genre(dataset, members, np.zeros(len(dataset))).places
    assert len(places) == len(set(dataset.place[members].tolist())) > 30
    assert sum(place.share for place in places) == pytest.approx(1)
    assert [place.share for place in places] == sorted((place.share for place in places), reverse=True)


def test_distinctive_features_are_those_farthest_from_the_mean(made: Dataset) -> None:
    features = made.features.copy()
    members = np.arange(60) % 3 == 1
    features[members, 40] += 50
    features[members, 7] -= 20
    features[:, 0] = 3
    first, second, *others = manifest.distinctive_features(features, members)
    assert first.feature == 41
    assert first.z_score == pytest.approx(np.sqrt(2), abs=0.05)  # a third of the rows, far from the rest
    assert second.feature == 8
    assert second.z_score < -1
    assert len(others) == 8


def test_feature_that_is_the_same_everywhere_sets_nothing_apart() -> None:
    everywhere = manifest.distinctive_features(np.ones((6, 68)), np.arange(6) < 3)
    assert {each.z_score for each in everywhere} == {0.0}


def test_accuracies_are_the_means_of_the_evaluation(made: Dataset) -> None:
    clustering = kmeans.fit(made.features, 3, seed=0)
    described = manifest.describe(made, made.split(0), 0, clustering, {})
    assert described.accuracy_known_places == described.accuracy_unseen_places == {}
    names = ("simple", "hidden", "places", "majority")
    north = {
        protocol: {
            model: {"accuracy": metrics.Estimate(first + number / 16, 9.0, 9.0, 9.0)}
            for number, model in enumerate((*names, "7 nearest neighbours"))
        }
        for protocol, first in (("random splits", 0.5), ("ten folds", 0.125), ("held-out places", 0.25))
    }
    evaluated = manifest.with_accuracies(described, north)
    assert evaluated.accuracy_known_places == dict(zip(names, (0.5, 0.5625, 0.625, 0.6875), strict=True))
    assert evaluated.accuracy_unseen_places == dict(zip(names, (0.25, 0.3125, 0.375, 0.4375), strict=True))
    empty: dict[str, float] = {}
    assert dataclasses.replace(evaluated, accuracy_known_places=empty, accuracy_unseen_places=empty) == described


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
