import csv
import gzip
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from models.bundle import ModelBundle
from models.features import Floats
from service.forms import ARROW, CSV, JSON, NPY
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import StartServer, problem
from tests.service.test_arrow import as_arrow
from training.dataset import Dataset

PATHS = ("/genre/batch", "/north-of-20/batch")
ROWS = np.random.default_rng(8).normal(size=(7, 68)).round(4)


def as_json(rows: Floats) -> bytes:
    return json.dumps({"features": rows.tolist()}).encode()


def as_csv(rows: Floats, separator: str = ",") -> bytes:
    return "".join(separator.join(map(repr, row.tolist())) + "\n" for row in rows).encode()


def as_npy(rows: Floats) -> bytes:
    stream = io.BytesIO()
    np.save(stream, rows, allow_pickle=False)
    return stream.getvalue()


WRITERS: dict[str, Callable[[Floats], bytes]] = {JSON: as_json, CSV: as_csv, NPY: as_npy, ARROW: as_arrow}


def post(client: httpx.Client, path: str, content: bytes, form: str, **headers: str) -> httpx.Response:
    return client.post(path, content=content, headers={"Content-Type": form, **headers})


def columns_of(reply: httpx.Response) -> dict[str, list[Any]]:
    """The columns of a reply in any form."""
    reply.raise_for_status()
    form = reply.headers["content-type"].partition(";")[0]
    if form == JSON:
        return {name: values for name, values in reply.json().items() if isinstance(values, list)}
    if form == CSV:
        rows = list(csv.DictReader(io.StringIO(reply.text)))
        return {
            name: [json.loads(row[name]) for row in rows]
            for name in rows[0]
            if name not in ("model_version", "network")
        }
    if form == NPY:
        table = np.load(io.BytesIO(reply.content), allow_pickle=False)
        return {name: table[name].tolist() for name in table.dtype.names}
    columns: dict[str, list[Any]] = pa.ipc.open_stream(reply.content).read_all().to_pydict()
    return columns


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_same_columns_in_every_form(client: httpx.Client, path: str, form: str) -> None:
    expected = columns_of(client.post(path, json={"features": ROWS.tolist()}))
    for accepted in WRITERS:
        reply = post(client, path, WRITERS[form](ROWS), form, Accept=accepted)
        assert reply.headers["content-type"].partition(";")[0] == accepted
        assert columns_of(reply) == expected


def test_batch_of_genres_is_what_the_pieces_get(client: httpx.Client, dataset: Dataset, bundle: ModelBundle) -> None:
    reply = client.post("/genre/batch", json={"features": dataset.features.tolist()}).raise_for_status().json()
    assert list(reply) == ["genre", "distance", "typicality", "unusual", "warning", "model_version"]
    assert np.bincount(reply["genre"]).tolist() == [genre.size for genre in bundle.manifest.genres]
    for row in range(0, len(dataset), 50):
        piece = client.post("/genre", json={"features": dataset.features[row].tolist()}).json()
        assert reply["genre"][row] == piece["genre"]
        assert reply["distance"][row] == pytest.approx(piece["distance"], rel=1e-12)
        assert reply["typicality"][row] == pytest.approx(piece["typicality"], abs=1e-9)
        assert reply["unusual"][row] == ("warning" in piece)


@pytest.mark.parametrize("query", ["", "?network=simple", "?network=hidden&calibrated=false", "?calibrated=true"])
def test_batch_of_sides_is_what_the_pieces_get(client: httpx.Client, query: str) -> None:
    reply = client.post(f"/north-of-20/batch{query}", json={"features": ROWS.tolist()}).raise_for_status().json()
    assert list(reply) == ["north_of_20", "probability", "network", "model_version"]
    for row, north, probability in zip(ROWS, reply["north_of_20"], reply["probability"], strict=True):
        piece = client.post(f"/north-of-20{query}", json={"features": row.tolist()}).json()
        assert (piece["north_of_20"], piece["network"]) == (north, reply["network"])
        assert probability == pytest.approx(piece["probability"], rel=1e-5)


def test_published_file_is_taken_as_it_is(client: httpx.Client, data_file: Path, dataset: Dataset) -> None:
    reply = post(client, "/genre/batch", data_file.read_bytes(), CSV, Accept=CSV)
    assert reply.headers["x-ignored-columns"] == "69, 70"
    assert reply.text.splitlines()[0] == "genre,distance,typicality,unusual,model_version"
    assert len(reply.text.splitlines()) == 1 + len(dataset)
    assert columns_of(reply) == columns_of(client.post("/genre/batch", json={"features": dataset.features.tolist()}))


