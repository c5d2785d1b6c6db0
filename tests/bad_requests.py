"""Every kind of bad input, and what is only odd."""

import gzip
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from service.schemas import EXAMPLE_FEATURES

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SECRET = "s3cr3t"  # stands in every input that could be repeated
MAX_BODY_BYTES = 100_000


class Input(NamedTuple):
    """What a request has; the body that the path documents as its example if it says nothing of one."""

    content: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    query: str = ""


def features(text: str) -> bytes:
    """A body for every path, with this as its first feature."""
    row = f"[{', '.join([text, *map(str, EXAMPLE_FEATURES[1:])])}]"
    return f'{{"features": {row}, "inputs": [{{"name": "features", "shape": [1, 68], "data": {row}}}]}}'.encode()


JSON = {"Content-Type": "application/json"}
COMPRESSED = gzip.compress(SECRET.encode() * 99)

BAD_BODIES = {
    "empty": Input(b"", JSON),
    "cut off": Input(f'{{"features": [1, "{SECRET}'.encode(), JSON),
    "no JSON": Input(SECRET.encode(), JSON),
    "no UTF-8": Input(b'{"\xff": 1}', JSON),
    "deep": Input(b"[" * 50_000, JSON),
    "too large for any path": Input(b" " * (MAX_BODY_BYTES + 1), JSON),
    "too wide": Input(json.dumps({"features": [[0] * 69] * 300}).encode(), JSON),
    "null": Input(b"null", JSON),
    "text": Input(f'"{SECRET}"'.encode(), JSON),
    "array": Input(f'["{SECRET}"]'.encode(), JSON),
    "no names": Input(b"{}", JSON),
    "another name": Input(f'{{"{SECRET}": "{SECRET}"}}'.encode(), JSON),
    "features of text": Input(f'{{"features": "{SECRET}", "inputs": "{SECRET}"}}'.encode(), JSON),
    "rows of text": Input(f'{{"features": ["{SECRET}"], "inputs": ["{SECRET}"]}}'.encode(), JSON),
    "no rows": Input(b'{"features": [], "inputs": []}', JSON),
    "wrong value": Input(features(f'"{SECRET}"'), JSON),
    "NaN": Input(features("NaN"), JSON),
    "infinite": Input(features("-1e999"), JSON),
    "out of bounds": Input(features("123456.789"), JSON),
    "gzip that is none": Input(SECRET.encode(), JSON | {"Content-Encoding": "gzip"}),
    "gzip cut off": Input(COMPRESSED[:-9], JSON | {"Content-Encoding": "gzip"}),
    "gzip and more": Input(COMPRESSED + SECRET.encode(), JSON | {"Content-Encoding": "gzip"}),
    "gzip of much": Input(gzip.compress(b" " * (MAX_BODY_BYTES + 1)), JSON | {"Content-Encoding": "gzip"}),
    "unknown compression": Input(features("0"), JSON | {"Content-Encoding": SECRET}),
    "CSV": Input(f"{SECRET},1\n2".encode(), {"Content-Type": "text/csv"}),
    "CSV that is no text": Input(b"\xff\xfe\x00", {"Content-Type": "text/csv"}),
    ".npy": Input(b"\x93NUMPY" + SECRET.encode(), {"Content-Type": "application/x-npy"}),
    "Arrow": Input(SECRET.encode(), {"Content-Type": "application/vnd.apache.arrow.stream"}),
    "unknown form": Input(SECRET.encode(), {"Content-Type": f"application/{SECRET}"}),
    "form field": Input(SECRET.encode(), {"Content-Type": "application/x-www-form-urlencoded"}),
    "lost to an upgrade": Input(headers=JSON | {"Connection": "Upgrade", "Upgrade": SECRET}),
    "length of a head": Input(features("0"), JSON | {"Inference-Header-Content-Length": SECRET}),
}
ODDITIES = {
    "nothing": Input(),
    "no form that is known": Input(headers={"Accept": f"{SECRET}/{SECRET}"}),
    "no form at all": Input(headers={"Accept": SECRET}),
    "Prometheus": Input(headers={"Accept": "application/openmetrics-text; version=1.0.0"}),
    "browser": Input(headers={"Accept": "text/html,*/*;q=0.8"}),
    "unknown option": Input(query=f"{SECRET}={SECRET}"),
    "wrong options": Input(query=f"network={SECRET}&top={SECRET}&calibrated={SECRET}"),
    "option given twice": Input(query="network=hidden&network=hidden&top=1&top=1"),
    "query that is no text": Input(query="network=%ff&top=%00"),
    "id that is none": Input(headers={"X-Request-ID": f"{SECRET} {SECRET}"}),
    "key that is none": Input(headers={"Authorization": f"{SECRET} {SECRET}", "X-API-Key": SECRET}),
    "part of the reply": Input(headers={"Range": f"bytes={SECRET}"}),
}
UNKNOWN_PATHS = (
    f"/{SECRET}",
    f"/genre/{SECRET}",
    f"/problems/{SECRET}",
    f"/model/plots/{SECRET}",
    f"/docs/assets/{SECRET}",
    f"/docs/assets/..%2f..%2f{SECRET}",
    f"/v2/{SECRET}",
    f"/v2/models/{SECRET}",
    f"/v2/models/{SECRET}/infer",
    f"/v2/models/genre/versions/{SECRET}",
    f"/v2/models/genre/versions/{SECRET}/infer",
)
