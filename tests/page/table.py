"""The table on the page, and the file that it is kept in."""

import csv
import io
from pathlib import Path

from playwright.sync_api import Locator, Page, expect


def grid(page: Page) -> Locator:
    return page.get_by_role("grid")


def rows_in_sight(page: Page) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator("[data-position]").all()]


def finished(page: Page, title: str) -> None:
    expect(page.locator("#table-title")).to_have_text(title)
    expect(page.locator("#table")).to_be_visible()


def save(page: Page) -> list[list[str]]:
    """The cells of the file that is downloaded."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "tracks-origins.csv"
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # without which spreadsheets take it for another encoding
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
