"""Many pieces: what is asked about, shown, chosen and kept is what the API says."""

import csv
import io

import httpx
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, Request, Route, expect

from service.schemas import UNUSUAL_ROWS
from tests.page.conftest import as_csv, open_file, posted, sent_rows
from tests.page.said import percent, predicted
from tests.page.table import finished, grid, rows_in_sight, save

Matrix = NDArray[np.float64]
HOSTILE = '<img src=x onerror="document.title=`taken`">'


def test_every_row_is_sent_and_kept(opened: Page, requests: list[Request], server: httpx.Client, rows: Matrix) -> None:
    for path in ("/genre/batch", "/origin/batch", "/north-of-20/batch"):
        np.testing.assert_array_equal(sent_rows(requests, path), rows)
    table = predicted(server, rows)
    header, *lines = save(opened)
    kept = dict(zip(header, zip(*lines, strict=True), strict=True))
    assert header == ["row", *table]
    assert [int(row) for row in kept["row"]] == [*range(1, 2501)]
    for name, values in table.items():
        if isinstance(values[0], float):  # parts of a table have their sums made in another order
            np.testing.assert_allclose(np.array(kept[name], float), values, rtol=1e-6, atol=1e-9)
        else:
            shown = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
            assert list(kept[name]) == shown


def test_table_and_charts_show_what_the_api_says(opened: Page, server: httpx.Client, rows: Matrix) -> None:
    table = predicted(server, rows)
    for row, shown in enumerate(rows_in_sight(opened)[:8]):
        assert shown[:2] == [str(row + 1), table["country"][row]]
        assert shown[2:4] == [percent(table[name][row]) for name in ("probability", "probability_of_north")]
        assert shown[4:6] == [str(table["genre"][row]), percent(table["typicality"][row])]
    genres, sides = (bars.locator(".value").all_inner_texts() for bars in opened.locator("#table .bars").all())
    counts = np.bincount(table["genre"], minlength=10)
    assert [value.partition(" ")[0] for value in genres] == [f"{count:,}" for count in counts]
    in_north = sum(table["north_of_20"])
    assert [value.partition(" ")[0] for value in sides] == [f"{in_north:,}", f"{2500 - in_north:,}"]


def test_words_go_along_as_text(page: Page, rows: Matrix) -> None:
    """Names of pieces, and whatever a header or a name may try to do to the page, or to a spreadsheet."""
    names = [HOSTILE, 'a, "b"\nand c', "=1+1", '7" and 12" mix']
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(
        [["name", *[f"{HOSTILE}{chr(97 + each)}" for each in range(67)], "last", HOSTILE]]
        + [[name, *row, "same"] for name, row in zip(names, rows[:4].tolist(), strict=True)]
    )
    open_file(page, file.getvalue())
    finished(page, "tracks.csv: 4 pieces")
    assert [row[1].split() for row in rows_in_sight(page)] == [name.split() for name in names]
    expect(grid(page).locator("th").nth(2)).to_have_text(HOSTILE)
    header, *lines = save(page)
    assert header[:3] == ["row", "name", HOSTILE]
    assert [line[1:3] for line in lines] == [[name.replace("=1", "'=1"), "same"] for name in names]
    page.locator("[data-position]").first.click()
    expect(page.locator("#piece-title")).to_contain_text(f"Row 1, {HOSTILE}: ")
    assert page.locator("img").count() == 0
    assert page.title().startswith("Row 1, <img")


def test_click_shows_the_row_beside_the_table(opened: Page, requests: list[Request], rows: Matrix) -> None:
    for row in (4, 7):
        opened.locator("[data-position]").nth(row).click()
        expect(opened.locator("#piece-title")).to_contain_text(f"Row {row + 1}: ")
        assert posted(requests)[-1].post_data_json == {"features": rows[row].tolist()}
        assert opened.url.endswith("#piece=" + ",".join(f"{value:g}" for value in rows[row]))
        expect(opened.locator("#row-map figcaption")).to_have_text(f"Row {row + 1}")
        expect(opened.locator("#row-map svg")).to_be_in_viewport(ratio=0.9)
        expect(opened.locator("#row-map circle")).to_have_count(33)
        expect(opened.locator("[aria-selected=true] td").first).to_have_text(str(row + 1))
    assert opened.get_by_label("68 numbers").input_value() == ""
    opened.reload()
    expect(opened.locator("#piece-title")).to_contain_text("Row 8: ")
    expect(opened.locator("#table")).to_be_hidden()


