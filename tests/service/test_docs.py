"""The documentation pages, in a real browser."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.browser import assert_all_stay_here
from tests.conftest import StartServer


@pytest.fixture
def page(browser: Browser, client: httpx.Client, requests: list[Request]) -> Iterator[Page]:
    with browser.new_context(base_url=str(client.base_url), viewport={"width": 1280, "height": 1000}) as context:
        context.on("request", lambda request: requests.append(request))
        yield context.new_page()


@pytest.mark.parametrize("operation", ["genre", "origin", "north_of_20"])
def test_example_runs_from_the_docs_page(
    page: Page, client: httpx.Client, requests: list[Request], bundle: ModelBundle, operation: str
) -> None:
    page.goto("/docs")
    block = page.locator(f"#operations-predictions-{operation}")
    block.click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    reply = block.locator(".live-responses-table")
    expect(reply.locator(".response-col_status").last).to_contain_text("200")
    expect(reply).to_contain_text(bundle.version)
    (sent,) = [request for request in requests if request.method == "POST"]
    assert sent.post_data_json == {"features": EXAMPLE_FEATURES}
    assert_all_stay_here(requests, client)


def execute(page: Page, tag: str, operation: str) -> Locator:
    """Runs the example of an operation, and gives the replies shown."""
    block = page.locator(f"#operations-{tag}-{operation}")
    if not block.get_by_role("button", name="Execute").is_visible():
        block.locator(".opblock-summary").click()
        block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table .response-col_status").last


@pytest.mark.parametrize("scheme", ["Bearer", "X-API-Key"])
def test_authorize_button_opens_what_needs_a_key(browser: Browser, start_server: StartServer, scheme: str) -> None:
    with start_server(MUSIC_ORIGIN_API_KEY="the-key") as client, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{client.base_url}/docs")
        expect(execute(page, "predictions", "genre")).to_contain_text("401")
        page.get_by_role("button", name="Authorize", exact=True).click()
        dialog = page.locator(".modal-ux")
        form = dialog.locator(".auth-container").filter(has_text=scheme)
        form.locator("input").fill("the-key")
        form.get_by_role("button", name="Apply").or_(form.get_by_role("button", name="Authorize")).first.click()
        dialog.get_by_role("button", name="Close").first.click()
        expect(execute(page, "predictions", "genre")).to_contain_text("200")
        expect(execute(page, "operations", "metrics")).to_contain_text("200")


@pytest.mark.parametrize("operation", ["genre_batch", "north_of_20_batch"])
@pytest.mark.parametrize("form", ["application/json", "text/csv"])
def test_example_of_a_batch_runs_in_each_form_of_text(page: Page, operation: str, form: str) -> None:
    page.goto("/docs")
    block = page.locator(f"#operations-batches-{operation}")
    block.locator(".opblock-summary").click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_label("Request content type").select_option(form)
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_without_keys_there_is_no_authorize_button(page: Page) -> None:
    page.goto("/docs")
    expect(page.locator("#operations-predictions-genre")).to_be_visible()
    expect(page.get_by_role("button", name="Authorize", exact=True)).to_have_count(0)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_page_shows_the_endpoints_and_asks_no_other_host(
    page: Page, client: httpx.Client, requests: list[Request], path: str
) -> None:
    page.goto(path)
    expect(page.get_by_text("Predict the genre of a piece").last).to_be_visible()
    expect(page.get_by_text("Predict whether a piece comes from north of 20° N").last).to_be_visible()
    expect(page.get_by_text("Predict where a piece comes from").last).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert_all_stay_here(requests, client)


def test_pages_behind_a_proxy_path_name_that_path(start_server: StartServer) -> None:
    with start_server(UVICORN_ROOT_PATH="/music") as client:
        for path, script in (("/docs", "swagger-ui-bundle.js"), ("/redoc", "redoc.standalone.js")):
            page = client.get(path).text
            assert f'src="/music/docs/assets/{script}"' in page
            assert "/music/openapi.json" in page


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_policy_confines_the_page_to_this_service(client: httpx.Client, path: str) -> None:
    policy = client.get(path).headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
