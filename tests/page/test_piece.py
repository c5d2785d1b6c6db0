"""What is shown of one piece is what the API says of it."""

import math
import re
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Request, Route, expect

from models.bundle import ModelBundle
from models.origin import great_circle_km
from service.schemas import EXAMPLE_FEATURES
from tests.browser import assert_all_stay_here
from tests.conftest import RunServer
from tests.page.conftest import NewPage, posted, sent_features

FRAGMENT = "#piece=" + ",".join(map(str, EXAMPLE_FEATURES))
NETWORKS = ("places", "hidden", "simple")


def said(server: httpx.Client, path: str, features: list[float] = EXAMPLE_FEATURES) -> dict[str, Any]:
    """What the API says of a piece."""
    return dict(server.post(path, json={"features": features}).raise_for_status().json())


def percent(share: float) -> str:
    return (
        "under 1\xa0%"
        if share < 0.005
        else "over 99\xa0%"
        if share >= 0.995
        else f"{math.floor(100 * share + 0.5)}\xa0%"
    )


@pytest.fixture(scope="module")
def shown(new_page: NewPage) -> Page:
    """The page with the documentation's example on it, to be looked at."""
    page = new_page()
    page.goto(f"/{FRAGMENT}")
    expect(page.locator("#piece-title")).to_be_visible()
    return page


def card(page: Page, title: str) -> Any:
    return page.locator(".card", has=page.get_by_role("heading", name=title))


def table(page: Page, title: str) -> list[list[str]]:
    """The labels and values of the first bars in a card."""
    rows = card(page, title).locator(".bars").first.locator("tr").all()
    return [[row.locator("th").inner_text(), row.locator(".value").inner_text()] for row in rows]


def test_places_are_those_of_the_api(shown: Page, server: httpx.Client) -> None:
    origin = said(server, "/origin?top=1000")
    likeliest = [[place["country"], percent(place["probability"])] for place in origin["places"]]
    assert table(shown, "Where it may come from") == likeliest[:6]
    shown.get_by_text("All 33 places").click()
    rows = card(shown, "Where it may come from").locator("details tr")
    expect(rows).to_have_count(33)
    assert [row.locator("th").inner_text() for row in rows.all()] == [country for country, _ in likeliest]
    expect(shown.locator("#piece-title")).to_have_text("No place stands out")
    expect(shown.locator("#piece .lead")).to_contain_text(f"{likeliest[0][0]} has {likeliest[0][1]}")
    error = f"{origin['expected_error_km']:,.0f} km"
    point = f"{origin['latitude']:.1f}° N, {origin['longitude']:.1f}° E"
    expect(card(shown, "Where it may come from")).to_contain_text(f"{point} is the best single point")
    expect(card(shown, "Where it may come from")).to_contain_text(error)


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


def on_the_map(longitude: float, latitude: float) -> tuple[float, float]:
    """Equal Earth, by its authors' polynomial, on a map 1,000 wide."""
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    a = (1.340264, -0.081106, 0.000893, 0.003796)
    powers = (1, 3, 7, 9)
    slope = sum(power * each * theta ** (power - 1) for each, power in zip(a, powers, strict=True))
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    y = sum(each * theta**power for each, power in zip(a, powers, strict=True))
    return 500 + 500 / 2.7066 * x, -500 / 2.7066 * y


def test_places_and_line_are_where_they_should_be(shown: Page, server: httpx.Client) -> None:
    for circle, place in zip(
        shown.locator("#piece .wide circle").all(), said(server, "/origin?top=1000")["places"], strict=True
    ):
        centre = [float(circle.get_attribute(name) or "nan") for name in ("cx", "cy")]
        assert centre == pytest.approx(on_the_map(place["longitude"], place["latitude"]), abs=0.1)
    line = numbers(shown.locator("#piece .wide .line").get_attribute("d"))
    assert line == pytest.approx([*on_the_map(-180, 20), *on_the_map(180, 20)], abs=0.1)


