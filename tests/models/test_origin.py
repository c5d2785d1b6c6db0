import numpy as np
import pytest

from models.bundle import ModelBundle
from models.origin import EARTH_RADIUS_KM, Places, great_circle_km

HALF_ROUND = np.pi * EARTH_RADIUS_KM


@pytest.mark.parametrize(
    ("first", "second", "kilometres"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 90), HALF_ROUND / 2),
        ((0, 179), (0, -179), HALF_ROUND / 90),
        ((90, 12), (-90, -140), HALF_ROUND),
        ((41.90, 12.48), (41.90, 12.48 + 360), 0),
        ((51.5074, -0.1278), (35.6762, 139.6503), 9_559),  # London and Tokyo
    ],
)
def test_distances_over_the_surface(first: tuple[float, float], second: tuple[float, float], kilometres: float) -> None:
    assert great_circle_km(*first, *second) == pytest.approx(kilometres, rel=2e-3, abs=1e-6)


def test_certainty_is_the_place_itself(bundle: ModelBundle) -> None:
    origins = bundle.places.origins(np.eye(33))
    np.testing.assert_array_equal(origins.latitude, bundle.places.latitude)
    np.testing.assert_array_equal(origins.longitude, bundle.places.longitude)
    np.testing.assert_allclose(origins.expected_error_km, 0, atol=1e-9)


def test_expected_error_is_the_mean_distance_under_the_probabilities(bundle: ModelBundle) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.full(33, 0.3), size=50)
    origins, places = bundle.places.origins(probabilities), bundle.places
    for row in range(50):
        distances = great_circle_km(origins.latitude[row], origins.longitude[row], places.latitude, places.longitude)
        assert origins.expected_error_km[row] == pytest.approx(probabilities[row] @ distances)


def test_no_point_on_earth_is_expected_to_be_much_nearer(bundle: ModelBundle) -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet(np.full(33, 0.3), size=50)
    latitude = np.degrees(np.arcsin(generator.uniform(-1, 1, 50_000)))
    longitude = generator.uniform(-180, 180, 50_000)
    places = bundle.places
    elsewhere = probabilities @ great_circle_km(
        places.latitude[:, None], places.longitude[:, None], latitude, longitude
    )
    assert (bundle.places.origins(probabilities).expected_error_km < 1.01 * elsewhere.min(axis=1)).all()


def test_the_middle_of_three_places_is_a_point_between_them() -> None:
    places = Places(np.array([0.0, 0.0, 60.0]), np.array([-40.0, 40.0, 0.0]))
    origins = places.origins(np.full((1, 3), 1 / 3))
    assert 5 < origins.latitude[0] < 35
    assert abs(origins.longitude[0]) < 5


def test_twenty_degrees_is_not_north_of_itself() -> None:
    assert Places(np.array([19.75, 20.0, 20.01]), np.zeros(3)).north_of_20.tolist() == [False, False, True]
