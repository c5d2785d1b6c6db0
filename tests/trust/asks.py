"""Requests with known answers, in every form that predictions have."""

import csv
import gzip
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import urlencode

import numpy as np

from models.bundle import ModelBundle
from models.features import FEATURE_COUNT, Floats
from service.forms import CSV, JSON, NPY
from service.tensors import HEAD_LENGTH, INPUT_TYPES, OUTPUT_TYPES
from tests.trust import answers
from tests.trust.answers import NETWORKS, Answer, Model

MOST_ROWS = 300
OCTETS = "application/octet-stream"
REQUEST_ID = "X-Request-ID"

_numbers = itertools.count()


class Headers(Protocol):
    """A reply's headers, of whatever client."""

    def get(self, name: str, /) -> Any:
        """The header's value, None if it is not there."""


@dataclass(frozen=True, eq=False)
class Ask:
    """A request, with what must be answered by the version of the bundle that answers.

    `known` holds the replies that were found right: to compare bytes is much quicker than to read numbers.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    answers: Mapping[str, Answer]
    reply_form: str
    known: dict[str, bytes] = field(default_factory=dict, repr=False)

    def again(self) -> "Ask":
        """The same, with an id that no other has."""
        return replace(self, headers={**self.headers, REQUEST_ID: new_id()})

    def mistake(self, status: int, headers: Headers, body: bytes) -> str | None:
        """What is wrong with a reply, None if nothing is."""
        version = headers.get("X-Model-Version")
        if status != 200:
            return f"{self.path}: {status} {body[:200]!r}"
        if headers.get(REQUEST_ID) != self.headers[REQUEST_ID]:
            return f"{self.path}: the reply to {headers.get(REQUEST_ID)}, not to {self.headers[REQUEST_ID]}"
        if version not in self.answers:
            return f"{self.path}: of version {version}, and there are {' and '.join(self.answers)}"
        if headers.get("Content-Type") != self.reply_form:
            return f"{self.path}: {headers.get('Content-Type')}, not {self.reply_form}"
        if self.known.get(version) != body:
            try:
                found = READERS[self.reply_form](headers, body)
            except Exception as error:  # whatever is no such reply
                return f"{self.path}: no {self.reply_form}, {error!r}: {body[:200]!r}"
            if not _alike(found, self.answers[version]):
                return f"{self.path}: {str(found)[:300]}, not {str(self.answers[version])[:300]}"
            self.known[version] = body
        return None


def new_id() -> str:
    """An id for a request."""
    return f"ask-{os.getpid()}-{next(_numbers)}"


def make_asks(bundles: Sequence[ModelBundle], count: int, seed: int = 0) -> list[Ask]:
    """So many different requests, of each form as many."""
    models = [Model(bundle) for bundle in bundles]
    generator = np.random.default_rng(seed)
    return [form(models, generator).again() for form in itertools.islice(itertools.cycle(FORMS), count)]


def _piece_of_genre(models: Sequence[Model], generator: np.random.Generator) -> Ask:
    return _of_piece("/genre", answers.genre, models, generator)


def _piece_of_origin(models: Sequence[Model], generator: np.random.Generator) -> Ask:
    top = int(generator.integers(1, 40))
    return _of_piece(f"/origin?top={top}", lambda model, rows: answers.origin(model, rows, top), models, generator)


def _piece_north_of_20(models: Sequence[Model], generator: np.random.Generator) -> Ask:
    query, answer = _north(generator)
    return _of_piece(f"/north-of-20{query}", answer, models, generator)


def _of_piece(
    path: str, answer: Callable[[Model, Floats], Answer], models: Sequence[Model], generator: np.random.Generator
) -> Ask:
    rows = generator.normal(0, 1.5, (1, FEATURE_COUNT))
    body = json.dumps({"features": rows[0].tolist()}).encode()
    known = {model.version: answer(model, rows) for model in models}
    return Ask("POST", path, {"Content-Type": JSON}, body, known, JSON)


def _north(generator: np.random.Generator) -> tuple[str, Callable[[Model, Floats], Answer]]:
    """A query, and what gives the answer of a piece."""
    network, calibrated = _network(generator)
    return _query(network, calibrated), lambda model, rows: answers.north_of_20(model, rows, network, calibrated)


def _network(generator: np.random.Generator) -> tuple[str, bool]:
    """A network, and whether it is to be calibrated."""
    return str(generator.choice(NETWORKS)), bool(generator.integers(2))


def _query(network: str, calibrated: bool) -> str:
    return "?" + urlencode({"network": network, "calibrated": str(calibrated).lower()})


def _batch(models: Sequence[Model], generator: np.random.Generator) -> Ask:
    """A batch in one form, to be answered in the same or another."""
    rows = _rows(generator)
    content_type = str(generator.choice([JSON, CSV, NPY]))
    reply_form = str(generator.choice([JSON, CSV, NPY]))
    body = WRITERS[content_type](rows)
    headers = {"Content-Type": content_type, "Accept": reply_form}
    if generator.integers(2):
        body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
    if generator.integers(2):
        path, network, calibrated = "/genre/batch", "", True
    else:
        network, calibrated = _network(generator)
        path = "/north-of-20/batch" + _query(network, calibrated)
    known = {model.version: answers.batch(model, rows, reply_form, network, calibrated) for model in models}
    return Ask("POST", path, headers, body, known, reply_form if reply_form != CSV else f"{CSV}; charset=utf-8")


def _tensor(models: Sequence[Model], generator: np.random.Generator) -> Ask:
    """An inference by the protocol, with tensors in JSON or binary, both ways."""
    rows = _rows(generator)
    datatype = str(generator.choice([*INPUT_TYPES]))
    kind = INPUT_TYPES[datatype]
    network, calibrated = _network(generator)
    name = str(generator.choice(["genre", "north-of-20"]))
    reply_form = str(generator.choice([JSON, OCTETS]))
    tensor: dict[str, Any] = {"name": "features", "shape": [*rows.shape], "datatype": datatype}
    binary, headers = b"", {}
    if generator.integers(2):
        binary = rows.astype(kind).tobytes()
        tensor["parameters"] = {"binary_data_size": len(binary)}
    else:
        tensor["data"] = rows.ravel().tolist() if generator.integers(2) else rows.tolist()
    parameters = {"network": network, "calibrated": calibrated, "binary_data_output": reply_form == OCTETS}
    identity = f"of {generator.integers(10**9)}"
    head = json.dumps({"id": identity, "inputs": [tensor], "parameters": parameters}).encode()
    if binary:
        headers = {HEAD_LENGTH: str(len(head)), "Content-Type": OCTETS}
    asked = rows.astype(kind)
    known = {model.version: answers.tensors(model, asked, name, identity, network, calibrated) for model in models}
    return Ask("POST", f"/v2/models/{name}/infer", headers, head + binary, known, reply_form)


FORMS = [
    _piece_of_genre, _batch, _piece_of_origin, _tensor, _piece_north_of_20, _piece_north_of_20, _batch, _tensor,
]  # fmt: skip


def _rows(generator: np.random.Generator) -> Floats:
    """A few rows, or some hundred."""
    most = 12 if generator.integers(6) else MOST_ROWS
    return generator.normal(0, 1.5, (int(generator.integers(1, most)), FEATURE_COUNT))


def _as_json(rows: Floats) -> bytes:
    return json.dumps({"features": rows.tolist()}).encode()


def _as_csv(rows: Floats) -> bytes:
    return "\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode()


def _as_npy(rows: Floats) -> bytes:
    stream = io.BytesIO()
    np.save(stream, rows)
    return stream.getvalue()


WRITERS: Mapping[str, Callable[[Floats], bytes]] = {JSON: _as_json, CSV: _as_csv, NPY: _as_npy}


def _read_json(_: Headers, body: bytes) -> Answer:
    document: Answer = json.loads(body)
    return document


def _read_csv(_: Headers, body: bytes) -> Answer:
    names, *lines = csv.reader(io.StringIO(body.decode()))
    columns = zip(*lines, strict=True)
    return {name: [_cell(cell) for cell in column] for name, column in zip(names, columns, strict=True)}


def _cell(text: str) -> Any:
    """A number, true or false, or text; a model version such as 123456789012 is text."""
    if len(text) == 12 and text.isalnum():
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_npy(_: Headers, body: bytes) -> Answer:
    table = np.load(io.BytesIO(body), allow_pickle=False)
    return {name: table[name].tolist() for name in table.dtype.names}


def _read_binary(headers: Headers, body: bytes) -> Answer:
    """A reply with binary tensors, as it would be in JSON."""
    start = int(headers.get(HEAD_LENGTH))
    document: Answer = json.loads(body[:start])
    for output in document["outputs"]:
        size = output.pop("parameters")["binary_data_size"]
        output["data"] = np.frombuffer(body[start : start + size], OUTPUT_TYPES[output["datatype"]]).tolist()
        start += size
    if start != len(body):
        raise ValueError(f"{len(body) - start} bytes follow")
    return document


READERS: Mapping[str, Callable[[Headers, bytes], Answer]] = {
    JSON: _read_json,
    f"{CSV}; charset=utf-8": _read_csv,
    NPY: _read_npy,
    OCTETS: _read_binary,
}


def _alike(found: Any, expected: Any) -> bool:
    """Whether two JSON values are the same, but for the rounding of their numbers, as `assert_close` has it."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_alike(found[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_alike, found, expected))
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=3e-5, abs_tol=1e-4)
    return bool(found == expected)
