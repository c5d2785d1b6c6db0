"""Requests to infer, written out by hand, and what is in the replies."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

GENRE = "/v2/models/genre/infer"
NORTH = "/v2/models/north-of-20/infer"
LENGTH = "Inference-Header-Content-Length"
ROWS = np.random.default_rng(12).normal(0, 1.5, size=(3, 68))
NONE: Any = object()  # a change that takes the name away


def asked(**changes: Any) -> dict[str, Any]:
    """A request for three rows, but for the changes: of its tensor, or, by names in capitals, of the request itself."""
    tensor = {"name": "features", "shape": [3, 68], "datatype": "FP64", "data": ROWS.ravel().tolist()}
    tensor |= {name: value for name, value in changes.items() if name.islower()}
    request = {"inputs": [{name: value for name, value in tensor.items() if value is not NONE}]}
    request |= {name.lower(): value for name, value in changes.items() if not name.islower()}
    return {name: value for name, value in request.items() if value is not NONE}


def post(client: httpx.Client, request: object, path: str = GENRE) -> httpx.Response:
    return client.post(path, content=json.dumps(request).encode())


def post_binary(
    client: httpx.Client, request: object, binary: bytes, length: str | None = None, path: str = GENRE
) -> httpx.Response:
    head = json.dumps(request).encode()
    return client.post(path, content=head + binary, headers={LENGTH: length or str(len(head))})


def unpacked(**changes: Any) -> dict[str, Any]:
    """A request for three rows that follow as FP64, but for the changes."""
    return asked(**({"data": NONE, "parameters": {"binary_data_size": ROWS.nbytes}} | changes))


def outputs(reply: httpx.Response) -> dict[str, Any]:
    return {output["name"]: output["data"] for output in reply.raise_for_status().json()["outputs"]}


def error(reply: httpx.Response, status: int = 400) -> str:
    """The sentence that says what is wrong; nothing of what was sent, and no word of pydantic's, is in it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json(parse_constant=pytest.fail)
    assert list(body) == ["error"]
    message: str = body["error"]
    assert message.endswith(".")
    assert message[0].isupper() or message[0] == "/"
    for word in ("secret", "InputTensor", "Input should", "Value error", "pydantic"):
        assert word not in message
    assert len(message) < 250
    return message
