import dataclasses

import numpy as np
import pytest

from models.bundle import QUANTILE_SHARES, ModelBundle, probability_of_north
from models.origin import Places
from models.predictors import NearestCentroid, calibrate
from training.dataset import Dataset


@pytest.mark.parametrize("change", ["centroid", "manifest"])
def test_fingerprint_covers_arrays_and_manifest(bundle: ModelBundle, change: str) -> None:
    if change == "centroid":
        centroids = bundle.genres.centroids.copy()
        centroids[3, 5] = np.nextafter(centroids[3, 5], 1.0)
        other = dataclasses.replace(bundle, genres=NearestCentroid(centroids))
    else:
        other = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, seed=1))
    assert other.fingerprint != bundle.fingerprint


def test_probability_of_north_is_that_of_the_second_class_or_of_the_places_there(bundle: ModelBundle) -> None:
    features = np.random.default_rng(4).normal(size=(200, 68))
    for name in ("simple", "hidden"):
        expected = bundle.networks[name].predict(features)[:, 1]
        np.testing.assert_array_equal(bundle.north_of_20(name, features, calibrated=False), expected)
    north = [place.latitude > 20 for place in bundle.manifest.places]
    assert sum(north) == 19
    expected = bundle.networks["places"].predict(features)[:, north].sum(axis=1)
    np.testing.assert_allclose(bundle.north_of_20("places", features, calibrated=False), expected, atol=1e-6)


def test_probability_of_north_is_calibrated_by_the_networks_own_temperature(bundle: ModelBundle) -> None:
    features = np.random.default_rng(5).normal(size=(200, 68))
    for name, summary in bundle.manifest.networks.items():
        raw, calibrated = (bundle.north_of_20(name, features, calibrated=each) for each in (False, True))
        np.testing.assert_array_equal(bundle.north_of_20(name, features), calibrated)
        np.testing.assert_array_equal(calibrated, calibrate(raw, summary.temperature))
        assert not np.allclose(calibrated, raw, atol=0.01)
        np.testing.assert_array_equal(calibrated > 0.5, raw > 0.5)
        assert raw.dtype == calibrated.dtype == np.float64


def test_genres_are_those_of_the_nearest_centroids(bundle: ModelBundle) -> None:
    features = np.random.default_rng(6).normal(size=(300, 68))
    predicted = bundle.predict_genres(features)
    direct = np.linalg.norm(features[:, None] - bundle.genres.centroids, axis=2)
    np.testing.assert_array_equal(predicted.genre, direct.argmin(axis=1))
    np.testing.assert_allclose(predicted.distances, direct)
    np.testing.assert_allclose(predicted.distance, direct.min(axis=1))
    assert len(set(predicted.genre)) > 3
    for row in range(0, 300, 50):
        alone = bundle.predict_genres(features[row : row + 1])
        assert alone.genre.tolist() == [predicted.genre[row]]
        assert alone.typicality == pytest.approx(predicted.typicality[row])


def test_training_pieces_are_typical_as_often_as_their_genre_says(bundle: ModelBundle, dataset: Dataset) -> None:
    predicted = bundle.predict_genres(dataset.features)
    for genre, summary in enumerate(bundle.manifest.genres):
        distance, typicality = (
            predicted.distance[predicted.genre == genre],
            predicted.typicality[predicted.genre == genre],
        )
        farther = (distance[:, None] < distance).mean(axis=1)
        assert typicality == pytest.approx(farther, abs=1.01 / summary.size + 0.01)
    assert predicted.unusual.sum() == 2
    assert predicted.unusual[[predicted.distance.argmin(), predicted.distance.argmax()]].all()


@pytest.mark.parametrize(
    ("distance", "typicality", "unusual"),
    [(0.0, 1.0, True), (2.0, 1.0, False), (2.25, 0.75, False), (3.0, 0.0, False), (4.0, 0.0, False), (4.1, 0.0, True)],
)
def test_typicality_and_warning_by_hand(bundle: ModelBundle, distance: float, typicality: float, unusual: bool) -> None:
    """The second of two genres has pieces from 2 to 3 from its centroid, the first far others."""
    near = dataclasses.replace(bundle.manifest.genres[0], distance_quantiles=tuple(2 + QUANTILE_SHARES))
    far = dataclasses.replace(near, distance_quantiles=tuple(50 + QUANTILE_SHARES))
    manifest = dataclasses.replace(bundle.manifest, genres=(far, near), usual_distances=(1.5, 4.0))
    centroids = np.zeros((2, 68))
    centroids[0, 0] = 100.0
    two_genres = dataclasses.replace(bundle, genres=NearestCentroid(centroids), manifest=manifest)
    row = np.zeros((1, 68))
    row[0, 1] = distance
    predicted = two_genres.predict_genres(row)
    assert predicted.genre.tolist() == [1]
    assert predicted.distance == pytest.approx(distance)
    assert predicted.typicality == pytest.approx(typicality)
    assert predicted.unusual.tolist() == [unusual]


def test_rounding_takes_no_probability_above_one() -> None:
    places = Places(np.array([50.0, 60.0]), np.array([0.0, 0.0]))
    summed = probability_of_north("places", np.array([[0.6, 0.4 + 1e-6]], np.float32), places)
    assert summed.tolist() == [1.0]
