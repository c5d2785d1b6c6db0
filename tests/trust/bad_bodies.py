"""Bad bodies, each in a request as bytes: for each kind a function that makes one of what a random generator draws."""

import gzip
import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from models.features import FEATURE_COUNT
from service.forms import ARROW, CSV, JSON, NPY
from service.schemas import EXAMPLE_FEATURES, EXAMPLE_ROWS
from tests.conftest import damaged
from tests.fuzz_bodies import as_arrow, as_csv, as_npy
from tests.service.door_requests import PIECE
from tests.service.tensor_requests import LENGTH, unpacked
from tests.service.tensor_requests import ROWS as TENSOR
from tests.trust.wire import request

BODY_LIMIT = 300_000  # MUSIC_ORIGIN_MAX_BODY_BYTES of the server that is attacked
DAMAGES = 800  # of each body
PIECES = ("/genre", "/origin", "/north-of-20")
BATCHES = ("/genre/batch", "/origin/batch", "/north-of-20/batch?network=simple")
TENSORS = ("/v2/models/genre/infer", "/v2/models/north-of-20/infer")
TABLE = np.array(EXAMPLE_ROWS)

Draw = random.Random


@dataclass(frozen=True)
class Bad:
    """What is sent, and what is known of it.

    `whole`: it is one request, and ends where it says; of what is not, how much is answered is for the server to find.
    `cut`: the client says no more after it. `head`: it is answered without a body.
    """

    sent: bytes
    whole: bool = True
    cut: bool = False
    head: bool = False


def post(path: str, body: bytes, form: str = JSON, *headers: str) -> bytes:
    lines = (f"Content-Type: {form}", f"Content-Length: {len(body)}", *headers)
    return request(f"POST {path} HTTP/1.1", *lines, body=body)


@cache
def _damages(body: bytes) -> list[bytes]:
    return [*damaged(body, DAMAGES)]


def damage(draw: Draw, *bodies: bytes) -> bytes:
    """A body with a few bytes changed; now and then another time, or with a part of it twice or gone."""
    body = draw.choice(_damages(draw.choice(bodies)))
    if draw.random() < 0.3:
        start, end = sorted(draw.randrange(len(body) + 1) for _ in range(2))
        body = body[:start] + body[start:end] * draw.choice((0, 2, 3)) + body[end:]
    return body


def _value(draw: Draw, depth: int = 4) -> Any:
    """Any JSON value, and what only some take for JSON."""
    if depth and draw.random() < 0.5:
        values = [_value(draw, depth - 1) for _ in range(draw.choice((0, 1, 2, 3, FEATURE_COUNT)))]
        return values if draw.random() < 0.5 else {_name(draw): value for value in values[:5]}
    numbers = (0, -0.0, 1e308, -1e308, 5e-324, 10**400, -(2**63), 2**64, float("nan"), float("inf"), draw.gauss(0, 1))
    return draw.choice((*numbers, None, True, False, "", "1", "\ud800", "\udfff\ud800", "\x00", "é", "features"))


def _name(draw: Draw) -> str:
    return draw.choice(("features", "inputs", "name", "shape", "datatype", "data", "parameters", "outputs", "id", "\0"))


