"""The way of every prediction request that the door does not answer: admitted, read, decoded, answered, encoded, once.

What a piece, a batch or a tensor looks like on the wire is for the route's own decoder and encoder to know.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, NoReturn, get_type_hints

import numpy as np
from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from models.features import FEATURE_COUNT
from models.pieces import Piece
from service import schemas
from service.bodies import read_body
from service.state import State

MAX_PIECE_BYTES = 2**16  # one piece takes a few hundred; more is a mistake that need not be looked at

Decode = Callable[[Request, bytes], Any]
Encode = Callable[[Request, Any], Response]
ReadOptions = Callable[[bytes], Mapping[str, Any]]

validate_piece = TypeAdapter(schemas.Piece).validate_json


def _given_by_the_route() -> None:
    """Never called: it keeps FastAPI from looking for what the route gives among the parameters that it knows."""


GIVEN = Depends(_given_by_the_route)
GivenState = Annotated[State, GIVEN]


class PredictionRoute(APIRoute):
    """A route whose endpoint is `(state, body, query) -> reply`, or without `query`.

    FastAPI documents such an endpoint as any other; here its query is read by its own model, and what is variable in
    its path is passed on as it is. Body and reply are a piece and JSON: routes for other forms say so in `codec`.
    """

    max_bytes: int | None = MAX_PIECE_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of one request."""
        endpoint = self.endpoint
        read_options = options_reader(endpoint)
        decode, encode = self.codec()

        async def handle(request: Request) -> Response:
            state: State = request.scope["state"]
            state["keys"].authorize(request)
            self.check_head(request)
            with state["admission"].admitted():
                arguments = {**request.path_params, **read_options(request.scope["query_string"])}
                limit = state["settings"].max_body_bytes
                body = await read_body(request, min(limit, self.max_bytes or limit))

                def answer() -> Response:
                    return encode(request, endpoint(state, decode(request, body), **arguments))

                # What is small takes less than handing it to a thread would.
                small = len(body) <= MAX_PIECE_BYTES
                return answer() if small else await state["admission"].run_large(answer)

        return handle

    def check_head(self, request: Request) -> None:
        """Raises HTTPException where the head of a request shows that its body need not be read."""
        require_media_type(request, "application/json")

    def codec(self) -> tuple[Decode, Encode]:
        """What reads the body and what writes the reply."""
        return decode_piece, encode_json


def options_reader(endpoint: Callable[..., Any]) -> ReadOptions:
    """What reads a query string to the arguments that the endpoint takes from it; the common ones are read once."""
    options = get_type_hints(endpoint).get("query")
    validate = TypeAdapter(options or schemas.NoOptions).validate_python

    @lru_cache(maxsize=64)
    def read(query_string: bytes) -> Mapping[str, Any]:
        query = _read_query(QueryParams(query_string), validate)
        return {"query": query} if options else {}

    return read


def decode_piece(_: Request, body: bytes) -> Piece:
    """The features (68,). Raises RequestValidationError for anything else."""
    try:
        return np.array(validate_piece(body).features, np.float64)
    except ValidationError as error:
        raise invalid_input("body", error) from error


def encode_json(_: Request, reply: Mapping[str, Any]) -> Response:
    """The reply as JSON."""
    return Response(to_json(reply), media_type="application/json")


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


def refuse_rows(max_rows: int) -> NoReturn:
    """Raises HTTPException (413)."""
    detail = f"A batch must have at most {max_rows} rows of {FEATURE_COUNT} numbers: send it in parts."
    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _read_query(given: QueryParams, validate: Callable[[Any], Any]) -> Any:
    """The options in the query, each given once at the most."""
    options = dict(given.multi_items())
    try:
        query = validate(options)
    except ValidationError as error:
        raise invalid_input("query", error) from error
    if len(options) < len(given.multi_items()):
        repeated = next(name for name, _ in given.multi_items() if len(given.getlist(name)) > 1)
        raise RequestValidationError([{"type": "repeated", "loc": ("query", repeated)}])
    return query
