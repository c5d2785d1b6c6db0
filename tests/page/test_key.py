"""A service that asks for a key."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from service.access import UNAUTHORIZED
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer
from tests.page.conftest import posted
from tests.page.states import KEY, table


@pytest.fixture(scope="module")
def server(run_server: RunServer) -> Iterator[httpx.Client]:
    with run_server(shipped=True, MUSIC_ORIGIN_API_KEY=KEY) as server:
        yield server.client


def give_key(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_key_is_asked_for_when_it_is_needed_and_kept_while_the_page_is_open(
    page: Page, requests: list[Request]
) -> None:
    expect(page.get_by_role("button", name="genre 1", exact=True)).to_be_visible()
    expect(page.get_by_label("API key")).to_be_hidden()
    page.get_by_role("button", name="genre 1", exact=True).click()
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.locator("#key-reason")).to_have_text(UNAUTHORIZED)
    give_key(page, "another")
    expect(page.get_by_label("API key")).to_have_value("")
    expect(page.locator("#key-reason")).to_have_text(UNAUTHORIZED)
    give_key(page, KEY)
    expect(page.locator("#piece .lead")).to_contain_text("Genre 1.")
    expect(page.get_by_label("API key")).to_be_hidden()
    table(page)
    assert posted(requests)[-1].headers["x-api-key"] == KEY
    page.reload()
    expect(page.locator("#examples")).to_be_visible()
    page.get_by_role("button", name="genre 2", exact=True).click()
    expect(page.get_by_label("API key")).to_be_focused()


def test_key_is_kept_in_memory_only(page: Page, requests: list[Request]) -> None:
    page.goto(f"/#piece={','.join(map(str, EXAMPLE_FEATURES))}")
    give_key(page, KEY)
    expect(page.locator("#piece-title")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert KEY not in kept
    assert KEY not in page.content()
    assert not any(KEY in request.url for request in requests)
    assert not any("x-api-key" in request.headers for request in requests if request.method == "GET")


def test_file_is_asked_about_again_with_the_key(page: Page) -> None:
    page.set_input_files("#file", {"name": "two.csv", "mimeType": "text/csv", "buffer": (b"0.5," * 67 + b"0.5\n") * 2})
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.locator("#table")).to_be_hidden()
    give_key(page, KEY)
    expect(page.locator("#table-title")).to_have_text("two.csv: 2 pieces")


def test_key_that_no_header_can_carry_is_not_sent(page: Page, requests: list[Request]) -> None:
    page.get_by_role("button", name="genre 1", exact=True).click()
    expect(page.get_by_label("API key")).to_be_focused()
    sent = len(posted(requests))
    give_key(page, "schlüssel")
    assert page.get_by_label("API key").evaluate("key => key.validity.patternMismatch")
    assert len(posted(requests)) == sent
    give_key(page, KEY)
    expect(page.locator("#piece-title")).to_be_focused()


def test_key_form_is_not_lost_on_the_way(page: Page) -> None:
    page.get_by_role("button", name="genre 1", exact=True).click()
    expect(page.get_by_label("API key")).to_be_focused()
    page.get_by_role("tab", name="The genres").click()
    expect(page.get_by_role("heading", name="Genre 9")).to_be_visible()
    page.get_by_role("tab", name="Your music").click()
    give_key(page, KEY)
    expect(page.locator("#piece .lead")).to_contain_text("Genre 1.")


def test_key_is_not_asked_for_where_it_is_not_needed(page: Page) -> None:
    page.get_by_role("button", name="genre 1", exact=True).click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("API key")).to_be_hidden()
    expect(page.locator("#piece")).to_be_hidden()


def test_key_is_sent_to_no_more_than_needs_it(page: Page, server: httpx.Client, requests: list[Request]) -> None:
    """The genres, which are asked for again where other models have answered, need none."""
    page.get_by_role("button", name="genre 1", exact=True).click()
    give_key(page, KEY)
    expect(page.locator("#piece .lead")).to_contain_text("Genre 1.")
    requests.clear()
    body = {"features": EXAMPLE_FEATURES}
    reply = server.post("/genre", json=body, headers={"X-API-Key": KEY}).json() | {"model_version": "0123456789ab"}
    page.route("**/genre", lambda route: route.fulfill(json=reply))
    with page.expect_request("**/genres"), page.expect_request("**/model"):
        page.get_by_role("button", name="genre 2", exact=True).click()
    asked = [request for request in requests if request.url.endswith(("/genres", "/model"))]
    assert len(asked) == 2
    assert not any("x-api-key" in request.headers for request in asked)