def test_seventy_columns_are_taken_in_other_forms_too(client: httpx.Client) -> None:
    wide = np.hstack([ROWS, np.full((7, 2), 5000.0)])
    expected = columns_of(client.post("/genre/batch", json={"features": ROWS.tolist()}))
    for form in (CSV, NPY, ARROW):
        reply = post(client, "/genre/batch", WRITERS[form](wide), form)
        assert (columns_of(reply), reply.headers["x-ignored-columns"]) == (expected, "69, 70")
    assert "x-ignored-columns" not in post(client, "/genre/batch", as_npy(ROWS), NPY).headers


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


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/*", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/csv;q=0.1, application/x-npy;q=0.2", NPY),
        ("text/csv, application/json", JSON),
        ("Text/CSV", CSV),
        ("", JSON),
    ],
)
def test_accept_chooses_the_form(client: httpx.Client, accept: str | None, form: str) -> None:
    headers = {} if accept is None else {"Accept": accept}
    if accept is None:
        del client.headers["Accept"]
    reply = post(client, "/genre/batch", as_csv(ROWS), CSV, **headers)
    assert reply.headers["content-type"].partition(";")[0] == form
    assert reply.headers["vary"] == "Accept"


def test_several_lines_of_accept_are_one_list(client: httpx.Client) -> None:
    headers = [("Content-Type", CSV), ("Accept", "image/png"), ("Accept", CSV)]
    assert client.post("/genre/batch", content=as_csv(ROWS), headers=headers).headers["content-type"].startswith(CSV)


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "nonsense"])
def test_other_accept_is_refused(client: httpx.Client, accept: str) -> None:
    body = problem(post(client, "/genre/batch", as_csv(ROWS), CSV, Accept=accept), 406)
    assert "text/csv" in body["detail"]


@pytest.mark.parametrize("form", ["", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_other_content_type_is_refused(client: httpx.Client, form: str) -> None:
    reply = post(client, "/genre/batch", as_csv(ROWS), form)
    assert "Content-Type: text/csv" in problem(reply, 415)["detail"]
    assert "application/x-npy" in reply.headers["accept-post"]


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


@pytest.fixture(scope="module")
def small(start_server: StartServer) -> Any:
    with start_server(MUSIC_ORIGIN_MAX_BATCH="7", MUSIC_ORIGIN_MAX_BODY_BYTES="100000") as client:
        yield client


@pytest.mark.parametrize("form", WRITERS)
def test_more_rows_than_the_limit_are_refused(small: httpx.Client, form: str) -> None:
    columns_of(post(small, "/genre/batch", WRITERS[form](ROWS), form))
    detail = problem(post(small, "/genre/batch", WRITERS[form](np.vstack([ROWS, ROWS[:1]])), form), 413)["detail"]
    assert detail == "A batch must have at most 7 rows of 68 numbers: send it in parts."


def test_more_bytes_than_the_limit_are_refused_compressed_or_not(small: httpx.Client) -> None:
    content = as_csv(ROWS)
    columns_of(post(small, "/genre/batch", gzip.compress(content), CSV, **{"Content-Encoding": "gzip"}))
    padded = content + b"\n" * 100_000
    for body, headers in ((padded, {}), (gzip.compress(padded), {"Content-Encoding": "gzip"})):
        detail = problem(post(small, "/genre/batch", body, CSV, **headers), 413)["detail"]
        assert detail == "The body must have at most 100000 bytes."


def test_batch_of_the_default_limit_is_taken(client: httpx.Client) -> None:
    rows = np.random.default_rng(1).normal(size=(10_000, 68)).round(9)
    for form in WRITERS:
        columns = columns_of(post(client, "/genre/batch", WRITERS[form](rows), form, Accept=NPY))
        assert len(columns["genre"]) == 10_000


def test_replies_name_the_model_whatever_their_form(client: httpx.Client, bundle: ModelBundle) -> None:
    for form in WRITERS:
        reply = post(client, "/north-of-20/batch", as_csv(ROWS), CSV, Accept=form)
        assert reply.headers["x-model-version"] == bundle.version
    assert pa.ipc.open_stream(reply.content).schema.metadata == {
        b"network": b"places",
        b"model_version": bundle.version.encode(),
    }
    assert f",places,{bundle.version}" in post(client, "/north-of-20/batch", as_csv(ROWS), CSV, Accept=CSV).text


def test_unusual_rows_are_marked_and_warned_of(client: httpx.Client) -> None:
    rows = ROWS.copy()
    rows[3] *= 100
    reply = client.post("/genre/batch", json={"features": rows.tolist()}).json()
    assert reply["unusual"] == [False, False, False, True, False, False, False]
    assert "standardised" in reply["warning"]
    assert "warning" not in client.post("/genre/batch", json={"features": [EXAMPLE_FEATURES]}).json()


def test_without_pyarrow_arrow_is_refused_by_the_name_of_the_extra(tmp_path: Path, start_server: StartServer) -> None:
    """An environment like that of `make serve`: pyarrow is nowhere to be found."""
    hide = (
        "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'pyarrow' else f(n, *a)"
    )
    (tmp_path / "sitecustomize.py").write_text(hide)
    with start_server(PYTHONPATH=str(tmp_path)) as client:
        body = problem(post(client, "/genre/batch", as_arrow(ROWS), ARROW), 415)
        assert "music-origin[arrow]" in body["detail"]
        body = problem(post(client, "/genre/batch", as_csv(ROWS), CSV, Accept=ARROW), 406)
        assert "music-origin[arrow]" in body["detail"]
        assert post(client, "/genre/batch", as_csv(ROWS), CSV).headers["content-type"] == JSON


def test_importing_the_forms_loads_no_pyarrow() -> None:
    assert importlib.util.find_spec("pyarrow")
    code = "import sys, service.forms; sys.exit('pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
