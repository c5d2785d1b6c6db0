"""What is where on the map."""

import math
import re

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from models.origin import great_circle_km
from tests.page.said import FRAGMENT, percent, said


def on_the_map(longitude: float, latitude: float) -> tuple[float, float]:
    """Equal Earth, by its authors' polynomial, on a map 1,000 wide."""
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    a = (1.340264, -0.081106, 0.000893, 0.003796)
    powers = (1, 3, 7, 9)
    slope = sum(power * each * theta ** (power - 1) for each, power in zip(a, powers, strict=True))
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    y = sum(each * theta**power for each, power in zip(a, powers, strict=True))
    return 500 + 500 / 2.7066 * x, -500 / 2.7066 * y


def numbers(path: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path or "")]


def test_circles_have_the_probabilities_as_their_areas(shown: Page, server: httpx.Client) -> None:
    places = said(server, "/origin?top=1000")["places"]
    circles = shown.locator("#piece .wide circle").all()
    assert len(circles) == len(places) == 33
    largest = float(circles[0].get_attribute("r") or 0) ** 2 / places[0]["probability"]
    for circle, place in zip(circles, places, strict=True):
        area = float(circle.get_attribute("r") or 0) ** 2
        assert area == pytest.approx(place["probability"] * largest, rel=0.05) or area == pytest.approx(1.6**2)
        side = "north" if place["latitude"] > 20 else "south"
        assert circle.get_attribute("class") == f"place {side}"
        assert circle.text_content() == f"{place['country']}: {percent(place['probability'])}"


def test_places_and_line_are_where_they_should_be(shown: Page, server: httpx.Client) -> None:
    for circle, place in zip(
        shown.locator("#piece .wide circle").all(), said(server, "/origin?top=1000")["places"], strict=True
    ):
        centre = [float(circle.get_attribute(name) or "nan") for name in ("cx", "cy")]
        assert centre == pytest.approx(on_the_map(place["longitude"], place["latitude"]), abs=0.1)
    line = numbers(shown.locator("#piece .wide .line").get_attribute("d"))
    assert line == pytest.approx([*on_the_map(-180, 20), *on_the_map(180, 20)], abs=0.1)


def test_ring_is_as_far_from_the_point_as_the_error_to_expect(shown: Page, server: httpx.Client) -> None:
    origin = said(server, "/origin")
    latitude, longitude, error = (origin[name] for name in ("latitude", "longitude", "expected_error_km"))
    x, y = numbers(shown.locator("#piece .marker").get_attribute("d"))[:2]
    assert (x, y) == pytest.approx(on_the_map(longitude, latitude), abs=0.1)
    drawn = numbers(shown.locator("#piece .ring").get_attribute("d"))
    ring = set(zip(drawn[::2], drawn[1::2], strict=True))
    assert len(ring) > 100
    # Of a fine net of points, those that are drawn are the ones at that distance.
    for north in range(-50, 80, 10):
        for east in range(-180, 180, 2):
            away = great_circle_km(latitude, longitude, north, east)
            nearest = min(math.dist(on_the_map(east, north), point) for point in ring)
            assert abs(away - error) < 400 or nearest > 3
            assert abs(away - error) > 100 or nearest < 15


def test_ring_that_crosses_the_edge_of_the_map_is_cut_there(page: Page, server: httpx.Client) -> None:
    origin = said(server, "/origin?top=1000") | {"latitude": -18.0, "longitude": 179.0, "expected_error_km": 2000.0}
    page.route("**/origin?top=1000", lambda route: route.fulfill(json=origin))
    page.goto(f"/{FRAGMENT}")
    expect(page.locator("#piece-title")).to_be_visible()
    lines = (page.locator("#piece .ring").get_attribute("d") or "").split("M")[1:]
    assert len(lines) > 1
    for line in lines:
        points = np.reshape(numbers(line), (-1, 2))
        assert np.abs(np.diff(points, axis=0)).max() < 100


def test_labels_stand_by_their_own_circles(page: Page) -> None:
    """On every map no label covers another circle, or another label, or is nearer to another circle than to its own."""
    shown = 0
    for genre in range(10):
        page.get_by_role("button", name=f"genre {genre}", exact=True).click()
        expect(page.locator("#piece .lead")).to_contain_text(f"Genre {genre}.")
        circles, labels = page.locator("#piece .wide svg").evaluate(
            """map => [[...map.querySelectorAll("circle")].map(each => [each.textContent.split(":")[0],
                each.cx.baseVal.value, each.cy.baseVal.value, each.r.baseVal.value]),
                [...map.querySelectorAll(".label")].map(each => { const {x, y, width, height} = each.getBBox();
                    return [each.textContent, x, y + 3, x + width, y + height - 3]; })]"""
        )
        shown += len(labels)
        assert labels[0][0] == circles[0][0]  # which may cover others
        for name, left, top, right, bottom in labels[1:]:
            away = {
                circle: max(0, math.dist((x, y), (min(max(x, left), right), min(max(y, top), bottom))) - r)
                for circle, x, y, r in circles
            }
            assert away[name] == min(away.values())
            assert [circle for circle, distance in away.items() if distance == 0 and circle != name] == []
            for other, other_left, other_top, other_right, other_bottom in labels:
                apart = left > other_right or right < other_left or top > other_bottom or bottom < other_top
                assert apart or name == other
    assert shown >= 25


def test_coast_is_that_of_the_file(page: Page, server: httpx.Client) -> None:
    expect(page.locator("#land")).to_have_attribute("d", re.compile("M.*Z"))
    drawn = page.locator("#land").get_attribute("d") or ""
    rings = server.get("/page/land.json").json()
    paths = drawn.split("Z")[:-1]
    assert len(paths) == len(rings)
    for path, ring in list(zip(paths, rings, strict=True))[::7]:
        points = np.cumsum(np.array(ring).reshape(-1, 2), axis=0) / 10
        expected = [on_the_map(longitude, latitude) for longitude, latitude in points]
        assert path.count("L") == len(points) - 1
        assert np.reshape(numbers(path), (-1, 2)) == pytest.approx(np.array(expected), abs=0.06)
