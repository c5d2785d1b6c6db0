"""The genres, side by side, as the API describes them."""

import httpx
from playwright.sync_api import Page, Request, expect

from tests.page.conftest import posted, sent_features
from tests.page.said import percent
from tests.page.states import genres


def test_genres_are_shown_as_the_api_describes_them(page: Page, server: httpx.Client) -> None:
    genres(page)
    for genre in server.get("/genres").json()["genres"]:
        card = page.locator(".card", has=page.get_by_role("heading", name=f"Genre {genre['genre']}", exact=True))
        expect(card).to_contain_text(
            f"{genre['size']} pieces, {percent(genre['share_north_of_20'])} of them from north"
        )
        commonest = ", ".join(f"{place['country']} {percent(place['share'])}" for place in genre["places"][:6])
        expect(card).to_contain_text(f"The commonest: {commonest}.")
        expect(card.locator("circle")).to_have_count(len(genre["places"]))
        rows = card.locator(".bars tr").all()
        assert [[row.locator("th").inner_text(), row.locator(".value").inner_text()] for row in rows] == [
            [f"feature {each['feature']}", f"{each['z_score']:+.1f}".replace("-", "−")]
            for each in genre["distinctive_features"][:5]
        ]


def test_example_is_shown_from_there(page: Page, server: httpx.Client, requests: list[Request]) -> None:
    genres(page)
    page.get_by_role("button", name="Show an example of genre 7").click()
    expect(page.locator("#piece .lead")).to_contain_text("Genre 7.")
    expect(page.get_by_role("tab", name="Your music")).to_have_attribute("aria-selected", "true")
    assert sent_features(requests) == server.get("/genres").json()["genres"][7]["example"]
    page.go_back()
    expect(page.get_by_role("heading", name="Genre 9")).to_be_visible()


def test_tab_leads_back_to_the_piece(page: Page, requests: list[Request]) -> None:
    page.get_by_role("button", name="genre 9", exact=True).click()
    expect(page.locator("#piece-title")).to_be_visible()
    address = page.url
    genres(page)
    assert page.url.endswith("/#genres")
    sent = len(posted(requests))
    page.get_by_role("tab", name="Your music").click()
    expect(page.locator("#piece-title")).to_be_visible()
    assert page.url == address
    assert len(posted(requests)) == sent