def numbers(path: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path or "")]


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


def test_networks_stand_side_by_side(shown: Page, server: httpx.Client, bundle: ModelBundle) -> None:
    north = [said(server, f"/north-of-20?network={network}") for network in NETWORKS]
    rows = table(shown, "North of 20° N?")
    assert [value for _, value in rows] == [percent(reply["probability"]) for reply in north]
    measured = bundle.manifest.accuracy_unseen_places
    text = " ".join(card(shown, "North of 20° N?").locator(".honest").inner_text().split())
    assert "little better than a guess" in text
    first, second, third = (percent(measured[network]).replace("\xa0", " ") for network in NETWORKS)
    assert f"the first told {first} rightly, the second {second}, the third {third}" in text
    assert "always saying the commoner side " + percent(measured["majority"]).replace("\xa0", " ") in text


def test_genre_is_that_of_the_api(shown: Page, server: httpx.Client) -> None:
    genre = said(server, "/genre")
    described = server.get("/genres").json()["genres"][genre["genre"]]
    assert table(shown, f"Genre {genre['genre']}") == [
        [f"genre {number}", f"{distance:.2f}"] for number, distance in enumerate(genre["distances"])
    ]
    expect(shown.locator("tr.current th")).to_have_text(f"genre {genre['genre']}")
    expect(card(shown, f"Genre {genre['genre']}").first).to_contain_text(f"Typicality {percent(genre['typicality'])}")
    where = card(shown, f"Where the music of genre {genre['genre']} comes from")
    expect(where).to_contain_text(f"{described['size']} pieces, {percent(described['share_north_of_20'])}")
    expect(where).to_contain_text(f"{described['places'][0]['country']} {percent(described['places'][0]['share'])}")
    expect(where.locator("circle")).to_have_count(len(described["places"]))


def test_bars_are_as_long_as_their_values(shown: Page, server: httpx.Client) -> None:
    genre = said(server, "/genre")
    bars = card(shown, f"Genre {genre['genre']}").first.locator(".bar").all()
    widths = [(bar.bounding_box() or {})["width"] for bar in bars]
    longest = max(genre["distances"])
    expected = [max(widths) * distance / longest for distance in genre["distances"]]
    assert widths == pytest.approx(expected, abs=1)


def test_every_genre_has_an_example(page: Page, server: httpx.Client, requests: list[Request]) -> None:
    for genre, described in enumerate(server.get("/genres").json()["genres"]):
        requests.clear()
        page.get_by_role("button", name=f"genre {genre}", exact=True).click()
        expect(page.locator("#piece .lead")).to_contain_text(f"Genre {genre}.")
        expect(page.locator(".warning")).to_have_count(0)
        assert sent_features(requests) == described["example"]


def test_unusual_piece_comes_with_the_warning_of_the_api(page: Page, server: httpx.Client) -> None:
    features = [10 * value for value in EXAMPLE_FEATURES]
    page.goto(f"/#piece={','.join(map(str, features))}")
    expect(page.locator("#piece .warning")).to_contain_text(said(server, "/genre", features)["warning"])


def test_shared_address_shows_the_same_and_never_reaches_the_service(
    page: Page, new_page: NewPage, run_server: RunServer, requests: list[Request]
) -> None:
    page.get_by_label("68 numbers").fill(" ".join(map(str, EXAMPLE_FEATURES)))
    page.get_by_role("button", name="Show where it comes from").click()
    expect(page.locator("#piece-title")).to_be_visible()
    assert page.url.endswith(FRAGMENT)
    with run_server(shipped=True) as another:
        elsewhere = new_page(base_url=str(another.client.base_url))
        elsewhere.goto(f"/{FRAGMENT}")
        expect(elsewhere.locator("#piece-title")).to_be_visible()
        for part in ("#piece-title", "#piece .columns"):
            assert elsewhere.locator(part).inner_html() == page.locator(part).inner_html()
        assert elsewhere.get_by_label("68 numbers").input_value() == ", ".join(map(str, EXAMPLE_FEATURES))
        another.client.get("/health/live")
        assert "-0.54" not in another.log.read_text()
        assert "POST" in another.log.read_text()
    assert not any("0.54" in request.url.partition("#")[0] for request in requests)