def test_rows_that_are_alike_keep_their_names(page: Page, rows: Matrix) -> None:
    open_file(page, as_csv(rows[[0, 0]]))
    finished(page, "tracks.csv: 2 pieces")
    for row in (0, 1):
        page.locator("[data-position]").nth(row).click()
        expect(page.locator("#piece-title")).to_contain_text(f"Row {row + 1}: ")
        expect(page.locator("#row-map figcaption")).to_have_text(f"Row {row + 1}")
    page.go_back()
    page.go_back()
    expect(page.locator("#row-map")).to_be_hidden()
    assert page.title() == "Where does this music come from?"


def test_table_is_there_again_on_the_way_back(opened: Page) -> None:
    """From a row to the table, from another piece to the row, and after a file that cannot be read."""
    opened.locator("[data-position]").nth(4).click()
    expect(opened.locator("#piece-title")).to_contain_text("Row 5: ")
    opened.get_by_role("button", name="genre 9", exact=True).click()
    expect(opened.locator("#piece-title")).to_have_text("Most like the music of the United Kingdom")
    expect(opened.locator("#table")).to_be_hidden()
    opened.go_back()
    expect(opened.locator("#piece-title")).to_contain_text("Row 5: ")
    expect(opened.locator("#table")).to_be_visible()
    opened.go_back()
    expect(opened.locator("#piece")).to_be_hidden()
    expect(opened.locator("#table")).to_be_visible()
    open_file(opened, "PK\x03\x04", "wrong.xlsx")
    expect(opened.locator("#input-error")).to_contain_text("wrong.xlsx: It is neither text nor .npy.")
    expect(opened.get_by_label("68 numbers")).to_have_attribute("aria-invalid", "false")
    expect(opened.locator("#table")).to_be_visible()
    opened.go_back()
    expect(opened.locator("#table")).to_be_hidden()


def test_entry_of_a_table_does_not_show_the_next_one(opened: Page, rows: Matrix) -> None:
    open_file(opened, as_csv(rows[:3]))
    finished(opened, "tracks.csv: 3 pieces")
    opened.go_back()
    expect(opened.locator("#table")).to_be_hidden()
    opened.go_forward()
    finished(opened, "tracks.csv: 3 pieces")


def test_new_models_in_the_middle_of_a_file_are_told(page: Page, server: httpx.Client, rows: Matrix) -> None:
    """Each row has the version that answered it, and the charts have all genres of the last."""
    described = server.get("/genres").json()
    described["genres"] = [*described["genres"], described["genres"][9] | {"genre": 10}]
    described["model_version"] = "0123456789ab"
    parts: list[Route] = []

    def answer(route: Route) -> None:
        parts.append(route)
        if len(parts) == 1:
            route.continue_()
        else:
            reply = {"genre": [10] * 500, "distance": [5.0] * 500, "typicality": [0.5] * 500, "unusual": [False] * 500}
            route.fulfill(json=reply | {"model_version": "0123456789ab"})

    page.route("**/genre/batch", answer)
    page.route("**/genres", lambda route: route.fulfill(json=described))
    open_file(page, as_csv(rows[:1500]))
    finished(page, "tracks.csv: 1,500 pieces")
    expect(page.locator("#table .bars").first.locator("tr").nth(10)).to_contain_text("genre 10500 (33\xa0%)")
    versions = [line[-1] for line in save(page)[1:]]
    assert versions == [str(server.get("/genres").json()["model_version"])] * 1000 + ["0123456789ab"] * 500


def test_unusual_rows_are_marked_and_warned_of(page: Page, server: httpx.Client, rows: Matrix) -> None:
    """Also where only an early part has any."""
    pieces = np.vstack([9 * rows[:1], rows[:1200] / 2])
    open_file(page, as_csv(pieces))
    finished(page, "tracks.csv: 1,201 pieces")
    unusual = predicted(server, pieces)["unusual"]
    assert unusual[0]
    assert [row[6] == "unusual" for row in rows_in_sight(page)] == unusual[: len(rows_in_sight(page))]
    expect(page.locator("#table .warning")).to_contain_text(UNUSUAL_ROWS)
    expect(page.locator("#table .warning")).to_contain_text("1 piece, take with care.")
