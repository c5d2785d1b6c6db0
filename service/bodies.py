"""The body of a prediction request, read whole."""

import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import NoReturn

import numpy as np
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

COMPRESSIONS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def count(body: bytes, marks: str) -> int:
    """How many bytes of a body are one of these ASCII characters; `bytes.count` takes longer where they are many."""
    values = np.frombuffer(body, np.uint8)
    return sum(int(np.count_nonzero(values == ord(mark))) for mark in marks)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, decompressed; refused as soon as it is known to be too long, or too late."""
    declared_length = request.headers.get("content-length", "")
    if declared_length.isdecimal() and int(declared_length) > limit:
        _refuse_length(limit)
    chunks: list[bytes] = []
    received = 0
    timeout: float = request.state.settings.request_timeout
    try:
        async with request.state.admission.in_time(timeout):
            async for chunk in _decompressed(request, limit):
                chunks.append(chunk)
                received += len(chunk)
                if received > limit:
                    _refuse_length(limit)
    except TimeoutError as error:
        detail = f"The body must arrive within {timeout:g} seconds, and before the service stops."
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The connection was closed before the body was whole.") from error
    if not received:
        _refuse_empty(request)
    return b"".join(chunks)


async def _decompressed(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body's chunks, none much longer than `limit` whatever it is that was compressed."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async for chunk in request.stream():
            yield chunk
        return
    if encoding not in COMPRESSIONS:
        detail = "The body may be compressed with gzip or deflate, and with nothing else."
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Encoding": "gzip, deflate"})
    decompressor = zlib.decompressobj(COMPRESSIONS[encoding])
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                _refuse_length(limit)
            yield decompressor.decompress(chunk, limit + 1)
    except zlib.error:
        _refuse_compression(encoding)
    if (received and not decompressor.eof) or decompressor.unused_data:
        _refuse_compression(encoding)


def _refuse_empty(request: Request) -> NoReturn:
    """Says of a body that it is empty, or was dropped by the server where an Upgrade was asked for."""
    if "upgrade" in request.headers:
        detail = (
            "The connection is not upgraded here, and the body was lost: send the request without Upgrade, as HTTP/1.1."
        )
        raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
    raise RequestValidationError([{"type": "missing", "loc": ("body",)}])


def _refuse_length(limit: int) -> NoReturn:
    detail = f"The body must have at most {limit} bytes."
    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _refuse_compression(encoding: str) -> NoReturn:
    detail = f"The body is not whole {encoding} data, as its header Content-Encoding has it."
    raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
