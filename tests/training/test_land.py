"""The committed coastline of the page's map."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import ROOT
from tests.training.test_coastlines import signed_area
from training.coastlines import PAGE_FILE
from training.places import COUNTRIES

Ring = NDArray[np.float64]


@pytest.fixture(scope="module")
def land() -> list[Ring]:
    """The committed rings of the page, in degrees."""
    rings = json.loads((ROOT / PAGE_FILE).read_text())
    assert all(isinstance(number, int) for ring in rings for number in ring)
    return [np.reshape(ring, (-1, 2)).cumsum(axis=0) / 10 for ring in rings]


def edges(rings: list[Ring]) -> tuple[Ring, Ring]:
    """The two ends (n, 2) of every edge of the rings."""
    return np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])


def is_land(rings: list[Ring], latitude: float, longitude: float) -> bool:
    """Whether a line to the east crosses the rings an odd number of times."""
    start, end = edges(rings)
    crossed = (start[:, 1] > latitude) != (end[:, 1] > latitude)
    (x0, y0), (x1, y1) = start[crossed].T, end[crossed].T
    return bool(np.sum(x0 + (latitude - y0) / (y1 - y0) * (x1 - x0) > longitude) % 2)


def distance(rings: list[Ring], latitude: float, longitude: float) -> float:
    """How many degrees of longitude and latitude lie to the nearest edge."""
    start, end = edges(rings)
    along, to_place = end - start, np.array([longitude, latitude]) - start
    share = np.clip((to_place * along).sum(axis=1) / (along**2).sum(axis=1), 0, 1)
    return float(np.hypot(*(to_place - share[:, None] * along).T).min())


def test_committed_land_is_small_and_has_a_ring_a_line(land: list[Ring]) -> None:
    text = (ROOT / PAGE_FILE).read_bytes()
    assert 50_000 < len(text) < 60_000
    assert len(text.splitlines()) == len(land) + 2


def test_committed_land_is_all_over_the_world_and_does_not_cross_it(land: list[Ring]) -> None:
    points = np.concatenate(land)
    assert len(points) > 10_000
    assert points.min(axis=0).tolist() == pytest.approx([-180, -56], abs=1)
    assert points.max(axis=0).tolist() == pytest.approx([180, 83.6], abs=0.1)
    start, end = edges(land)
    assert np.abs(end - start).max() < 10
    assert np.abs(end - start).max(axis=1).min() > 0
    assert min(map(len, land)) >= 3


@pytest.mark.parametrize("side", [-180, 180])
def test_committed_land_meets_at_the_antimeridian(land: list[Ring], side: int) -> None:
    """Fiji's islands end there by a point."""
    points = np.concatenate(land)
    ends = points[points[:, 0] == side][:, 1]
    assert sorted(ends[ends > 0].tolist()) == [65.1, 69.0, 71.0, 71.5]


def test_every_place_is_on_committed_land_or_near_it(land: list[Ring]) -> None:
    for place, country in COUNTRIES.items():
        assert is_land(land, *place) or distance(land, *place) < 0.1, country
    # Nor is the nearest land that of another island.
    for country in ("Cape Verde", "Jamaica", "Taiwan"):
        (place,) = (place for place, name in COUNTRIES.items() if name == country)
        assert is_land(land, *place), country


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (72, -40, True),
        (19.6, -155.5, True),
        (-44, 170.5, True),
        (35.9, 14.4, True),
        (67, 179, True),
        (68, -179, True),
        (-80, 0, False),
        (0, -150, False),
        (42, 50.5, False),
        (43, 34, False),
        (60, -85, False),
    ],
    ids=[
        "Greenland",
        "Hawaii",
        "New Zealand",
        "Malta",
        "west of the antimeridian",
        "east of it",
        "Antarctica",
        "Pacific",
        "Caspian Sea",
        "Black Sea",
        "Hudson Bay",
    ],
)
def test_committed_land_is_told_from_water(land: list[Ring], latitude: float, longitude: float, expected: bool) -> None:
    assert is_land(land, latitude, longitude) == expected


def test_only_the_caspian_sea_goes_the_other_way_round(land: list[Ring]) -> None:
    """So either of SVG's fill rules will do."""
    (lake,) = [ring for ring in land if signed_area(ring) > 0]
    assert is_land([lake], 42, 50.5)