def test_pieces_are_gone_through_back_and_forth(page: Page) -> None:
    for genre in (9, 4):
        page.get_by_role("button", name=f"genre {genre}", exact=True).click()
        expect(page.locator("#piece .lead")).to_contain_text(f"Genre {genre}.")
    page.go_back()
    expect(page.locator("#piece .lead")).to_contain_text("Genre 9.")
    first = page.get_by_label("68 numbers").input_value()
    page.go_back()
    expect(page.locator("#piece")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#piece .lead")).to_contain_text("Genre 9.")
    assert page.get_by_label("68 numbers").input_value() == first


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("#piece=1,2", "There must be 68 numbers, not 2."),
        ("#piece=<b>", "Number 1, “<b>”, is not a number."),
        ("#piece=%FF", "Number 1, “\ufffd”, is not a number."),
        ("#piece=", "There is nothing yet"),
        ("#piece=" + "0.5," * 67 + "x", "Number 68, “x”, is not a number."),
    ],
)
def test_wrong_address_is_explained(page: Page, requests: list[Request], fragment: str, message: str) -> None:
    page.goto(f"/{fragment}")
    expect(page.locator("#input-error")).to_contain_text(message)
    assert not posted(requests)
    if "“" in message:
        selected = "({value, selectionStart, selectionEnd}) => value.slice(selectionStart, selectionEnd)"
        assert f"“{page.get_by_label('68 numbers').evaluate(selected)}”" in message


def test_refusal_is_shown_as_the_service_says_it(new_page: NewPage, run_server: RunServer) -> None:
    with run_server(shipped=True, MUSIC_ORIGIN_MAX_BODY_BYTES="100") as small:
        page = new_page(base_url=str(small.client.base_url))
        page.goto(f"/{FRAGMENT}")
        reply = small.client.post("/genre", json={"features": EXAMPLE_FEATURES})
        assert reply.status_code == 413
        expect(page.locator("#problem")).to_contain_text(reply.json()["detail"])
        expect(page.locator("#piece")).to_be_hidden()


def test_service_that_is_gone_is_named_so(new_page: NewPage, run_server: RunServer) -> None:
    with run_server(shipped=True) as server:
        page = new_page(base_url=str(server.client.base_url))
        page.goto("/")
        expect(page.locator("#examples")).to_be_visible()
    page.get_by_role("button", name="genre 3", exact=True).click()
    expect(page.locator("#problem")).to_contain_text("The service cannot be reached: try again later.")


def test_new_models_are_described_anew(page: Page, requests: list[Request], server: httpx.Client) -> None:
    """A reply by other models than the page has the genres of makes it ask for these again."""
    page.get_by_role("button", name="genre 3", exact=True).click()
    expect(page.locator("#piece-title")).to_be_visible()
    descriptions = [request for request in requests if request.url.endswith("/genres")]
    assert len(descriptions) == 1
    reply = said(server, "/genre") | {"model_version": "0123456789ab"}
    page.route("**/genre", lambda route: route.fulfill(json=reply))
    page.get_by_role("button", name="genre 4", exact=True).click()
    expect(page.locator("#piece .lead")).to_contain_text("Genre 1.")
    assert len([request for request in requests if request.url.endswith("/genres")]) == 2


def test_no_request_leaves_the_service(page: Page, requests: list[Request], server: httpx.Client) -> None:
    page.get_by_role("button", name="genre 3", exact=True).click()
    expect(page.locator("#piece-title")).to_be_visible()
    page.get_by_role("tab", name="The genres").click()
    page.wait_for_load_state("networkidle")
    assert len(requests) > 15
    assert_all_stay_here(requests, server)


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


