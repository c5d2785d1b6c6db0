"""What is shown of one piece is what the API says of it."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.page.conftest import sent_features
from tests.page.said import FRAGMENT, NETWORKS, percent, said


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


def answer(page: Page, path: str, reply: dict[str, Any]) -> None:
    page.route(path, lambda route: route.fulfill(json=reply))


def test_no_probability_is_said_to_be_none_or_all(page: Page, server: httpx.Client) -> None:
    for network, probability in zip(NETWORKS, (0.996, 1.0, 0.0), strict=True):
        reply = said(server, f"/north-of-20?network={network}") | {"probability": probability}
        answer(page, f"**/north-of-20?network={network}", reply)
    page.goto(f"/{FRAGMENT}")
    expect(page.locator("#piece-title")).to_be_visible()
    values = [value for _, value in table(page, "North of 20° N?")]
    assert values == ["over 99\xa0%", "over 99\xa0%", "under 1\xa0%"]
