"""Fixtures: a real browser, and the requests that its pages make."""

import os
import re
import shutil
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Request, expect, sync_playwright

from tests.conftest import Require

# Chromium asks its maker for updates by itself; the pages are what is tested here.
QUIET = [
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


@pytest.fixture(scope="module")  # its event loop stays in the way of others
def browser(require: Require) -> Iterator[Browser]:
    """Chromium, without a window."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(executable, "no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=QUIET, chromium_sandbox=hasattr(os, "geteuid") and os.geteuid() != 0
        )
        yield browser
        browser.close()


@pytest.fixture
def requests() -> list[Request]:
    """Every request that the page makes."""
    return []


def assert_all_stay_here(requests: list[Request], client: httpx.Client) -> None:
    """No request goes to another host, or another port of this one."""
    assert requests
    for request in requests:
        url = httpx.URL(request.url)
        here = (url.host, url.port) == (client.base_url.host, client.base_url.port)
        assert here or request.url.startswith(("data:", "blob:")), request.url


def assert_page_shows_a_piece(browser: Browser, address: str) -> None:
    """The page of the service there is whole: it shows an example on the map."""
    with browser.new_context(base_url=address) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name="genre 9", exact=True).click()
        expect(page.locator("#piece-title")).to_have_text("Most like the music of the United Kingdom")
        expect(page.locator("#piece .wide circle")).to_have_count(33)
        expect(page.locator("#land")).to_have_attribute("d", re.compile(".{100000}"))
