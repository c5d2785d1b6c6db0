"""The one way that every prediction request goes: authorized, admitted, read, decoded, answered and encoded, once.

What a piece, a batch or a tensor looks like on the wire is for the route's own decoder and encoder to know.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, NoReturn, get_type_hints

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from models.features import FEATURE_COUNT
from service.schemas import NoOptions

MAX_PIECE_BYTES = 2**16  # one piece takes a few hundred; more is a mistake that need not be looked at
MAX_WAITING = 32  # large bodies, each of which is held meanwhile
LAST_SECONDS = 1.0
COMPRESSIONS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

Decode = Callable[[Request, bytes], Any]
Encode = Callable[[Request, Any], Response]


def _decoded_by_the_route() -> None:
    """Never called: it keeps FastAPI from looking for what the route decodes among the parameters that it knows."""


DECODED = Depends(_decoded_by_the_route)


class Admission:
    """Lets so many predictions be under way at a time, and turns the others away at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way = 0
        self._large = CapacityLimiter(1)
        self._waiting = 0
        self._bodies: set[asyncio.Timeout] = set()
        self._stopping = False

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Holds a place. Raises HTTPException (429) if there is none."""
        if self._under_way >= self._limit:
            _turn_away(f"As many predictions are under way as are taken, {self._limit}: send this again later.")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def run_large(self, answer: Callable[[], Response]) -> Response:
        """Makes a reply in a thread, one after the other: Python would do no two at once, and others are to get in.

        Raises HTTPException (429) if many wait already: each holds its body.
        """
        if self._waiting >= MAX_WAITING:
            _turn_away(f"As many large batches wait for their turn as may, {MAX_WAITING}: send this again later.")
        self._waiting += 1
        try:
            return await to_thread.run_sync(answer, limiter=self._large)
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def in_time(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError if a body does not arrive in time, of which there is less once the service is to stop."""
        async with asyncio.timeout(min(seconds, LAST_SECONDS) if self._stopping else seconds) as timeout:
            self._bodies.add(timeout)
            try:
                yield
            finally:
                self._bodies.discard(timeout)

    def stop_waiting(self) -> None:
        """Gives bodies that have not arrived yet a last moment: the service is about to stop."""
        self._stopping = True
        last = asyncio.get_running_loop().time() + LAST_SECONDS
        for timeout in self._bodies:
            timeout.reschedule(min(timeout.when() or last, last))


class PredictionRoute(APIRoute):
    """A route whose endpoint is `(request, body, query) -> reply`, or without `query`, each annotated with its model.

    FastAPI documents such an endpoint as any other; here its body and query are read by their own types, and what is
    variable in its path is passed on as it is. Body and reply are JSON: routes for other forms say so in `codec`.
    """

    max_bytes: int | None = MAX_PIECE_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of one request."""
        endpoint = self.endpoint
        hints = get_type_hints(endpoint)
        read_query = TypeAdapter(hints.get("query", NoOptions)).validate_python
        decode, encode = self.codec()

        async def handle(request: Request) -> Response:
            request.state.keys.authorize(request)
            self.check_head(request)
            with request.state.admission.admitted():
                arguments = dict(request.path_params)
                query = _query(request, read_query)
                if "query" in hints:
                    arguments["query"] = query
                limit = request.state.settings.max_body_bytes
                body = await read_body(request, min(limit, self.max_bytes or limit))

                def answer() -> Response:
                    return encode(request, endpoint(request, body=decode(request, body), **arguments))

                # What is small takes less than handing it to a thread would.
                small = len(body) <= MAX_PIECE_BYTES
                return answer() if small else await request.state.admission.run_large(answer)

        return handle

    def check_head(self, request: Request) -> None:
        """Raises HTTPException where the head of a request shows that its body need not be read."""
        require_media_type(request, "application/json")

    def codec(self) -> tuple[Decode, Encode]:
        """What reads the body and what writes the reply."""
        hints = get_type_hints(self.endpoint)
        validate, dump = TypeAdapter(hints["body"]).validate_json, TypeAdapter(hints["return"]).dump_json

        def decode(_: Request, body: bytes) -> Any:
            try:
                return validate(body)
            except ValidationError as error:
                raise invalid_input("body", error) from error

        def encode(_: Request, reply: Any) -> Response:
            return Response(dump(reply), media_type="application/json")

        return decode, encode


def invalid_input(source: str, error: ValidationError) -> RequestValidationError:
    """Pydantic's errors as FastAPI's, which say whether the body or the query is wrong."""
    errors = error.errors(include_input=False, include_url=False)
    return RequestValidationError([each | {"loc": (source, *each["loc"])} for each in errors])


def media_type(request: Request) -> str:
    """The body's media type, without parameters, in small letters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media_type(request: Request, *taken: str) -> str:
    """The body's media type. Raises HTTPException (415) unless it is one of those taken."""
    given = media_type(request)
    if given not in taken:
        choices = " or ".join(f"Content-Type: {each}" for each in taken)
        detail = f"The body's form must be said, by the header {choices}."
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Post": ", ".join(taken)})
    return given


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, decompressed; refused as soon as it is known to be too long, or too late."""
    declared_length = request.headers.get("content-length", "")
    if declared_length.isdecimal() and int(declared_length) > limit:
        _refuse_length(limit)
    body = bytearray()
    timeout: float = request.state.settings.request_timeout
    try:
        async with request.state.admission.in_time(timeout):
            async for chunk in _decompressed(request, limit):
                body += chunk
                if len(body) > limit:
                    _refuse_length(limit)
    except TimeoutError as error:
        detail = f"The body must arrive within {timeout:g} seconds, and before the service stops."
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The connection was closed before the body was whole.") from error
    if not body:
        _refuse_empty(request)
    return bytes(body)


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


def _query(request: Request, read: Callable[[Any], Any]) -> Any:
    """The options in the query, each given once at the most."""
    given = request.query_params.multi_items()
    options = dict(given)
    try:
        query = read(options)
    except ValidationError as error:
        raise invalid_input("query", error) from error
    if len(options) < len(given):
        repeated = next(name for name, _ in given if len(request.query_params.getlist(name)) > 1)
        raise RequestValidationError([{"type": "repeated", "loc": ("query", repeated)}])
    return query


def _refuse_empty(request: Request) -> NoReturn:
    """Says of a body that it is empty, or was dropped by the server where an Upgrade was asked for."""
    if "upgrade" in request.headers:
        detail = (
            "The connection is not upgraded here, and the body was lost: send the request without Upgrade, as HTTP/1.1."
        )
        raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
    raise RequestValidationError([{"type": "missing", "loc": ("body",)}])


def refuse_rows(max_rows: int) -> NoReturn:
    """Raises HTTPException (413)."""
    detail = f"A batch must have at most {max_rows} rows of {FEATURE_COUNT} numbers: send it in parts."
    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _turn_away(detail: str) -> NoReturn:
    raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": "1"})


def _refuse_length(limit: int) -> NoReturn:
    detail = f"The body must have at most {limit} bytes."
    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _refuse_compression(encoding: str) -> NoReturn:
    detail = f"The body is not whole {encoding} data, as its header Content-Encoding has it."
    raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
