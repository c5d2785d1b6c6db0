"""Many pieces: what is asked about, shown, sorted, chosen and kept; what is under way, and what comes in between."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, Request, Route, expect

from service.schemas import UNUSUAL_ROWS
from tests.conftest import RunServer
from tests.page.conftest import NewPage, as_csv, open_file, posted, sent_rows
from tests.page.test_piece import percent

Matrix = NDArray[np.float64]

HOSTILE = '<img src=x onerror="document.title=`taken`">'


def grid(page: Page) -> Locator:
    return page.get_by_role("grid")


def rows_in_sight(page: Page) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator("[data-position]").all()]


def finished(page: Page, title: str) -> None:
    expect(page.locator("#table-title")).to_have_text(title)
    expect(page.locator("#table")).to_be_visible()


@pytest.fixture
def opened(page: Page, rows: Matrix) -> Page:
    """The page with the table of 2,500 rows."""
    open_file(page, as_csv(rows))
    finished(page, "tracks.csv: 2,500 pieces")
    return page


def predicted(server: httpx.Client, rows: Matrix) -> dict[str, list[Any]]:
    """What the API says of rows, column by column, as the file that is downloaded has it."""
    body = {"features": rows.tolist()}
    genres, origins, north = (
        server.post(f"/{path}/batch", json=body).raise_for_status().json()
        for path in ("genre", "origin", "north-of-20")
    )
    version = origins.pop("model_version")
    sides = {"north_of_20": north["north_of_20"], "probability_of_north": north["probability"]}
    genres.pop("warning", None)
    return {**origins, **sides, **genres, "model_version": [version] * len(rows)}


def save(page: Page) -> list[list[str]]:
    """The cells of the file that is downloaded."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "tracks-origins.csv"
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # without which spreadsheets take it for another encoding
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


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


@pytest.mark.parametrize(("column", "position"), [("Likely", 2), ("North", 3), ("Genre", 4), ("Typicality", 5)])
def test_table_is_sorted_by_any_column(opened: Page, column: str, position: int) -> None:
    button = grid(opened).get_by_role("button", name=column)
    heads = grid(opened).get_by_role("columnheader")
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


def test_names_are_sorted_as_people_do(page: Page, rows: Matrix) -> None:
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
    expect(opened.locator("#piece-title")).to_contain_text("Row 12: ")


def test_ten_thousand_rows_stay_few_in_the_page(page: Page, rows: Matrix) -> None:
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


def pause_after(page: Page, parts: int) -> list[Route]:
    """Answers so many parts of a table, and holds back the rest."""
    held: list[Route] = []
    answered = 0

    def hold(route: Route) -> None:
        nonlocal answered
        answered += 1
        if answered > parts:
            held.append(route)
        else:
            route.continue_()

    page.route("**/genre/batch", hold)
    return held


def test_progress_is_shown_and_work_can_be_cancelled(page: Page, rows: Matrix) -> None:
    pause_after(page, parts=2)
    open_file(page, as_csv(rows))
    expect(page.get_by_text("Asked about 2,000 of 2,500 rows")).to_be_visible()
    assert page.locator("progress").evaluate("bar => [bar.value, bar.max]") == [2000, 2500]
    page.get_by_role("button", name="Cancel").click()
    finished(page, "tracks.csv: the first 2,000 of 2,500 pieces")
    expect(page.locator("progress")).to_be_hidden()
    assert [line[0] for line in save(page)][-1] == "2000"


def test_work_can_be_cancelled_before_anything_is_answered(page: Page, rows: Matrix) -> None:
    pause_after(page, parts=0)
    open_file(page, as_csv(rows))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("progress")).to_be_hidden()
    expect(page.locator("#table")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("Cancelled.")
    expect(page.get_by_role("button", name="Open a file…")).to_be_focused()


def test_reading_shows_how_far_it_is_and_can_be_cancelled(page: Page, requests: list[Request], rows: Matrix) -> None:
    """The page counts as it reads, and waits for other things to happen in between."""
    page.evaluate(
        """() => { const words = document.getElementById("doing"); window.seen = [];
            new MutationObserver(() => { window.seen.push(words.textContent);
                if (words.textContent.startsWith("Read 2,000")) document.getElementById("cancel").click();
            }).observe(words, {childList: true}); }"""
    )
    open_file(page, as_csv(np.tile(rows, (4, 1))))
    expect(page.locator("#status")).to_have_text("Cancelled.")
    assert page.evaluate("window.seen") == [f"Read {done} of 10,000 rows" for done in ("0", "1,000", "2,000")]
    assert not posted(requests)


def test_new_work_takes_the_place_of_old(page: Page, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, as_csv(rows), "old.csv")
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    page.unroute("**/genre/batch")
    open_file(page, as_csv(rows[:3]), "new.csv")
    finished(page, "new.csv: 3 pieces")
    assert held
    page.wait_for_load_state("networkidle")
    finished(page, "new.csv: 3 pieces")


def test_way_back_ends_the_work(page: Page, rows: Matrix) -> None:
    page.get_by_role("button", name="genre 9", exact=True).click()
    expect(page.locator("#piece-title")).to_be_visible()
    pause_after(page, parts=0)
    open_file(page, as_csv(rows))
    expect(page.locator("progress")).to_be_visible()
    page.go_back()
    expect(page.locator("progress")).to_be_hidden()
    expect(page.locator("#piece")).to_be_hidden()
    expect(page.locator("[aria-busy]")).to_have_count(0)


def test_work_goes_on_while_the_genres_are_looked_at(page: Page, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, as_csv(rows[:1500]))
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    page.get_by_role("tab", name="The genres").click()
    expect(page.get_by_role("heading", name="Genre 9")).to_be_visible()
    held[0].continue_()
    finished(page, "tracks.csv: 1,500 pieces")


def test_batch_that_the_service_refuses_is_told_as_it_says(
    new_page: NewPage, run_server: RunServer, rows: Matrix
) -> None:
    with run_server(shipped=True, MUSIC_ORIGIN_MAX_BATCH="300") as small:
        page = new_page(base_url=str(small.client.base_url))
        page.goto("/")
        open_file(page, as_csv(rows[:1000]))
        expect(page.locator("#problem")).to_have_text(
            "A batch must have at most 300 rows of 68 numbers: send it in parts."
        )
        expect(page.locator("#table")).to_be_hidden()


def test_file_gives_way_to_a_piece_while_it_is_read(page: Page, requests: list[Request], rows: Matrix) -> None:
    page.evaluate(
        """() => { const words = document.getElementById("doing");
            new MutationObserver(() => words.textContent.startsWith("Read 1,000")
                && document.querySelector("#examples button").click()).observe(words, {childList: true}); }"""
    )
    open_file(page, as_csv(np.tile(rows, (4, 1))))
    expect(page.locator("#piece .lead")).to_contain_text("Genre 0.")
    expect(page.locator("progress")).to_be_hidden()
    page.wait_for_load_state("networkidle")
    expect(page.locator("progress")).to_be_hidden()
    assert len(posted(requests)) == 5


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


def test_what_was_answered_before_a_failure_is_kept(page: Page, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, as_csv(rows))
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    while not held:
        page.wait_for_timeout(10)
    held[0].fulfill(status=503, json={"detail": "There is no model yet: ask later."})
    finished(page, "tracks.csv: the first 1,000 of 2,500 pieces")
    expect(page.locator("#problem")).to_contain_text("There is no model yet: ask later.")


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
