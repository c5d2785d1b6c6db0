"""Where on Earth: great-circle distances, and the point that a prediction over places stands for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.features import Floats

NORTH_LATITUDE = 20.0
EARTH_RADIUS_KM = 6371.0088  # the mean radius

ROWS_AT_A_TIME = 256  # so that the expected distances of a batch take little memory
LATTICE_POINTS = 2048  # about 500 km apart: near its least value, the expected distance hardly changes in so little

Degrees = NDArray[np.float64]


def great_circle_km(
    latitude: ArrayLike, longitude: ArrayLike, other_latitude: ArrayLike, other_longitude: ArrayLike
) -> NDArray[np.float64]:
    """Distances in km between points in degrees over the Earth's surface, by the haversine formula; they broadcast."""
    latitude, longitude = np.radians(latitude), np.radians(longitude)
    other_latitude, other_longitude = np.radians(other_latitude), np.radians(other_longitude)
    haversine = (
        np.sin((other_latitude - latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(other_latitude) * np.sin((other_longitude - longitude) / 2) ** 2
    )
    distances: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return distances


@dataclass(frozen=True, eq=False)
class Origins:
    """Points on Earth: latitude (n,) in degrees north, longitude (n,) in degrees east, expected error (n,) in km."""

    latitude: Degrees
    longitude: Degrees
    expected_error_km: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Places:
    """The p places that a prediction tells apart: latitude (p,) in degrees north, longitude (p,) in degrees east."""

    latitude: Degrees
    longitude: Degrees

    @property
    def north_of_20(self) -> NDArray[np.bool_]:
        """Whether each place (p,) lies north of 20° N."""
        return self.latitude > NORTH_LATITUDE

    def origins(self, probabilities: Floats) -> Origins:
        """The points of least expected great-circle distance to the true place, under probabilities (n, p).

        They are looked for among the places themselves and a lattice over the whole Earth.
        """
        best, least = np.empty(len(probabilities), np.intp), np.empty(len(probabilities))
        for start in range(0, len(probabilities), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            expected = probabilities[rows] @ self._distances
            best[rows] = expected.argmin(axis=1)
            least[rows] = expected[np.arange(len(expected)), best[rows]]
        latitude, longitude = self._candidates
        return Origins(latitude[best], longitude[best], least)

    @cached_property
    def _candidates(self) -> tuple[Degrees, Degrees]:
        """Latitude and longitude (c,) of the places, then of a Fibonacci lattice: a spiral of points of equal area."""
        steps = np.arange(LATTICE_POINTS)
        latitude = np.degrees(np.arcsin(1 - (2 * steps + 1) / LATTICE_POINTS))
        longitude = (steps * 180 * (3 - np.sqrt(5)) + 180) % 360 - 180
        return np.concatenate([self.latitude, latitude]), np.concatenate([self.longitude, longitude])

    @cached_property
    def _distances(self) -> NDArray[np.float64]:
        """Great-circle distances (p, c) in km from every place to every candidate."""
        return great_circle_km(self.latitude[:, None], self.longitude[:, None], *self._candidates)
