"""Files, in every form that people have: what is sent is what the file has, and what is doubtful is refused."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, Request, expect

from tests.page.conftest import as_csv, open_file, posted, sent_rows
from tests.service.test_forms import ROWS
from tests.service.test_rows import CSV_LIKES

Matrix = NDArray[np.float64]
PLACE = [[35.7, 139.71]] * 4
NAMES = ",".join(f"f{number}" for number in range(1, 69))


def finished(page: Page, pieces: int) -> None:
    expect(page.locator("#table-title")).to_have_text(f"tracks.csv: {pieces} pieces")


@pytest.mark.parametrize("likes", CSV_LIKES)
def test_csv_is_read_as_the_service_reads_it(page: Page, requests: list[Request], likes: str) -> None:
    open_file(page, CSV_LIKES[likes])
    finished(page, len(ROWS))
    np.testing.assert_array_equal(sent_rows(requests), ROWS)


def prefixed(rows: Matrix, *names: object) -> str:
    return "".join(f"{name},{line}\n" for name, line in zip(names, as_csv(rows).splitlines(), strict=True))


FORMS: dict[str, Callable[[Matrix], str | bytes]] = {
    "spaces": lambda rows: as_csv(rows, " "),
    "names, and numbers that count up": lambda rows: (
        ",".join(["name", *map(str, range(1, 69))]) + "\n" + prefixed(rows, *"abcd")
    ),
    "numbers that count up": lambda rows: ",".join(map(str, range(68))) + "\n" + as_csv(rows),
    "the published columns": lambda rows: as_csv(np.hstack([rows, PLACE])),
    "places by name, first": lambda rows: f"Latitude,lon,{NAMES}\n" + as_csv(np.hstack([PLACE, rows])),
    "an id": lambda rows: f"id,{NAMES}\n" + prefixed(rows, 1001, 1002, 1003, 1004),
    "an index of pandas": lambda rows: f",{NAMES}\n" + prefixed(rows, 0, 1, 2, 3),
    "names, some like numbers": lambda rows: f"title,{NAMES}\n" + prefixed(rows, "", 22, "nan", "x"),
    "names without a header": lambda rows: prefixed(rows, "", "b", "c 1", "d"),
    "lines that end in a comma": lambda rows: as_csv(rows).replace("\n", ",\n"),
    "a name with a semicolon": lambda rows: f"a;b,{NAMES}\n" + prefixed(rows, *"abcd"),
    "quoted names with lines": lambda rows: f'name,{NAMES}\n' + prefixed(rows, '"a\nb"', '"c,d"', '"e""f"', '"g"'),
    "a separator told": lambda rows: "sep=;\n" + as_csv(rows, ";").replace(".", ","),
    "rows of nothing": lambda rows: f"{NAMES}\n{',' * 67}\n{as_csv(rows)}{',' * 67}\n",
    "rows that count up and end in a comma": lambda rows: prefixed(rows, 5, 6, 7, 8).replace("\n", ",\n"),
    "an id of pieces, and a comma at the end": lambda rows: (
        f"piece_id,{NAMES},\n" + prefixed(rows, 3, 1, 4, 1).replace("\n", ",\n")
    ),
    "quotes within names": lambda rows: prefixed(rows, '"Heave Away', "B", '"Reel" no 0', "C"),
    "names in other scripts": lambda rows: (
        prefixed(rows, "Калинка", "中国", "كلمة", "Ωδή").replace("\n", ",Россия\n")
    ),
    "a true minus": lambda rows: as_csv(rows).replace("-", "−"),
    "UTF-16": lambda rows: as_csv(rows, "\t").encode("utf-16"),
    "Windows-1252": lambda rows: prefixed(rows, "Köln", "b", "c", "d").encode("windows-1252"),
    "JSON": lambda rows: '{"features": ' + str(rows.tolist()) + "}",
    "JSON rows": lambda rows: str(rows.tolist()),
}  # fmt: skip


WITH_NAMES = {
    "names, and numbers that count up",
    "numbers that count up",
    "places by name, first",
    "an id",
    "an index of pandas",
    "an id of pieces, and a comma at the end",
    "names, some like numbers",
    "a name with a semicolon",
    "quoted names with lines",
    "rows of nothing",
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_sent_as_they_were_given(page: Page, requests: list[Request], rows: Matrix, form: str) -> None:
    open_file(page, FORMS[form](rows[:4]))
    finished(page, 4)
    np.testing.assert_array_equal(sent_rows(requests), rows[:4])
    aside = page.get_by_text("The two numbers beyond the 68, latitude and longitude, are left aside.")
    expect(aside).to_have_count(int("place" in form or "published" in form))
    expect(page.get_by_text("The first line was read as names.")).to_have_count(int(form in WITH_NAMES))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_arrays_are_sent_as_they_were_given(page: Page, requests: list[Request], rows: Matrix, dtype: str) -> None:
    for columns, by_columns, version in ((68, False, 1), (68, True, 2), (70, False, 3), (70, True, 1)):
        requests.clear()
        array = np.zeros((columns // 10, columns), dtype, order="F" if by_columns else "C")
        array[:, :68] = rows[: columns // 10]
        open_file(page, as_npy(array, version), f"{columns}-{by_columns}.npy")
        expect(page.locator("#table-title")).to_have_text(f"{columns}-{by_columns}.npy: {columns // 10} pieces")
        np.testing.assert_array_equal(sent_rows(requests), array[:, :68])


def as_npy(array: NDArray[np.floating], version: int) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, (version, 0))
    return stream.getvalue()


def with_cells(rows: Matrix, column: int, **cells: str) -> str:
    """The lines of the rows, each named row with another cell in this column."""
    lines = [[str(each) for each in line] for line in rows.tolist()]
    for row, cell in cells.items():
        lines[int(row[3:]) - 1][column - 1] = cell
    return "\n".join(map(",".join, lines))


BOUND = "must be from −1000 to 1000"
REFUSED: dict[str, tuple[Callable[[Matrix], str], str]] = {
    "NaN": (lambda rows: with_cells(rows, 7, row3="NaN"), "Row 3, column 7, “NaN”, must be a finite number."),
    "nothing": (lambda rows: with_cells(rows, 7, row3=""), "Row 3, column 7, “”, is empty."),
    "a word": (lambda rows: with_cells(rows, 7, row3="x1"), "Row 3, column 7, “x1”, is not a number."),
    "too large": (lambda rows: with_cells(rows, 7, row3="2e3"), f"Row 3, column 7, “2e3”, {BOUND}."),
    "a thousand, quoted": (lambda rows: with_cells(rows, 7, row3='"1,000"'), "Row 3, column 7, “1,000”, is not a num"),
    "NA in the first row": (lambda rows: with_cells(rows, 7, row1="NA"), "Row 1, column 7, “NA”, is not a number."),
    "NA in the first row, and a name": (
        lambda rows: f"id,{NAMES}\n" + prefixed(rows, *range(4)).replace(str(rows[0, 5]), "NA"),
        "Row 1 (line 2), column 7, “NA”, is not a number.",
    ),
    "no number in a published row": (
        lambda rows: with_cells(np.hstack([rows, PLACE]), 7, row1="NA"),
        "Row 1, column 7, “NA”, is not a number.",
    ),
    "a column of errors": (
        lambda rows: f"id,{NAMES}\n" + with_cells(np.hstack([[[1], [2], [3], [4]], rows]), 69, row1="#DIV/0!"),
        "Row 1 (line 2), column 69, “#DIV/0!”, is not a number.",
    ),
    "a column of nothing but errors, and an id": (
        lambda rows: f"id,{NAMES}\n" + prefixed(rows[:, :67], *range(4)).replace("\n", ",#DIV/0!\n"),
        "Row 1 (line 2), column 69, “#DIV/0!”, is not a number.",
    ),
    "a column of nothing but NA, and numbers before": (
        lambda rows: prefixed(rows[:, :67], *range(4)).replace("\n", ",NA\n"),
        "Row 1, column 69, “NA”, is not a number.",
    ),
    "a column of words, and an id": (
        lambda rows: f"id,{NAMES}\n" + prefixed(rows[:, :67], *range(4)).replace("\n", ",loud\n"),
        "There must be 68 columns of numbers, not 67; column 1, “0”, is text.",
    ),
    "67 columns": (lambda rows: as_csv(rows[:, :67]), "There must be 68 columns of numbers, not 67."),
    "69 columns": (lambda rows: as_csv(np.hstack([rows, rows[:, :1]])), "There must be 68 columns of numbers, not 69."),
    "two more features than 68": (
        lambda rows: f"duration,{NAMES},tempo\n" + as_csv(np.hstack([PLACE, rows])),
        "There must be 68 columns of numbers, not 70. Leave out what is no feature",
    ),
    "a column of words too many": (lambda rows: prefixed(rows[:, :67], *"abcd"), "not 67; column 1, “a”, is text."),
    "a short row": (lambda rows: as_csv(rows) + "1,2\n", "Row 5 has 2 columns, and the first line 68."),
    "names alone": (lambda _: NAMES + "\n\n", "Number 1, “f1”, is not a number."),
    "names alone, twice": (lambda _: f"{NAMES}\n{NAMES}", "There must be 68 columns of numbers, not 0"),
    "a row of NA": (lambda rows: ",".join(["NA"] * 68) + "\n" + as_csv(rows), "Row 1, column 1, “NA”, is not a num"),
    "units": (lambda rows: ",".join(f"0.{each} dB" for each in range(68)) + "\n" + as_csv(rows), "“0.0 dB”, is not a"),
    "all of it": (lambda _: as_csv(np.full((20, 68), 2e3)), f"column 10, “2000.0”, {BOUND}, and more."),
    "JSON with names": (lambda rows: '{"names": [], "features": ' + str(rows.tolist()) + "}", "only, not “names”."),
    "JSON by row": (lambda _: '{"features": {"0": [1], "length": 1}}', "Row 1 of the JSON must be an array of 68 num"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_wrong_is_said_before_anything_is_sent(
    page: Page, requests: list[Request], rows: Matrix, fault: str
) -> None:
    make, message = REFUSED[fault]
    open_file(page, make(rows[:4]))
    expect(page.locator("#input-error")).to_contain_text(f"tracks.csv: {message}" if message[0] in "RTN" else message)
    expect(page.locator("#table")).to_be_hidden()
    assert not posted(requests)


def test_pasted_rows_are_a_table(page: Page, requests: list[Request], rows: Matrix) -> None:
    page.get_by_label("68 numbers").fill(as_csv(rows[:2]))
    page.get_by_role("button", name="Show where it comes from").click()
    expect(page.locator("#table-title")).to_have_text("Your rows: 2 pieces")
    np.testing.assert_array_equal(sent_rows(requests), rows[:2])


def test_pasted_row_with_a_name_is_a_table(page: Page, requests: list[Request], rows: Matrix) -> None:
    page.get_by_label("68 numbers").fill("my song\t" + as_csv(rows[:1], "\t"))
    page.get_by_role("button", name="Show where it comes from").click()
    expect(page.locator("#table-title")).to_have_text("Your rows: 1 piece")
    np.testing.assert_array_equal(sent_rows(requests), rows[:1])


def drag(page: Page, kinds: str, text: str | None) -> list[bool]:
    """Drags a file with this text, or only words, over the page; gives which events were taken by it."""
    return list(
        page.evaluate(
            """([kinds, text]) => {
            const dataTransfer = new DataTransfer();
            if (text === null) dataTransfer.setData("text/plain", "0.5");
            else dataTransfer.items.add(new File([text], "dropped.csv"));
            return kinds.split(" ").map(kind => !document.body.dispatchEvent(
                new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true})));
        }""",
            [kinds, text],
        )
    )


def test_dropped_file_is_opened(page: Page, requests: list[Request], rows: Matrix) -> None:
    frame = "getComputedStyle(document.documentElement).boxShadow"
    assert page.evaluate(frame) == "none"
    assert drag(page, "dragover", "") == [True]
    assert page.evaluate(frame) != "none"
    drag(page, "dragleave", "")
    assert page.evaluate(frame) == "none"
    assert drag(page, "dragover drop", as_csv(rows[:2])) == [True, True]
    expect(page.locator("#table-title")).to_have_text("dropped.csv: 2 pieces")
    np.testing.assert_array_equal(sent_rows(requests), rows[:2])


def test_words_may_be_dropped_into_the_field(page: Page) -> None:
    assert drag(page, "dragover drop", None) == [False, False]
