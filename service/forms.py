"""The forms of a batch: JSON, CSV, NumPy's .npy and Arrow; how one is chosen, and how a reply is written in each."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any

import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from service.hot_path import Decode, Encode, PredictionRoute, media_type, require_media_type
from service.negotiation import preferred
from service.rows import Rows, read_arrow, read_csv, read_json, read_npy

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
ARROW_IS_INSTALLED = find_spec("pyarrow") is not None
READERS: Mapping[str, Callable[[bytes, int], Rows]] = {JSON: read_json, NPY: read_npy, ARROW: read_arrow}
FORMS = (JSON, CSV, NPY, ARROW) if ARROW_IS_INSTALLED else (JSON, CSV, NPY)

ARROW_IS_MISSING = (
    "Arrow is not read or written here: the service is without its extra `arrow`, which `make extras` adds."
)


@dataclass(frozen=True, eq=False)
class Columns:
    """A reply: columns (n,) by name, and what holds for all rows."""

    columns: Mapping[str, NDArray[Any]]
    constants: Mapping[str, str]


class BatchRoute(PredictionRoute):
    """A route whose endpoint is `(state, body: Rows, query) -> Columns`; headers say the forms of both."""

    max_bytes = None

    def check_head(self, request: Request) -> None:
        """Raises HTTPException for a form that is not read, or one that is not written."""
        if media_type(request) == ARROW and not ARROW_IS_INSTALLED:
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ARROW_IS_MISSING)
        require_media_type(request, *FORMS)
        reply_form(request)

    def codec(self) -> tuple[Decode, Encode]:
        """Reads the form that Content-Type names and writes the one that Accept prefers."""
        return decode, encode


def decode(request: Request, body: bytes) -> Rows:
    """The rows of the body. Raises HTTPException for too many, RequestValidationError for what are not 68 numbers."""
    form, max_rows = media_type(request), request.state.settings.max_batch
    rows = read_csv(body, max_rows, _declared_header(request)) if form == CSV else READERS[form](body, max_rows)
    request.state.ignored_columns = rows.ignored_columns
    return rows


def encode(request: Request, reply: Columns) -> Response:
    """The reply in the form that the client prefers."""
    form = reply_form(request)
    writers = {JSON: write_json, CSV: write_csv, NPY: write_npy, ARROW: write_arrow}
    headers = {"Vary": "Accept"}
    if ignored := request.state.ignored_columns:
        headers["X-Ignored-Columns"] = ", ".join(map(str, ignored))
    return Response(writers[form](reply), headers=headers, media_type=form)


def _declared_header(request: Request) -> bool | None:
    """Whether Content-Type says that CSV has a header (RFC 4180), None if it says nothing."""
    content_type = Message()
    content_type["Content-Type"] = request.headers["content-type"]
    return {"present": True, "absent": False}.get(str(content_type.get_param("header")).lower())


def reply_form(request: Request) -> str:
    """The form that the client prefers, JSON if it does not say. Raises HTTPException (406)."""
    return preferred(request, FORMS, "" if ARROW_IS_INSTALLED else f" {ARROW_IS_MISSING}")


def write_json(reply: Columns) -> bytes:
    """One array for each column."""
    return to_json({name: values.tolist() for name, values in reply.columns.items()} | dict(reply.constants))


def write_csv(reply: Columns) -> bytes:
    """A header, and a line for each row; what holds for all rows stands in each."""
    columns = {name: _as_text(values) for name, values in reply.columns.items()}
    rows = len(next(iter(columns.values())))
    constants = {name: [value] * rows for name, value in reply.constants.items() if name != "warning"}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *constants])
    writer.writerows(zip(*columns.values(), *constants.values(), strict=True))
    return text.getvalue().encode()


def write_npy(reply: Columns) -> bytes:
    """A structured array, a field for each column; what holds for all rows is in the headers."""
    columns = reply.columns
    rows = len(next(iter(columns.values())))
    table = np.empty(rows, [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        table[name] = values
    stream = io.BytesIO()
    np.save(stream, table, allow_pickle=False)
    return stream.getvalue()


def write_arrow(reply: Columns) -> bytes:
    """A stream of the columns; what holds for all rows is in the schema's metadata."""
    from service import arrow

    return arrow.write(reply.columns, reply.constants)


def _as_text(values: NDArray[Any]) -> list[Any]:
    listed: list[Any] = values.tolist()
    return [str(value).lower() for value in listed] if values.dtype.kind == "b" else listed
