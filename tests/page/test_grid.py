"""A table of any length: sorted, gone through by keys, and only as much of it in the page as is in sight."""

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.page.conftest import as_csv, open_file
from tests.page.table import finished, grid, rows_in_sight


@pytest.mark.parametrize(("column", "position"), [("Likely", 2), ("North", 3), ("Genre", 4), ("Typicality", 5)])
def test_table_is_sorted_by_any_column(opened: Page, column: str, position: int) -> None:
    button = grid(opened).get_by_role("button", name=column)
    heads = grid(opened).get_by_role("columnheader")
    grid(opened).get_by_role("button", name="Row").click()  # from the last row to the first, which ties are not to keep
    for direction in ("ascending", "descending"):
        button.click()
        expect(heads.nth(position)).to_have_attribute("aria-sort", direction)
        expect(grid(opened).locator(f"th[aria-sort={direction}]")).to_have_count(1)
        values = [row[position] for row in rows_in_sight(opened)]
        numbers = [
            {"under 1\xa0%": 0.5, "over 99\xa0%": 99.5}.get(value) or float(value.rstrip("\xa0%")) for value in values
        ]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        ties = [int(row[0]) for row in rows_in_sight(opened) if row[position] == values[0]]
        assert column != "Genre" or ties == sorted(ties)
    grid(opened).get_by_role("button", name="Row").click()
    assert rows_in_sight(opened)[0][0] == "1"


def test_names_are_sorted_as_people_do(page: Page, rows: NDArray[np.float64]) -> None:
    names = ["piece 10", "Piece 9", "piece 2"]
    open_file(page, "".join(f"{name},{line}\n" for name, line in zip(names, as_csv(rows[:3]).split(), strict=True)))
    finished(page, "tracks.csv: 3 pieces")
    grid(page).get_by_role("button", name="column 1").click()
    assert [row[1] for row in rows_in_sight(page)] == ["piece 2", "Piece 9", "piece 10"]


def test_sorting_starts_at_the_top(opened: Page) -> None:
    box = opened.locator(".grid")
    box.evaluate("box => box.scrollTop = 10_000")
    grid(opened).get_by_role("button", name="Likely").click()
    assert box.evaluate("box => box.scrollTop") == 0
    assert rows_in_sight(opened)[0][0] != "1"
    expect(grid(opened).locator(".active")).to_have_attribute("data-position", "0")


def test_table_is_gone_through_by_keys(opened: Page) -> None:
    grid(opened).focus()
    active = grid(opened).locator(".active td").first
    for key, row in (
        ("ArrowDown", 2), ("PageDown", 12), ("ArrowUp", 11), ("End", 2500), ("ArrowDown", 2500), ("PageUp", 2490),
        ("Home", 1), ("ArrowUp", 1), ("PageDown", 11),
    ):  # fmt: skip
        grid(opened).press(key)
        expect(active).to_have_text(str(row))
        expect(active).to_be_in_viewport(ratio=0.9)
        named = grid(opened).get_attribute("aria-activedescendant") or ""
        assert opened.locator(f"#{named} td").first.inner_text() == str(row)
    grid(opened).press("Enter")
    expect(opened.locator("#piece-title")).to_contain_text("Row 11: ")
    expect(grid(opened)).to_be_focused()
    grid(opened).press("ArrowDown")
    grid(opened).press(" ")
    expect(opened.locator("#piece-title")).to_contain_text("Row 12: ")
    opened.locator(".grid").evaluate("box => box.scrollTop = 40_000")
    expect(grid(opened)).to_have_attribute("aria-activedescendant", "")
    grid(opened).get_by_role("button", name="Genre").press("Enter")
    expect(grid(opened).get_by_role("columnheader", name="Genre")).to_have_attribute("aria-sort", "ascending")
    expect(opened.locator("#piece-title")).to_contain_text("Row 12: ")


def test_ten_thousand_rows_stay_few_in_the_page(page: Page, rows: NDArray[np.float64]) -> None:
    """Whatever is scrolled to, no more rows are in the page than a few times those in sight, and none is missing."""
    open_file(page, as_csv(np.tile(rows, (4, 1))))
    finished(page, "tracks.csv: 10,000 pieces")
    expect(grid(page)).to_have_attribute("aria-rowcount", "10001")
    box = page.locator(".grid")
    for share in (0, 0.37, 1):
        box.evaluate("(box, share) => box.scrollTop = share * (box.scrollHeight - box.clientHeight)", share)
        page.evaluate("() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
        numbers = [int(row[0]) for row in rows_in_sight(page)]
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        assert 12 <= len(numbers) <= 60
        first = box.evaluate("box => box.scrollTop / 32")
        assert numbers[0] <= first + 2
        assert numbers[-1] >= min(first + 12, 10_000)
