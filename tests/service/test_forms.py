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
from service.schemas import EXAMPLE_FEATURES, OriginBatch
from tests.conftest import StartServer, problem
from tests.service.test_arrow import as_arrow
from training.dataset import Dataset

PATHS = ("/genre/batch", "/origin/batch", "/north-of-20/batch")
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
            name: [row[name] if name == "country" else json.loads(row[name]) for row in rows]
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


def test_batch_of_origins_is_what_the_pieces_get(client: httpx.Client, dataset: Dataset) -> None:
    rows = dataset.features[::2]  # more than are looked for at a time
    reply = client.post("/origin/batch", json={"features": rows.tolist()}).raise_for_status().json()
    assert list(reply) == list(OriginBatch.model_fields)
    assert {len(values) for name, values in reply.items() if name != "model_version"} == {len(rows)}
    for row in [*range(0, len(rows), 40), len(rows) - 1]:
        piece = client.post("/origin?top=1", json={"features": rows[row].tolist()}).json()
        (place,) = piece["places"]
        assert reply["country"][row] == place["country"]
        assert (reply["place_latitude"][row], reply["place_longitude"][row]) == (place["latitude"], place["longitude"])
        assert reply["probability"][row] == pytest.approx(place["probability"], rel=1e-5)
        assert (reply["latitude"][row], reply["longitude"][row]) == (piece["latitude"], piece["longitude"])
        assert reply["expected_error_km"][row] == pytest.approx(piece["expected_error_km"], rel=1e-5)


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
        assert "`arrow`, which `make extras` adds" in body["detail"]
        body = problem(post(client, "/genre/batch", as_csv(ROWS), CSV, Accept=ARROW), 406)
        assert "`arrow`, which `make extras` adds" in body["detail"]
        assert post(client, "/genre/batch", as_csv(ROWS), CSV).headers["content-type"] == JSON


def test_importing_the_forms_loads_no_pyarrow() -> None:
    assert importlib.util.find_spec("pyarrow")
    code = "import sys, service.forms; sys.exit('pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