def test_headline_names_a_place_only_if_one_stands_out(page: Page, server: httpx.Client) -> None:
    for genre in server.get("/genres").json()["genres"]:
        page.get_by_role("button", name=f"genre {genre['genre']}", exact=True).click()
        expect(page.locator("#piece .lead")).to_contain_text(f"Genre {genre['genre']}.")
        likeliest = said(server, "/origin", genre["example"])["places"][0]
        title = page.locator("#piece-title").inner_text()
        if likeliest["probability"] < 0.25:
            assert title == "No place stands out"
        else:
            assert title.removeprefix("Most like the music of ").removeprefix("the ") == likeliest["country"]
        assert page.title() == title


def test_place_without_a_country_goes_by_where_it_is(page: Page, server: httpx.Client) -> None:
    origin = said(server, "/origin?top=1000")
    origin["places"][0] |= {"country": None, "latitude": -12.34, "longitude": -56.78, "probability": 0.9}
    page.route("**/origin?top=1000", lambda route: route.fulfill(json=origin))
    page.goto(f"/{FRAGMENT}")
    expect(page.locator("#piece-title")).to_have_text("Most like the music of 12.3° S, 56.8° W")


def test_side_is_calibrated_in_words_unless_the_piece_is_unusual(page: Page, server: httpx.Client) -> None:
    south = said(server, "/north-of-20") | {"north_of_20": False, "probability": 0.2}
    page.route("**/north-of-20?network=places", lambda route: route.fulfill(json=south))
    page.goto(f"/{FRAGMENT}")
    expect(card(page, "North of 20° N?")).to_contain_text("for which the first says south with 80 %")
    page.goto("about:blank")
    page.goto(f"/#piece={','.join(str(10 * value) for value in EXAMPLE_FEATURES)}")
    expect(page.locator("#piece-title")).to_have_text("Unlike the music that the models know")
    expect(card(page, "North of 20° N?")).not_to_contain_text("calibrated")


def test_models_that_were_not_evaluated_say_so(page: Page, server: httpx.Client) -> None:
    model = server.get("/model").json()
    model["manifest"]["accuracy_unseen_places"] = {}
    page.route("**/model", lambda route: route.fulfill(json=model))
    page.goto("about:blank")
    page.goto(f"/{FRAGMENT}")
    expect(page.locator(".honest")).to_contain_text("for these models it was not measured how much better.")


@pytest.mark.parametrize("body", ["", "<html>", "null", "[]"])
@pytest.mark.parametrize("status", [200, 500])
def test_reply_that_is_none_is_explained_and_ends_the_waiting(page: Page, body: str, status: int) -> None:
    page.route("**/genre", lambda route: route.fulfill(status=status, body=body))
    page.get_by_role("button", name="genre 3", exact=True).click()
    expect(page.locator("#problem")).to_be_visible()
    expect(page.locator("#problem")).not_to_be_empty()
    expect(page.locator("[aria-busy]")).to_have_count(0)


def test_piece_that_was_left_is_not_shown_when_it_comes(page: Page) -> None:
    held: list[Route] = []
    page.route("**/genre", lambda route: held.append(route))
    page.get_by_role("button", name="genre 9", exact=True).click()
    expect(page.locator("[aria-busy]")).to_have_count(1)
    page.go_back()
    page.unroute("**/genre")
    page.wait_for_load_state("networkidle")
    assert held
    expect(page.locator("#piece")).to_be_hidden()
    page.get_by_role("button", name="genre 4", exact=True).click()
    expect(page.locator("#piece .lead")).to_contain_text("Genre 4.")


def test_address_of_several_pieces_is_refused(page: Page, requests: list[Request]) -> None:
    page.goto(f"/{FRAGMENT}%0A{FRAGMENT.removeprefix('#piece=')}")
    expect(page.locator("#input-error")).to_have_text("The address has 2 pieces, and should have one.")
    assert not posted(requests)
