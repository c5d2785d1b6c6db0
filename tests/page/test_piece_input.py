"""One piece, in every form that people have: what is sent is what was given, and what is wrong is said before."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, Request, expect

from models.features import FEATURE_BOUND
from service.schemas import EXAMPLE_FEATURES
from tests.page.conftest import open_file, posted, sent_features

WORDS = [str(value) for value in EXAMPLE_FEATURES]
FORMS = {
    "commas": ",".join(WORDS),
    "commas and spaces": ", ".join(WORDS),
    "spaces": " ".join(WORDS),
    "tabs": "\t".join(WORDS),
    "lines": "\n".join(WORDS) + "\n",
    "lines of Windows": "\r\n".join(WORDS),
    "several lines": ",\n".join(", ".join(WORDS[start : start + 17]) for start in range(0, 68, 17)),
    "commas on several lines": "\n".join(",".join(WORDS[start : start + 17]) for start in range(0, 68, 17)),
    "semicolons": "; ".join(WORDS),
    "decimal commas": ";".join(WORDS).replace(".", ","),
    "decimal commas and spaces": " ".join(WORDS).replace(".", ","),
    "plus signs and exponents": " ".join(f"{value:+.2e}" for value in EXAMPLE_FEATURES),
    "JSON array": json.dumps(EXAMPLE_FEATURES),
    "JSON array of one row": json.dumps([EXAMPLE_FEATURES]),
    "JSON object": json.dumps({"features": EXAMPLE_FEATURES}, indent=2),
    "a line of the data set": ",".join([*WORDS, "35.7", "139.71"]),
    "40 and 28 on two lines": " ".join(WORDS[:40]) + "\n" + " ".join(WORDS[40:]),
    "decimal commas, commas and spaces": ", ".join(WORDS).replace(".", ",").replace(",,", ","),
    "true minuses": " ".join(WORDS).replace("-", "−"),
}

OUT_OF_BOUNDS = "Row 1, column 7, must be a number from −1000 to 1000."


def give(page: Page, text: str) -> None:
    page.get_by_label("68 numbers").fill(text)
    page.get_by_role("button", name="Show where it comes from").click()


def result(page: Page) -> Locator:
    return page.locator("#piece-title")


@pytest.mark.parametrize("form", FORMS)
def test_piece_is_sent_as_it_was_given(page: Page, requests: list[Request], form: str) -> None:
    give(page, FORMS[form])
    expect(result(page)).to_have_text("No place stands out")
    sent = posted(requests)
    assert len(sent) == 5
    assert all(request.post_data_json == {"features": EXAMPLE_FEATURES} for request in sent)
    aside = page.get_by_text("The two numbers beyond the 68, latitude and longitude, are left aside.")
    expect(aside).to_have_count(int(form == "a line of the data set"))


@pytest.mark.parametrize("suffix", ["txt", "csv", "json", "npy"])
def test_piece_is_read_from_a_file(page: Page, requests: list[Request], tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"piece.{suffix}"
    if suffix == "npy":
        np.save(file, np.array(EXAMPLE_FEATURES))
    else:
        file.write_text(FORMS["JSON object" if suffix == "json" else "commas"])
    page.set_input_files("#file", file)
    expect(result(page)).to_be_visible()
    assert sent_features(requests) == EXAMPLE_FEATURES


def changed(place: int, word: str, separator: str = " ") -> str:
    return separator.join([*WORDS[: place - 1], word, *WORDS[place:]])


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("", "There is nothing yet: 68 numbers are wanted.", None),
        ("0.1 0.2", "There must be 68 numbers, not 2.", None),
        (" ".join([*WORDS, "1"]), "There must be 68 numbers, not 69.", None),
        ("hello", "Number 1, “hello”, is not a number.", "hello"),
        (changed(12, "abc"), "Number 12, “abc”, is not a number.", "abc"),
        (changed(3, "1_0"), "Number 3, “1_0”, is not a number.", "1_0"),
        (changed(3, "0x10"), "Number 3, “0x10”, is not a number.", "0x10"),
        (changed(68, "NaN", ", "), "Number 68, “NaN”, must be a finite number.", "NaN"),
        (changed(5, "-Infinity"), "Number 5, “-Infinity”, must be a finite number.", "-Infinity"),
        (changed(2, "1000.5"), "Number 2, “1000.5”, must be from −1000 to 1000.", "1000.5"),
        (changed(2, "-1e999"), "Number 2, “-1e999”, must be from −1000 to 1000.", "-1e999"),
        (f"[{changed(7, 'NaN', ', ')}]", "This is not JSON: Unexpected token 'N'", None),
        (" ".join(["0,5"] * 34), "There must be 68 numbers, not 34.", None),
        ("1,2\n" * 34, "There must be 68 numbers, not 34.", None),
        (f'{{"features": [{changed(7, "null", ", ")}]}}', OUT_OF_BOUNDS, None),
        (f"[{changed(7, '1e5', ', ')}]", OUT_OF_BOUNDS, None),
        (f"[{changed(7, json.dumps('1'), ', ')}]", OUT_OF_BOUNDS, None),
        ("[1, 2]", "A row must have 68 numbers, not 2.", None),
        ("[]", "A row must have 68 numbers, not 0.", None),
        ("{}", "Row 1 of the JSON must be an array of 68 numbers.", None),
        ('{"features": 7}', "Row 1 of the JSON must be an array of 68 numbers.", None),
        ('{"features": "' + "7" * 68 + '"}', "Row 1 of the JSON must be an array of 68 numbers.", None),
        ("[[1], [2, 3]]", "Row 2 of the JSON must be an array of 68 numbers.", None),
        ("[[1], 2]", "Row 2 of the JSON must be an array of 68 numbers.", None),
        ('{"features": [1, 2}', "This is not JSON: ", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_sent(
    page: Page, requests: list[Request], text: str, message: str, marked: str | None
) -> None:
    give(page, text)
    field = page.get_by_label("68 numbers")
    expect(page.locator("#input-error")).to_contain_text(message)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert "input-error" in (field.get_attribute("aria-describedby") or "")
    if marked:
        selected = "({value, selectionStart, selectionEnd}) => value.slice(selectionStart, selectionEnd)"
        assert field.evaluate(selected) == marked
        expect(field).to_be_focused()
    assert not posted(requests)
    field.press("Shift")
    field.press_sequentially("1")
    expect(page.locator("#input-error")).to_be_empty()
    expect(field).to_have_attribute("aria-invalid", "false")


def test_what_was_shown_is_not_of_wrong_input(page: Page) -> None:
    give(page, FORMS["commas"])
    expect(result(page)).to_be_visible()
    give(page, "0.1")
    expect(page.locator("#piece")).to_be_hidden()
    give(page, FORMS["spaces"])
    expect(result(page)).to_be_visible()


def test_bound_is_that_of_the_service(page: Page, requests: list[Request]) -> None:
    give(page, changed(1, f"{FEATURE_BOUND:g}"))
    expect(result(page)).to_be_visible()
    assert sent_features(requests)[0] == FEATURE_BOUND


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file: There is nothing yet"),
        (b"PK\x03\x04\xff\xfe", "file: It is neither text nor .npy. Recordings cannot be read, and spreadsheets once"),
        (b"\x93NUMPY", "file: Number 1, "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(page: Page, requests: list[Request], content: bytes, message: str) -> None:
    open_file(page, content, "file")
    expect(page.locator("#input-error")).to_contain_text(message)
    expect(page.locator("#table")).to_be_hidden()
    assert not posted(requests)


def test_file_too_large_for_a_browser_is_refused(page: Page, requests: list[Request]) -> None:
    page.evaluate(
        """() => {
            const file = new File([new Uint8Array(128 * 2 ** 20 + 1)], "large.csv"), dataTransfer = new DataTransfer();
            dataTransfer.items.add(file);
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        }"""
    )
    expect(page.locator("#input-error")).to_have_text("large.csv: It is larger than 128 MiB: send it from a program.")
    assert not posted(requests)


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.zeros((3, 68), int)), "The file must hold an array of float32 or float64"),
        (npy(np.zeros((3, 67))), "A row must have 68 numbers, not 67."),
        (npy(np.zeros((0, 68))), "The array has no row."),
        (npy(np.zeros((1, 3, 68))), "The array has 3 dimensions, not two."),
        (npy(np.zeros((3, 68)))[:-1], "The file is shorter or longer than its header says"),
        (npy(np.zeros((3, 68))) + b"0", "The file is shorter or longer than its header says"),
        (npy(np.zeros((3, 68)))[:60], "The file must hold an array"),
        (npy(np.array([[0.0] * 68, [0.0] * 5 + [np.nan] + [0.0] * 62])), "Row 2, column 6, must be a number"),
    ],
)
def test_what_is_wrong_with_an_array_is_said(page: Page, requests: list[Request], content: bytes, message: str) -> None:
    test_what_is_wrong_with_a_file_is_said(page, requests, content, message)
