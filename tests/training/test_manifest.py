import dataclasses

import numpy as np
import pytest

from models.predictors import Dense, DenseNetwork
from training import manifest, metrics
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
