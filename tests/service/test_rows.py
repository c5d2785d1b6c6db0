"""What is read, and what is said of what cannot be."""

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.exceptions import RequestValidationError

from models.features import Floats
from service import rows
from service.forms import ARROW, CSV, JSON, NPY
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import damaged, problem
from tests.service.test_arrow import as_arrow
from tests.service.test_forms import PATHS, ROWS, WRITERS, as_csv, as_npy, columns_of, post

HEADER = ",".join(f"feature {number}" for number in range(1, 69))
CSV_LIKES = {
    "semicolons": as_csv(ROWS, ";"),
    "tabs": as_csv(ROWS, "\t"),
    "decimal commas": as_csv(ROWS, ";").replace(b".", b","),
    "header": HEADER.encode() + b"\n" + as_csv(ROWS),
    "quoted header, tabs": "\t".join(f'"f{number}"' for number in range(68)).encode() + b"\n" + as_csv(ROWS, "\t"),
    "byte order mark": b"\xef\xbb\xbf" + as_csv(ROWS),
    "mark and header": b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n" + as_csv(ROWS),
    "carriage returns": as_csv(ROWS).replace(b"\n", b"\r\n"),
    "no last line break": as_csv(ROWS).rstrip(),
    "blank lines": b"\n" + as_csv(ROWS).replace(b"\n", b"\n\n"),
    "spaces": as_csv(ROWS).replace(b",", b" , "),
    "quotes": b'"' + as_csv(ROWS).replace(b",", b'","').replace(b"\n", b'"\n"').removesuffix(b'"'),
}


@pytest.mark.parametrize("likes", CSV_LIKES)
def test_csv_is_taken_as_people_have_it(client: httpx.Client, likes: str) -> None:
    expected = columns_of(client.post("/north-of-20/batch", json={"features": ROWS.tolist()}))
    assert columns_of(post(client, "/north-of-20/batch", CSV_LIKES[likes], "text/csv; charset=utf-8")) == expected


@pytest.mark.parametrize("array", [ROWS.astype(np.float32), ROWS.astype(">f8"), np.asfortranarray(ROWS)])
def test_npy_is_taken_as_numpy_has_it(client: httpx.Client, array: Floats) -> None:
    expected = columns_of(client.post("/genre/batch", json={"features": array.astype(np.float64).tolist()}))
    columns = columns_of(post(client, "/genre/batch", as_npy(array), NPY))
    assert columns["genre"] == expected["genre"]
    np.testing.assert_allclose(columns["distance"], expected["distance"], rtol=1e-6)


def changed(row: int, column: int, value: float) -> Floats:
    rows = ROWS.copy()
    rows[row, column] = value
    return rows


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "finite"), (-np.inf, "finite"), (1000.5, "at most 1000"), (-2e30, "at least -1000")],
)
def test_wrong_cell_is_named(client: httpx.Client, path: str, form: str, value: float, message: str) -> None:
    body = problem(post(client, path, WRITERS[form](changed(2, 4, value)), form), 422)
    (error,) = body["errors"]
    assert (error["pointer"], error["row"], error["column"]) == ("/features/2/4", 3, 5)
    assert message in error["message"]
    assert body["detail"].startswith("Row 3, column 5 must be")


