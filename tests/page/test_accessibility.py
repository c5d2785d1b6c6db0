"""Everybody can use the page: by keys, by ear, in both themes, on any screen. Without JavaScript it says so."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import NewPage
from tests.page.states import STATES

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (320, 360, 640, 768, 1024, 1152, 1920, 2560)

# What of the page reaches beyond its right edge, but for what has an edge of its own.
OUTSIDE = """width => [...document.querySelectorAll("main :is(p, h2, h3, button, svg, textarea, .value)")].filter(
    element => element.checkVisibility() && !element.closest(".grid, .unseen")
    && element.getBoundingClientRect().right > width).map(element => element.outerHTML)"""


@pytest.fixture
def photograph(pytestconfig: pytest.Config, page: Page) -> Callable[[str], None]:
    """Keeps what the whole page looks like, if asked to."""
    folder = pytestconfig.getoption("screenshots")

    def keep(name: str) -> None:
        if folder:
            page.evaluate("() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
            page.screenshot(path=Path(folder) / f"{name.replace(' ', '_')}.png", full_page=True)

    return keep


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(page: Page, photograph: Callable[[str], None], state: str) -> None:
    STATES[state](page)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        photograph(f"{state} {theme}")
        found = Axe().run(page).response
        assert [rule["id"] for rule in found["violations"]] == []
        assert len(found["passes"]) > 15


@pytest.mark.parametrize("state", ["all of a piece", "row of a table", "genres", "key asked for", "long words"])
def test_page_fits_any_width(page: Page, photograph: Callable[[str], None], state: str) -> None:
    STATES[state](page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        photograph(f"{state} {width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE, width) == []
    page.set_viewport_size({"width": 1280, "height": 900})


def test_page_is_used_by_keys_alone(page: Page) -> None:
    expect(page.locator("#examples")).to_be_visible()
    for link in ("API documentation", "Model card"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=link)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Your music")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type(" ".join(["0.5"] * 67))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#input-error")).to_have_text("There must be 68 numbers, not 67.")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("End")
    page.keyboard.type(" 0.5")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#piece-title")).to_be_visible()
    for _ in range(11):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="genre 9", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_text("All 33 places")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("details").first).to_have_attribute("open", "")


def test_tabs_are_changed_by_arrows(page: Page) -> None:
    music, genres = (page.get_by_role("tab", name=name) for name in ("Your music", "The genres"))
    music.focus()
    music.press("ArrowRight")
    expect(genres).to_be_focused()
    expect(genres).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="The genres")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Your music")).to_be_hidden()
    expect(music).to_have_attribute("tabindex", "-1")
    expect(genres).to_have_attribute("tabindex", "0")
    genres.press("ArrowRight")
    expect(music).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Your music")).to_be_visible()


def test_what_happens_is_said(page: Page) -> None:
    """Who does not see the page hears what has come of a request, what is wrong, and what the maps show."""
    status = page.get_by_role("status")
    page.get_by_role("button", name="genre 9", exact=True).click()
    expect(status).to_have_text("Most like the music of the United Kingdom")
    expect(page.get_by_role("img", name="World map of the places it may come from. The likeliest:")).to_be_visible()
    expect(page.get_by_role("img", name="World map of the places of genre 9.")).to_be_visible()
    row = page.get_by_role("row", name="United Kingdom").first
    expect(row).to_be_visible()
    expect(row.get_by_role("cell")).to_have_count(1)  # the bar says no more than its value
    STATES["table"](page)
    expect(status).to_have_text("300 pieces answered.")
    expect(page.locator("#table-title")).to_be_focused()
    STATES["wrong input"](page)
    expect(page.get_by_role("alert").filter(has_text="Number 2, “abc”, is not a number.")).to_be_visible()


def test_page_without_javascript_says_where_to_go(new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/")
    expect(page.get_by_text("This page needs JavaScript")).to_be_visible()
    expect(page.locator("main")).to_be_hidden()
    expect(page.get_by_role("link", name="docs")).to_have_attribute("href", "docs")
    page.get_by_role("link", name="model card").last.click()
    expect(page.get_by_role("heading", name="music-origin").first).to_be_visible()


def test_focus_goes_to_what_has_come(page: Page) -> None:
    """Where the button that was pressed is gone, as one of the genres' tab."""
    STATES["genres"](page)
    page.get_by_role("button", name="Show an example of genre 7").click()
    expect(page.locator("#piece-title")).to_be_focused()


def test_heading_of_the_page_is_its_first(page: Page) -> None:
    STATES["row of a table"](page)
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(next_level <= level + 1 for level, next_level in pairwise(levels))
