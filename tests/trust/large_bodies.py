"""The largest bodies that are taken by default, each of the kind that would fill the memory in another way."""

import gzip
from collections.abc import Callable, Mapping

import pyarrow as pa

from service.forms import ARROW, CSV, JSON
from tests.fuzz_bodies import arrow_stream
from tests.trust.bad_bodies import post

LIMIT = 16 * 2**20
BATCH = "/genre/batch"
TENSOR = "/v2/models/genre/infer"
ROW = b",".join([b"0.12345678901234567"] * 68)
VALUES = 600_000  # in JSON, a few less than there may be


def _filled(start: bytes, part: bytes, end: bytes = b"") -> bytes:
    """A body as long as may be."""
    return start + part * ((LIMIT - len(start) - len(end)) // len(part)) + end


def _many(start: bytes, part: bytes, end: bytes) -> bytes:
    return start + part * VALUES + end


def _names(start: bytes, end: bytes) -> bytes:
    return start + b",".join(b'"%d":1' % number for number in range(VALUES)) + end


def _columns() -> bytes:
    return arrow_stream(pa.table({f"{number}": [1.0] for number in range(40_000)}))


LARGE: Mapping[str, Callable[[], bytes]] = {
    "bomb": lambda: post(BATCH, gzip.compress(b" " * 16 * LIMIT, 1), JSON, "Content-Encoding: gzip"),
    "arrays in arrays": lambda: post(BATCH, b"[" * LIMIT),
    "objects in objects": lambda: post(BATCH, _filled(b"", b'{"a":')),
    "objects in objects, v2": lambda: post(TENSOR, _filled(b"", b'{"a":')),
    "rows and a wrong one": lambda: post(BATCH, b'{"features":[' + (b"[" + ROW + b"],") * 9_999 + b"[0]]}"),
    "names": lambda: post(BATCH, _names(b"{", b"}")),
    "names, no JSON": lambda: post(BATCH, _names(b"{", b',"x":NaN}')),
    "names, v2": lambda: post(TENSOR, _names(b"{", b"}")),
    "parameters": lambda: post(TENSOR, _names(b'{"inputs":[],"parameters":{', b"}}")),
    "texts": lambda: post(BATCH, _many(b'{"features":[', b'"x",', b"1]}")),
    "texts, v2": lambda: post(TENSOR, _many(b'{"inputs":[', b'"x",', b"1]}")),
    "escapes": lambda: post(TENSOR, _filled(b'{"parameters":{"a":"', rb"\u0041", b'"}}')),
    "a number": lambda: post(BATCH, _filled(b'{"features":[[', b"9", b"]]}")),
    "lines and a wrong one": lambda: post(BATCH, (ROW + b"\n") * 9_999 + b"x", CSV),
    "form feeds": lambda: post(BATCH, _filled(b"", b"12\x0c"), CSV),
    "line separators": lambda: post(BATCH, _filled(b"", "12\u2028".encode()), CSV),
    "quotes": lambda: post(BATCH, _filled(b"", b'"'), CSV),
    "columns": lambda: post(BATCH, _columns(), ARROW),
}