@pytest.mark.parametrize("form", WRITERS)
def test_ten_wrong_cells_are_named_and_no_more(client: httpx.Client, form: str) -> None:
    rows = np.where(np.arange(68) < 3, np.nan, ROWS)
    body = problem(post(client, "/genre/batch", WRITERS[form](rows), form), 422)
    cells = [(error["row"], error["column"]) for error in body["errors"]]
    assert cells == [(1 + index // 3, 1 + index % 3) for index in range(10)]
    assert body["detail"].startswith("More than 10 values are wrong, the first: Row 1, column 1 must be")


SECRET_CELLS = ["secret", "1.5x", "", "1_0", "--1", "0x10", "true"]


@pytest.mark.parametrize("cell", SECRET_CELLS)
def test_csv_cell_that_is_no_number_is_named(client: httpx.Client, cell: str) -> None:
    lines = as_csv(ROWS).decode().splitlines()
    for row in (0, 3):  # the first line too: it is no header as long as one of its cells is a number
        cells = lines[row].split(",")
        cells[67] = cell
        content = "\n".join([*lines[:row], ",".join(cells), *lines[row + 1 :]])
        reply = post(client, "/genre/batch", content.encode(), CSV)
        (error,) = problem(reply, 422)["errors"]
        assert (error["row"], error["column"]) == (row + 1, 68)
        assert "secret" not in reply.text


@pytest.mark.parametrize("cell", ['"secret"', "true", "null", "[1]", "{}", '"1.5"'])
def test_json_cell_that_is_no_number_is_named(client: httpx.Client, cell: str) -> None:
    rows: list[list[Any]] = ROWS.tolist()
    rows[1][2] = "HERE"
    content = json.dumps({"features": rows}).replace('"HERE"', cell).encode()
    reply = post(client, "/genre/batch", content, JSON)
    (error,) = problem(reply, 422)["errors"]
    assert (error["pointer"], error["row"], error["column"]) == ("/features/1/2", 2, 3)
    assert "secret" not in reply.text


@pytest.mark.parametrize("first", [0, 1])
def test_header_of_numbers_is_asked_about(client: httpx.Client, first: int) -> None:
    content = f"{','.join(map(str, range(first, first + 68)))}\n".encode() + as_csv(ROWS)
    assert "header=present" in problem(post(client, "/genre/batch", content, CSV), 422)["detail"]
    expected = columns_of(post(client, "/genre/batch", as_csv(ROWS), CSV))
    assert columns_of(post(client, "/genre/batch", content, "text/csv; charset=utf-8; header=present")) == expected
    all_rows = columns_of(post(client, "/genre/batch", content, 'text/csv; header="absent"'))
    assert len(all_rows["genre"]) == 8
    assert all_rows["genre"][1:] == expected["genre"]


def test_names_are_rows_where_content_type_says_so(client: httpx.Client) -> None:
    content = HEADER.encode() + b"\n" + as_csv(ROWS)
    body = problem(post(client, "/genre/batch", content, "text/csv; header=absent"), 422)
    assert body["detail"].startswith("More than 10 values are wrong, the first: Row 1, column 1 must be a number")


def test_first_row_without_a_number_is_no_header_unless_its_cells_are_names(client: httpx.Client) -> None:
    for line in (",".join(["NA"] * 68), "," * 67):
        body = problem(post(client, "/genre/batch", f"{line}\n".encode() + as_csv(ROWS), CSV), 422)
        assert body["detail"].startswith("More than 10 values are wrong, the first: Row 1, column 1 must be a number")


def test_rows_of_wrong_length_are_named(client: httpx.Client) -> None:
    rows = ROWS.tolist()
    rows[1], rows[4] = rows[1][:67], [*rows[4], 0.0]
    content = "\n".join(",".join(map(str, row)) for row in rows)
    for reply in (
        client.post("/genre/batch", json={"features": rows}),
        post(client, "/genre/batch", content.encode(), CSV),
    ):
        errors = problem(reply, 422)["errors"]
        assert [error["row"] for error in errors] == [2, 5]
        assert "must have 68 numbers, not 67" in errors[0]["message"]
        assert "must have 68 numbers, not 69" in errors[1]["message"]


WRONG_BODIES: list[tuple[str, bytes, str]] = [
    (JSON, b"{", "must be JSON"),
    (JSON, b"[]", "must be an object"),
    (JSON, b"{}", "is missing"),
    (JSON, b'{"features": []}', "at least one row"),
    (JSON, b'{"features": {}}', "array of rows"),
    (JSON, b'{"features": [1, 2]}', "array of numbers"),
    (JSON, b'{"features": [[]]}', "68 numbers, not 0"),
    (JSON, b'{"features": [[1]], "secret": 1}', "not known"),
    (JSON, b'{"features": ' + b"[" * 5000 + b"]" * 5000 + b"}", "must be JSON"),
    (CSV, b"\n\n", "at least one row"),
    (CSV, HEADER.encode(), "at least one row"),
    (CSV, "1;2;3".encode("utf-16"), "UTF-8"),
    (CSV, b"a,b,c\n1,2,3", "68 numbers, not 3"),
    (CSV, b"x" * 200_000, "68 numbers, not 1"),
    (CSV, as_csv(ROWS[:, :66]), "68 numbers, not 66"),
    (CSV, b'"' + as_csv(ROWS), "must"),
    (NPY, b"PK\x03\x04", "numpy.save"),
    (NPY, as_npy(ROWS)[:-1], "cut off"),
    (NPY, as_npy(ROWS) + b"\0", "more follows"),
    (NPY, as_npy(ROWS[0]), "two dimensions"),
    (NPY, as_npy(ROWS[:0]), "at least one row"),
    (NPY, as_npy(ROWS[:, :60]), "68 numbers, not 60"),
    (NPY, as_npy(ROWS.astype(np.float16)), "float32 or float64"),
    (NPY, as_npy(ROWS.astype(np.int64)), "float32 or float64"),
    (NPY, as_npy(ROWS.astype(np.complex128)), "float32 or float64"),
    (NPY, as_npy(ROWS).replace(b"(7, 68)", b"(-7,68)"), "at least one row"),
    (NPY, as_npy(ROWS[:1]).replace(b"(1, 68), ", b"(True,68)"), "two dimensions"),
    (ARROW, as_arrow(np.zeros((0, 68))), "at least one row"),
    (CSV, as_csv(ROWS) + b'"1\n2"' + b",1" * 67, "must"),
    (CSV, as_csv(ROWS[:, :67]).replace(b"\n", b',"1\n0"\n'), "must"),
    (NPY, as_npy(ROWS).replace(b"<f8", b"|O8"), "must be an array"),
    (NPY, as_npy(ROWS).replace(b"descr", b"other"), "numpy.save"),
    (ARROW, b"secret", "Arrow stream"),
]


@pytest.mark.parametrize(("form", "content", "message"), WRONG_BODIES)
def test_wrong_body_is_explained(client: httpx.Client, form: str, content: bytes, message: str) -> None:
    reply = post(client, "/genre/batch", content, form)
    assert message in problem(reply, 422)["detail"]
    assert "secret" not in reply.text


@pytest.mark.parametrize("form", WRITERS)
def test_empty_body_is_said(client: httpx.Client, form: str) -> None:
    assert problem(post(client, "/genre/batch", b"", form), 422)["detail"] == "The body is missing."


def test_pickle_in_an_array_is_not_loaded(client: httpx.Client) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([[{"a": 1}] * 68], dtype=object), allow_pickle=True)
    assert "float32 or float64" in problem(post(client, "/genre/batch", stream.getvalue(), NPY), 422)["detail"]


@pytest.mark.parametrize("shape", ["(99999999999, 68)", "(10001, 68)", "(18446744073709551616, 68)"])
def test_huge_shape_is_refused_before_anything_is_made_of_it(client: httpx.Client, shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    assert "at most 10000 rows" in problem(post(client, "/genre/batch", content, NPY), 413)["detail"]


def test_pydantic_takes_every_batch_that_the_quick_way_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    for body in damaged(json.dumps({"features": [EXAMPLE_FEATURES] * 3}).encode(), 5000):
        with monkeypatch.context() as patch:
            patch.setattr(rows, "_validate_batch", lambda _: None)
            quick = rows.read_json(body, 1000)
        if quick is not None:
            taken += 1
            assert quick.features.tolist() == rows.validate_batch(body).features
    assert taken > 100


def test_cell_by_cell_takes_all_lines_that_the_quick_way_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    for body in damaged("\n".join([",".join(map(str, EXAMPLE_FEATURES))] * 3).encode(), 5000):
        with monkeypatch.context() as patch:
            patch.setattr(rows, "_read_cells", lambda _: 1 / 0)
            try:
                quick = rows.read_csv(body, 1000)
            except (ZeroDivisionError, RequestValidationError):
                continue
        taken += 1
        with monkeypatch.context() as patch:
            patch.setattr(rows, "_parse_lines", lambda *_: 1 / 0)
            assert rows.read_csv(body, 1000).features.tolist() == quick.features.tolist()
    assert taken > 300


def test_line_with_brackets_is_one_line() -> None:
    line = ",".join(map(str, EXAMPLE_FEATURES))
    with pytest.raises(RequestValidationError):
        rows.read_csv(f"{line}],[{line}".encode(), 10)
