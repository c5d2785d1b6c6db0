"""The address holds the piece, and nothing else does."""

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer
from tests.page.conftest import NewPage, posted
from tests.page.said import FRAGMENT, said


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


def test_address_of_several_pieces_is_refused(page: Page, requests: list[Request]) -> None:
    page.goto(f"/{FRAGMENT}%0A{FRAGMENT.removeprefix('#piece=')}")
    expect(page.locator("#input-error")).to_have_text("The address has 2 pieces, and should have one.")
    assert not posted(requests)


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


def test_piece_that_was_left_is_not_shown_when_its_genres_come(page: Page, server: httpx.Client) -> None:
    """As they are asked for again where other models have answered."""
    held: list[Route] = []
    reply = said(server, "/genre") | {"model_version": "0123456789ab"}
    page.route("**/genre", lambda route: route.fulfill(json=reply))
    page.route("**/genres", lambda route: held.append(route))
    page.get_by_role("button", name="genre 9", exact=True).click()
    while not held:
        page.wait_for_timeout(10)
    page.go_back()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#piece")).to_be_hidden()


def test_end_of_old_work_is_not_that_of_the_new(page: Page) -> None:
    held: list[Route] = []
    page.route("**/genre", lambda route: held.append(route))
    for genre, requests in ((9, 1), (4, 2)):
        page.get_by_role("button", name=f"genre {genre}", exact=True).click()
        while len(held) < requests:
            page.wait_for_timeout(10)
    page.wait_for_timeout(200)
    expect(page.locator("[aria-busy]")).to_have_count(1)
    held[1].continue_()
    expect(page.locator("#piece .lead")).to_contain_text("Genre 4.")
    expect(page.locator("[aria-busy]")).to_have_count(0)
