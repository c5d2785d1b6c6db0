"""What the API refuses, and whom the page asks."""

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from service.schemas import EXAMPLE_FEATURES
from tests.browser import assert_all_stay_here
from tests.conftest import RunServer
from tests.page.conftest import NewPage
from tests.page.said import FRAGMENT, said


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


@pytest.mark.parametrize("body", ["", "<html>", "null", "[]"])
@pytest.mark.parametrize("status", [200, 500])
def test_reply_that_is_none_is_explained_and_ends_the_waiting(page: Page, body: str, status: int) -> None:
    page.route("**/genre", lambda route: route.fulfill(status=status, body=body))
    page.get_by_role("button", name="genre 3", exact=True).click()
    expect(page.locator("#problem")).to_be_visible()
    expect(page.locator("#problem")).not_to_be_empty()
    if status == 500 or body != "[]":
        expect(page.locator("#problem")).to_have_text(f"The service answered {status}, and not as it should.")
    expect(page.locator("[aria-busy]")).to_have_count(0)


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
