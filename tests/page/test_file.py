"""Many pieces: what is sent is what the file has, and what is shown, sorted, chosen and kept is what the API says."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, Request, Route, expect

from models.bundle import ModelBundle
from tests.conftest import RunServer
from tests.page.conftest import NewPage, posted
from tests.service.test_forms import ROWS
from tests.service.test_rows import CSV_LIKES

Matrix = NDArray[np.float64]

HOSTILE = '<img src=x onerror="document.title=`taken`">'


def sent(requests: list[Request], path: str = "/genre/batch") -> Matrix:
    """The rows that were sent there, in the order of the requests."""
    bodies = [request.post_data_buffer or b"" for request in posted(requests) if request.url.endswith(path)]
    return np.concatenate([np.load(io.BytesIO(body)) for body in bodies])


def as_csv(rows: Matrix, separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows.tolist())


def open_file(page: Page, folder: Path, content: str | bytes, name: str = "tracks.csv") -> None:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    page.set_input_files("#file", file)


def grid(page: Page) -> Locator:
    return page.get_by_role("grid")


def rows_in_sight(page: Page) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator("[data-position]").all()]


def finished(page: Page, title: str) -> None:
    expect(page.locator("#table-title")).to_have_text(title)


@pytest.fixture
def opened(page: Page, tmp_path: Path, rows: Matrix) -> Page:
    """The page with the table of 2,500 rows."""
    open_file(page, tmp_path, as_csv(rows))
    finished(page, "tracks.csv: 2,500 pieces")
    return page


def predicted(server: httpx.Client, rows: Matrix) -> dict[str, Any]:
    """What the API says of rows, column by column."""
    body = {"features": rows.tolist()}
    replies = [
        server.post(path, json=body).raise_for_status().json() for path in ("/genre/batch", "/north-of-20/batch")
    ]
    return {**replies[0], **replies[1]}


def save(page: Page) -> list[list[str]]:
    """The cells of the file that is downloaded."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "tracks-origins.csv"
    return list(csv.reader(io.StringIO(Path(download.value.path()).read_text(), newline="")))


def test_every_row_is_sent_and_shown(
    opened: Page, requests: list[Request], server: httpx.Client, rows: Matrix, bundle: ModelBundle
) -> None:
    np.testing.assert_array_equal(sent(requests), rows)
    np.testing.assert_array_equal(sent(requests, "/north-of-20/batch"), rows)
    table, *charts = predicted(server, rows), opened.locator("#table .bars")
    header, *lines = save(opened)
    assert header == [
        "row", "genre", "distance", "typicality", "unusual", "north_of_20", "probability", "network", "model_version",
    ]  # fmt: skip
    assert [int(line[0]) for line in lines] == [*range(1, 2501)]
    assert [int(line[1]) for line in lines] == table["genre"]
    for column, name in ((2, "distance"), (3, "typicality"), (6, "probability")):
        np.testing.assert_allclose(
            [float(line[column]) for line in lines], table[name], rtol=1e-6
        )  # the sums of parts are made in another order
    assert [line[5] == "true" for line in lines] == table["north_of_20"]
    assert {tuple(line[7:]) for line in lines} == {("places", bundle.version)}
    counts = np.bincount(table["genre"], minlength=10)
    for line, count in zip(charts[0].nth(0).locator(".value").all_inner_texts(), counts, strict=True):
        assert line.startswith(f"{count:,} ")
    in_north = sum(table["north_of_20"])
    sides = charts[0].nth(1).locator(".value").all_inner_texts()
    assert [int(side.partition(" ")[0].replace(",", "")) for side in sides] == [in_north, 2500 - in_north]
    for row, shown in enumerate(rows_in_sight(opened)[:5]):
        assert shown[:2] == [str(row + 1), str(table["genre"][row])]
        assert shown[3] == f"{table['distance'][row]:.2f}"


@pytest.mark.parametrize("likes", CSV_LIKES)
def test_csv_is_read_as_the_service_reads_it(page: Page, requests: list[Request], tmp_path: Path, likes: str) -> None:
    open_file(page, tmp_path, CSV_LIKES[likes])
    finished(page, f"tracks.csv: {len(ROWS)} pieces")
    np.testing.assert_array_equal(sent(requests), ROWS)


