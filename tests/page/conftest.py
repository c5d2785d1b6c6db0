"""Fixtures: the page in a browser, on a server as it is shipped, and what people would give it."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.conftest import RunServer
from tests.page.said import FRAGMENT
from tests.page.table import finished

NewPage = Callable[..., Page]


@pytest.fixture(scope="session")
def server(run_server: RunServer) -> Iterator[httpx.Client]:
    """A client of a server as it is shipped."""
    with run_server(shipped=True) as server:
        yield server.client


@pytest.fixture(scope="module")
def new_page(browser: Browser, server: httpx.Client) -> Iterator[NewPage]:
    """Makes a page, in a context of its own; none may ever fail or break its policy."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def watch(message: ConsoleMessage) -> None:
        if "Policy" in message.text:
            faults.append(message.text)

    def make(**options: Any) -> Page:
        settings: dict[str, Any] = {"base_url": str(server.base_url), "viewport": {"width": 1280, "height": 900}}
        context = browser.new_context(**settings | options)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on("console", watch)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="module")
def only_page(new_page: NewPage) -> Page:
    """One for all tests of a file, for it remembers nothing once it is left."""
    return new_page()


@pytest.fixture
def page(only_page: Page, requests: list[Request]) -> Iterator[Page]:
    """The page, opened anew."""

    def note(request: Request) -> None:
        requests.append(request)

    only_page.on("request", note)
    only_page.goto("/")
    yield only_page
    only_page.remove_listener("request", note)
    only_page.unroute_all()
    only_page.emulate_media(color_scheme="light")
    only_page.goto("about:blank")


@pytest.fixture(scope="session")
def rows() -> NDArray[np.float64]:
    """2,500 pieces (2500, 68), drawn from a normal distribution."""
    return np.random.default_rng(11).normal(size=(2500, 68)).round(3)


@pytest.fixture(scope="module")
def shown(new_page: NewPage) -> Page:
    """The page with the documentation's example on it, to be looked at."""
    page = new_page()
    page.goto(f"/{FRAGMENT}")
    expect(page.locator("#piece-title")).to_be_visible()
    return page


@pytest.fixture
def opened(page: Page, rows: NDArray[np.float64]) -> Page:
    """The page with the table of 2,500 rows."""
    open_file(page, as_csv(rows))
    finished(page, "tracks.csv: 2,500 pieces")
    return page


def posted(requests: list[Request]) -> list[Request]:
    """The requests that sent something."""
    return [request for request in requests if request.method == "POST"]


def sent_features(requests: list[Request]) -> list[float]:
    """The features of the first piece that was sent."""
    body = posted(requests)[0].post_data_json
    assert body is not None
    features: list[float] = body["features"]
    return features


def sent_rows(requests: list[Request], path: str = "/genre/batch") -> NDArray[np.float64]:
    """The rows that were sent there, in the order of the requests."""
    bodies = [request.post_data_buffer or b"" for request in posted(requests) if request.url.endswith(path)]
    return np.concatenate([np.load(io.BytesIO(body)) for body in bodies])


def as_csv(rows: NDArray[np.float64], separator: str = ",") -> str:
    """Lines of text."""
    return "".join(separator.join(map(str, row)) + "\n" for row in rows.tolist())


def open_file(page: Page, content: str | bytes, name: str = "tracks.csv") -> None:
    """Opens a file of this content."""
    buffer = content if isinstance(content, bytes) else content.encode()
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": buffer})