def random_json(draw: Draw) -> Bad:
    document = _value(draw)
    if draw.random() < 0.5:
        document = {draw.choice(("features", "inputs")): document}
    body = json.dumps(document, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    return Bad(post(draw.choice((*PIECES, *BATCHES, *TENSORS)), body))


def changed_json(draw: Draw) -> Bad:
    tensor = {"name": "features", "shape": [1, FEATURE_COUNT], "datatype": "FP64", "data": EXAMPLE_FEATURES}
    bodies = (PIECE, json.dumps({"features": EXAMPLE_ROWS}).encode(), json.dumps({"inputs": [tensor]}).encode())
    return Bad(post(draw.choice((*PIECES, *BATCHES, *TENSORS)), damage(draw, *bodies)))


def odd_number(draw: Draw) -> Bad:
    """A body in order but for one number, which is huge, or a surrogate, or none; or a name that is there twice."""
    digits = "9" * draw.choice((20, 400, 4_300, 5_000, 60_000))
    oddity = draw.choice((
        digits, f"-{digits}", f"1e{digits[:9]}", f"0.{digits}", "1E400", "-0", "01", "+1", ".5", "5.", "0x10", "1_0",
        '"\\ud800"', '"\\udfff"', '"\\u0000"', "NaN", "-Infinity", "null", "true", "[]", "{}", '"1"', "1,", "",
    ))  # fmt: skip
    row = f"[{', '.join([oddity, *map(str, EXAMPLE_FEATURES[1:])])}]"
    name = draw.choice(("features", "features", "\\u0066eatures", "features\\ud800"))
    twice = draw.choice(("", '"features": [], ', f'"features": {json.dumps(EXAMPLE_FEATURES)}, '))
    path = draw.choice((*PIECES, *BATCHES, *TENSORS))
    if path in TENSORS:
        tensor = f'"name": "features", "shape": [1, 68], {twice}"datatype": "FP{draw.choice((32, 64))}", "data": {row}'
        return Bad(post(path, f'{{"inputs": [{{{tensor}}}]}}'.encode()))
    return Bad(post(path, f'{{{twice}"{name}": {row if path in PIECES else f"[{row}]"}}}'.encode()))


def deep_json(draw: Draw) -> Bad:
    depth = draw.choice((100, 900, 1_100, 20_000, BODY_LIMIT // 12))
    start, end = draw.choice((("[", "]"), ('{"features":', "}"), ('[{"a":', "}]")))
    body = start * depth + "1" + end * draw.choice((0, depth, depth - 1))
    name = draw.choice(("features", "inputs", "parameters", "outputs"))
    whole = body if draw.random() < 0.5 else f'{{"{name}": {body}}}'
    return Bad(post(draw.choice((*PIECES, *BATCHES, *TENSORS)), whole.encode()))


def changed_csv(draw: Draw) -> Bad:
    form = draw.choice((CSV, f"{CSV}; header=present", f"{CSV}; header=absent", f'{CSV}; header="', f"{CSV};;=;"))
    separator = draw.choice(",;\t")
    body = damage(draw, as_csv(TABLE, separator, False), as_csv(TABLE, separator, True))
    if draw.random() < 0.3:
        body = body.replace(separator.encode(), draw.choice((b"\n", b'"', b"\x00", b"\xff", b"\r", b"1e999,", b"")), 9)
    return Bad(post(draw.choice(BATCHES), body, form))


def changed_table(draw: Draw) -> Bad:
    """NumPy's form or Arrow's."""
    tables = [TABLE, np.resize(TABLE, (3, FEATURE_COUNT + 2))]
    if draw.random() < 0.5:
        bodies = [as_npy(table, kind, order) for table in tables for kind in ("<f4", ">f8") for order in "CF"]
        return Bad(post(draw.choice(BATCHES), damage(draw, *bodies), NPY))
    return Bad(post(draw.choice(BATCHES), damage(draw, *_arrows()), ARROW))


@cache
def _arrows() -> list[bytes]:
    return [as_arrow(TABLE, in_lists) for in_lists in (False, True)]


def claimed_npy(draw: Draw) -> Bad:
    """A header that claims terabytes, or what is no array of numbers; and little after it."""
    length = draw.choice((0, 1, -1, 2**31, 2**40, 2**63, 2**64, 10**30, True))
    shape = draw.choice((f"({length}, 68)", f"(68, {length})", f"({length},)", "()", f"({length}, {length})", "'x'"))
    kind = draw.choice(("'<f8'", "'<f4'", "'|O'", "'<U9'", "'V8'", "'<f2'", "'<c16'", "[('a', '<f8')]", "'<f8, <f8'"))
    header = f"{{'descr': {kind}, 'fortran_order': {draw.choice((True, False, 'x'))}, 'shape': {shape}, }}"
    header += " " * draw.choice((0, 20, 12_000)) + "\n"
    version, packing = draw.choice(((1, "<H"), (2, "<I"), (3, "<I"), (9, "<I")))
    said = draw.choice((len(header), len(header), 2**16 - 1, 2**31))
    size = struct.pack(packing, min(said, 2**16 - 1) if packing == "<H" else said)
    content = b"\x00" * draw.choice((0, 1, 68 * 4, 68 * 8))
    body = b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + content
    return Bad(post(draw.choice(BATCHES), body, NPY))


def changed_tensor(draw: Draw) -> Bad:
    """A binary tensor, whose head, length, shape or bytes do not fit."""
    size = draw.choice((TENSOR.nbytes, TENSOR.nbytes, 0, -1, 2**63, 10**30, 1.5, "x", None, True))
    shape = draw.choice(([3, 68], [3, 68], [0, 68], [-1, 68], [2**62, 68], [10**30, 68], [68], [], "x", [3, 68, 1]))
    datatype = draw.choice(("FP64", "FP32", "INT64", "BYTES", "", None))
    asked = unpacked(shape=shape, datatype=datatype, parameters={"binary_data_size": size})
    asked["outputs"] = draw.choice(([], [{"name": "genre"}], [{"name": "x"}], [_value(draw, 2)], None, "x"))
    head = json.dumps(asked).encode()
    if draw.random() < 0.5:
        head = next(islice(damaged(head, 20), draw.randrange(20), None))
    length = draw.choice((len(head), len(head), len(head) + 1, 0, -1, 10**30, "x", "", "١", "1e3"))
    body = head + TENSOR.tobytes()[: draw.choice((TENSOR.nbytes, TENSOR.nbytes, 0, 7, -1))]
    sent = f"{LENGTH}: {length}".encode().decode("latin-1")
    return Bad(post(draw.choice(TENSORS), body, "application/octet-stream", sent))


def compressed(draw: Draw) -> Bad:
    """A bomb, or what is not compressed as it says."""
    encoding = draw.choice(("gzip", "x-gzip", "deflate", "GZIP", "br", "zstd", "gzip, gzip", "identity", "", "\xff"))
    content = draw.choice((b" " * 50 * BODY_LIMIT, b"[" * 9 * BODY_LIMIT, PIECE, b"", PIECE * 3))
    body = _compress(content, draw.choice(("gzip", "zlib", "raw", "twice", "none")))
    if draw.random() < 0.5:
        place = draw.randrange(len(body) + 1)
        body = draw.choice((body[:place], body + body, body[:place] + b"\xff" + body[place + 1 :]))
    path = draw.choice((*PIECES, *BATCHES, *TENSORS))
    return Bad(post(path, body, draw.choice((JSON, CSV)), f"Content-Encoding: {encoding}"))


@cache
def _compress(content: bytes, how: str) -> bytes:
    ways: Mapping[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "zlib": zlib.compress,
        "raw": lambda plain: zlib.compress(plain)[2:-4],
        "twice": lambda plain: gzip.compress(gzip.compress(plain)),
        "none": lambda plain: plain[:BODY_LIMIT],
    }
    return ways[how](content)


KINDS: tuple[Callable[[Draw], Bad], ...] = (
    random_json, changed_json, odd_number, deep_json, changed_csv, changed_table, claimed_npy, changed_tensor,
    compressed,
)  # fmt: skip