FORMS: dict[str, Callable[[Matrix], str]] = {
    "spaces": lambda rows: as_csv(rows, " "),
    "names and numbers in a header": lambda rows: (
        ",".join(["name", *map(str, range(1, 69))])
        + "\n"
        + "".join(f"a piece,{line}\n" for line in as_csv(rows).split())
    ),
    "columns that are numbered": lambda rows: ",".join(map(str, range(68))) + "\n" + as_csv(rows),
    "the published columns": lambda rows: as_csv(np.hstack([rows, [[35.7, 139.71]] * len(rows)])),
    "JSON": lambda rows: '{"features": ' + str(rows.tolist()) + "}",
    "JSON rows": lambda rows: str(rows.tolist()),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_sent_as_they_were_given(
    page: Page, requests: list[Request], tmp_path: Path, rows: Matrix, form: str
) -> None:
    open_file(page, tmp_path, FORMS[form](rows[:3]))
    finished(page, "tracks.csv: 3 pieces")
    np.testing.assert_array_equal(sent(requests), rows[:3])


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_arrays_are_sent_as_they_were_given(
    page: Page, requests: list[Request], tmp_path: Path, rows: Matrix, dtype: str
) -> None:
    for columns, by_columns in ((68, False), (68, True), (70, False), (70, True)):
        requests.clear()
        array = np.zeros((3, columns), dtype, order="F" if by_columns else "C")
        array[:, :68] = rows[:3]
        file = tmp_path / f"{columns}-{by_columns}.npy"
        np.save(file, array)
        page.set_input_files("#file", file)
        finished(page, f"{file.name}: 3 pieces")
        np.testing.assert_array_equal(sent(requests), array[:, :68])


def test_pasted_rows_are_a_table(page: Page, requests: list[Request], rows: Matrix) -> None:
    page.get_by_label("68 numbers").fill(as_csv(rows[:2]))
    page.get_by_role("button", name="Show where it comes from").click()
    finished(page, "Your rows: 2 pieces")
    np.testing.assert_array_equal(sent(requests), rows[:2])


def test_dropped_file_is_opened(page: Page, requests: list[Request], rows: Matrix) -> None:
    page.evaluate(
        """text => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([text], "dropped.csv"));
            for (const kind of ["dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
            }
        }""",
        as_csv(rows[:2]),
    )
    finished(page, "dropped.csv: 2 pieces")
    np.testing.assert_array_equal(sent(requests), rows[:2])


def with_cell(rows: Matrix, row: int, column: int, cell: str) -> str:
    lines = [[str(each) for each in line] for line in rows.tolist()]
    lines[row - 1][column - 1] = cell
    return "\n".join(map(",".join, lines))


def test_wrong_cells_are_named_before_anything_is_sent(
    page: Page, requests: list[Request], tmp_path: Path, rows: Matrix
) -> None:
    message = page.locator("#input-error")
    for cell, wrong in (
        ("NaN", "“NaN”, must be a finite number"),
        ("", "“”, is empty"),
        ("x1", "“x1”, is not a number"),
        ("2e3", "“2e3”, must be from −1000 to 1000"),
    ):
        open_file(page, tmp_path, with_cell(rows[:4], 3, 7, cell))
        expect(message).to_have_text(f"Row 3, column 7, {wrong}.")
        expect(page.locator("#table")).to_be_hidden()
    for content, wrong in (
        (with_cell(rows[:4], 1, 7, "x1"), "Row 1 must have 68 numbers, not 67 (column 7, “x1”, is text)."),
        (as_csv(rows[:4, :67]), "Row 1 must have 68 numbers, not 67."),
        (as_csv(np.hstack([rows[:4], rows[:4, :1]])), "not 69 (is one of them an index? Leave it out)."),
        (as_csv(rows[:4]) + "1,2\n", "Row 5 has 2 columns, and the first row 68."),
        (",".join(f"f{each}" for each in range(68)) + "\n\n", "Number 1, “f0”, is not a number."),
        (
            ",".join(["NA"] * 68) + "\n" + as_csv(rows[:4]),
            "Row 1 must have 68 numbers, not 0 (column 1, “NA”",
        ),
        ("," * 67 + "\n" + as_csv(rows[:4]), "Row 1, column 1, “”, is empty."),
        (as_csv(np.full((20, 68), 2e3)), "Row 1, column 10, “2000.0”, must be from −1000 to 1000, and more."),
    ):
        open_file(page, tmp_path, content)
        expect(message).to_contain_text(wrong)
    assert not posted(requests)


def test_words_beside_the_numbers_go_along_as_text(page: Page, tmp_path: Path, rows: Matrix) -> None:
    """Names of pieces, and whatever a header or a name may try to do to the page."""
    names = [HOSTILE, 'a, "b"', "=1+1"]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(
        [["name", *[f"{HOSTILE}{each}" for each in range(67)], "last", HOSTILE]]
        + [[name, *row, "same"] for name, row in zip(names, rows[:3].tolist(), strict=True)]
    )
    open_file(page, tmp_path, file.getvalue())
    finished(page, "tracks.csv: 3 pieces")
    assert [row[1] for row in rows_in_sight(page)] == names
    expect(grid(page).get_by_role("columnheader", name="name")).to_be_visible()
    expect(grid(page).locator("th").nth(2)).to_have_text(HOSTILE)
    header, *lines = save(page)
    assert header[:3] == ["row", "name", HOSTILE]
    assert [line[1:3] for line in lines] == [[name, "same"] for name in names]
    page.locator("[data-position]").first.click()
    expect(page.locator("#piece-title")).to_contain_text(f"Row 1, {HOSTILE}: Most like")
    assert page.locator("img").count() == 0
    assert page.title() == "Where does this music come from?"


@pytest.mark.parametrize(("column", "position"), [("Genre", 1), ("Typicality", 2), ("Distance", 3), ("North", 4)])
def test_table_is_sorted_by_any_column(opened: Page, column: str, position: int) -> None:
    button = grid(opened).get_by_role("button", name=column)
    for direction in ("ascending", "descending"):
        button.click()
        expect(grid(opened).get_by_role("columnheader", name=column)).to_have_attribute("aria-sort", direction)
        values = [row[position] for row in rows_in_sight(opened)]
        numbers = [{"under 1 %": 0.5, "over 99 %": 99.5}.get(value) or float(value.rstrip(" %")) for value in values]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        assert len(set(numbers)) > 1 or column in {"Genre", "Typicality", "North"}
    grid(opened).get_by_role("button", name="Row").click()
    assert rows_in_sight(opened)[0][0] == "1"


def test_click_shows_the_row(opened: Page, requests: list[Request], rows: Matrix) -> None:
    for row in (4, 7):
        opened.locator("[data-position]").nth(row).click()
        expect(opened.locator("#piece-title")).to_contain_text(f"Row {row + 1}: Most like the music of")
        assert posted(requests)[-1].post_data_json == {"features": rows[row].tolist()}
        assert opened.url.endswith("#piece=" + ",".join(f"{value:g}" for value in rows[row]))
        expect(opened.locator("#piece .wide")).to_be_in_viewport(ratio=0.9)
        expect(opened.locator("[aria-selected=true] td").first).to_have_text(str(row + 1))
    opened.reload()
    expect(opened.locator("#piece-title")).to_contain_text("Most like the music of")


def test_table_is_gone_through_by_keys(opened: Page) -> None:
    grid(opened).focus()
    active = grid(opened).locator(".active td").first
    for key, row in (
        ("ArrowDown", 2), ("PageDown", 12), ("ArrowUp", 11), ("End", 2500), ("ArrowDown", 2500), ("PageUp", 2490),
        ("Home", 1), ("ArrowUp", 1), ("PageDown", 11),
    ):  # fmt: skip
        grid(opened).press(key)
        expect(active).to_have_text(str(row))
        expect(active).to_be_in_viewport(ratio=0.99)
        named = grid(opened).get_attribute("aria-activedescendant") or ""
        assert opened.locator(f"#{named} td").first.inner_text() == str(row)
    grid(opened).press("Enter")
    expect(opened.locator("#piece-title")).to_contain_text("Row 11: Most like")
    expect(grid(opened)).to_be_focused()


def test_ten_thousand_rows_stay_few_in_the_page(page: Page, tmp_path: Path, rows: Matrix) -> None:
    """Whatever is scrolled to, no more rows are in the page than a few times those in sight, and none is missing."""
    open_file(page, tmp_path, as_csv(np.tile(rows, (4, 1))))
    finished(page, "tracks.csv: 10,000 pieces")
    expect(grid(page)).to_have_attribute("aria-rowcount", "10001")
    box = page.locator(".grid")
    for share in (0, 0.37, 1):
        box.evaluate("(box, share) => box.scrollTop = share * (box.scrollHeight - box.clientHeight)", share)
        page.wait_for_function("() => document.querySelectorAll('[data-position]').length > 0")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        numbers = [int(row[0]) for row in rows_in_sight(page)]
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        assert 12 <= len(numbers) <= 60
        first = page.evaluate("() => document.querySelector('.grid').scrollTop / 32")
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


def test_progress_is_shown_and_work_can_be_cancelled(page: Page, tmp_path: Path, rows: Matrix) -> None:
    pause_after(page, parts=2)
    open_file(page, tmp_path, as_csv(rows))
    progress = page.locator("progress")
    expect(page.get_by_text("Asked about 2,000 of 2,500 rows")).to_be_visible()
    assert progress.evaluate("bar => [bar.value, bar.max]") == [2000, 2500]
    page.get_by_role("button", name="Cancel").click()
    finished(page, "tracks.csv: the first 2,000 of 2,500 pieces")
    assert [line[0] for line in save(page)][-1] == "2000"


def test_work_can_be_cancelled_before_anything_is_answered(page: Page, tmp_path: Path, rows: Matrix) -> None:
    pause_after(page, parts=0)
    open_file(page, tmp_path, as_csv(rows))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#table")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("Cancelled.")


def test_new_work_takes_the_place_of_old(page: Page, tmp_path: Path, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, tmp_path, as_csv(rows), "old.csv")
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    page.unroute("**/genre/batch")
    open_file(page, tmp_path, as_csv(rows[:3]), "new.csv")
    finished(page, "new.csv: 3 pieces")
    assert held
    page.wait_for_load_state("networkidle")
    finished(page, "new.csv: 3 pieces")


def test_smaller_parts_are_sent_where_the_service_takes_no_larger(
    new_page: NewPage, run_server: RunServer, tmp_path: Path, rows: Matrix
) -> None:
    with run_server(shipped=True, MUSIC_ORIGIN_MAX_BATCH="300") as small:
        page = new_page(base_url=str(small.client.base_url))
        page.goto("/")
        open_file(page, tmp_path, as_csv(rows[:1000]))
        finished(page, "tracks.csv: 1,000 pieces")
        assert [line[0] for line in save(page)][1:] == [str(row + 1) for row in range(1000)]


def test_service_that_is_busy_is_asked_again(page: Page, tmp_path: Path, rows: Matrix) -> None:
    busy = iter([True, True])

    def refuse(route: Route) -> None:
        if next(busy, False):
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"detail": "Later."})
        else:
            route.continue_()

    page.route("**/north-of-20/batch", refuse)
    open_file(page, tmp_path, as_csv(rows[:3]))
    finished(page, "tracks.csv: 3 pieces")


def test_what_was_answered_before_a_failure_is_kept(page: Page, tmp_path: Path, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, tmp_path, as_csv(rows))
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    while not held:
        page.wait_for_timeout(10)
    held[0].fulfill(status=503, json={"detail": "There is no model yet: ask later."})
    finished(page, "tracks.csv: the first 1,000 of 2,500 pieces")
    expect(page.locator("#problem")).to_contain_text("There is no model yet: ask later.")


def test_unusual_rows_are_marked_and_warned_of(page: Page, server: httpx.Client, tmp_path: Path, rows: Matrix) -> None:
    pieces = np.vstack([rows[:2] / 2, 9 * rows[:1]])
    open_file(page, tmp_path, as_csv(pieces))
    finished(page, "tracks.csv: 3 pieces")
    table = predicted(server, pieces)
    assert [row[5] == "unusual" for row in rows_in_sight(page)] == table["unusual"]
    expect(page.locator("#table .warning")).to_contain_text(table["warning"])
