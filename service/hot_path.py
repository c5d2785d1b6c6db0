"""The one way that every prediction request goes: bytes are decoded, checked and encoded in compiled code, once."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect


class PredictionRoute(APIRoute):
    """A route whose endpoint is `(request, body, query) -> reply`, or without `query`, each annotated with its model.

    FastAPI documents such an endpoint as any other; here its body and query are read by their own types.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of one request."""
        endpoint = self.endpoint
        types = {name: TypeAdapter(hint) for name, hint in get_type_hints(endpoint).items() if name != "request"}
        decode, encode = types["body"].validate_json, types["return"].dump_json
        read_query = types["query"].validate_python if "query" in types else None

        async def handle(request: Request) -> Response:
            arguments: dict[str, Any] = {}
            try:
                source = "query"
                if read_query is not None:
                    arguments["query"] = read_query(dict(request.query_params))
                source = "body"
                arguments["body"] = decode(await read_body(request))
            except ValidationError as error:
                errors = error.errors(include_input=False, include_url=False)
                raise RequestValidationError([each | {"loc": (source, *each["loc"])} for each in errors]) from error
            return Response(encode(endpoint(request, **arguments)), media_type="application/json")

        return handle


async def read_body(request: Request) -> bytes:
    """The body of a JSON request, refused as soon as it is known to be of another type or too long."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = "The body must be JSON: send it with the header Content-Type: application/json."
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    limit: int = request.state.settings.max_body_bytes
    declared_length = request.headers.get("content-length", "")
    if declared_length.isdecimal() and int(declared_length) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The connection was closed before the body was whole.") from error
    if not body:
        raise _without_body(request)
    return bytes(body)


def _without_body(request: Request) -> Exception:
    """What to say of a request whose body is empty, or was dropped by the server where an Upgrade was asked for."""
    if "upgrade" in request.headers:
        detail = (
            "The connection is not upgraded here, and the body was lost: send the request without Upgrade, as HTTP/1.1."
        )
        return HTTPException(HTTPStatus.BAD_REQUEST, detail)
    return RequestValidationError([{"type": "missing", "loc": ("body",)}])


def _too_large(limit: int) -> HTTPException:
    detail = f"The body must have at most {limit} bytes."
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
