"""The columns that are predicted."""

import httpx
import numpy as np
import pyarrow as pa
import pytest

from models.bundle import NETWORKS, ModelBundle
from scoring.predictions import PARTS, predict, schema
from tests.scoring.conftest import made_features

NAMES = {
    "genre": ["genre", "distance", "typicality", "unusual"],
    "north-of-20": [f"{what}_{name}" for name in NETWORKS for what in ("north_of_20", "probability_north")],
    "origin": [
        *("country", "place_latitude", "place_longitude", "place_probability"),
        *("latitude", "longitude", "expected_error_km"),
    ],
}


def test_predictions_are_those_of_the_service(bundle: ModelBundle, client: httpx.Client) -> None:
    features = made_features(500)
    columns = predict(bundle, features, PARTS)
    body = {"features": features.tolist()}
    genres = client.post("/genre/batch", json=body).json()
    assert columns["genre"].to_pylist() == genres["genre"]
    assert columns["unusual"].to_pylist() == genres["unusual"]
    for name in ("distance", "typicality"):
        np.testing.assert_allclose(columns[name], genres[name], rtol=1e-5, atol=1e-6)
    for network in NETWORKS:
        sides = client.post(f"/north-of-20/batch?network={network}", json=body).json()
        assert columns[f"north_of_20_{network}"].to_pylist() == sides["north_of_20"]
        np.testing.assert_allclose(columns[f"probability_north_{network}"], sides["probability"], rtol=1e-4)
    origins = client.post("/origin/batch", json=body).json()
    for name in ("country", "place_latitude", "place_longitude", "latitude", "longitude"):
        assert columns[name].to_pylist() == origins[name]
    np.testing.assert_allclose(columns["place_probability"], origins["probability"], rtol=1e-4)
    np.testing.assert_allclose(columns["expected_error_km"], origins["expected_error_km"], rtol=1e-5)
    assert {*columns["model_version"].to_pylist()} == {origins["model_version"]}


@pytest.mark.parametrize("parts", [("genre",), ("north-of-20",), ("origin",), ("genre", "origin"), PARTS])
def test_only_what_is_asked_for_is_predicted(bundle: ModelBundle, parts: tuple[str, ...]) -> None:
    expected = [name for part in parts for name in NAMES[part]] + ["model_version"]
    assert [*predict(bundle, made_features(3), parts)] == schema(bundle, parts).names == expected


def test_schema_is_that_of_any_rows(bundle: ModelBundle) -> None:
    assert pa.table(predict(bundle, made_features(3), PARTS)).schema == schema(bundle, PARTS)
