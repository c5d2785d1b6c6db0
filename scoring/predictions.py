"""What is predicted of each row, as columns of a table."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.bundle import NETWORKS, ModelBundle
from models.features import FEATURE_COUNT, Floats

PARTS = ("genre", "north-of-20", "origin")
VERSION_COLUMN = "model_version"
MANIFEST_KEY = b"music_origin_manifest"
# What is measured needs no more digits, and hardly any value comes twice.
MEASURE = pa.float32()


def predict(bundle: ModelBundle, features: Floats, parts: tuple[str, ...]) -> dict[str, pa.Array]:
    """The columns (n,) of these parts, for rows (n, 68), and the model version; in this order."""
    columns = dict(_predict(bundle, features, parts))
    columns[VERSION_COLUMN] = pa.repeat(bundle.version, len(features))
    return columns


def schema(bundle: ModelBundle, parts: tuple[str, ...]) -> pa.Schema:
    """The names and types of these columns."""
    return pa.table(predict(bundle, np.empty((0, FEATURE_COUNT), np.float32), parts)).schema


def _predict(bundle: ModelBundle, features: Floats, parts: tuple[str, ...]) -> Iterator[tuple[str, pa.Array]]:
    wanted = [name for name in NETWORKS if "north-of-20" in parts or (name == "places" and "origin" in parts)]
    probabilities = {name: bundle.networks[name].predict(features) for name in wanted}
    if "genre" in parts:
        genres = bundle.predict_genres(features)
        yield "genre", pa.array(genres.genre.astype(np.int16))
        yield "distance", _measure(genres.distance)
        yield "typicality", _measure(genres.typicality)
        yield "unusual", pa.array(genres.unusual)
    if "north-of-20" in parts:
        for name in NETWORKS:
            north = bundle.north_in(name, probabilities[name])
            yield f"north_of_20_{name}", pa.array(north > 0.5)
            yield f"probability_north_{name}", _measure(north)
    if "origin" in parts:
        origins = bundle.origins_in(probabilities["places"])
        yield "country", pa.array(origins.country)
        yield "place_latitude", pa.array(origins.place_latitude)
        yield "place_longitude", pa.array(origins.place_longitude)
        yield "place_probability", _measure(origins.probability)
        yield "latitude", pa.array(origins.latitude)
        yield "longitude", pa.array(origins.longitude)
        yield "expected_error_km", _measure(origins.expected_error_km)


def _measure(values: NDArray[np.floating]) -> pa.Array:
    return pa.array(values.astype(np.float32), MEASURE)
