"""Every error as application/problem+json (RFC 9457), or under /v2 as that protocol has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from service.inference_schemas import InferenceError
from service.pages import confined
from service.problems_schemas import InvalidValue, Problem

MEDIA_TYPE = "application/problem+json"
PATH = "/problems"
INFERENCE_PATH = "/v2"
MAX_ERRORS = 10


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the last part of its URI, its title, and what to do about it."""

    name: str
    title: str
    explanation: str


KINDS = {
    400: Kind("bad-request", "Bad Request", "The request was not understood: its detail says why."),
    401: Kind(
        "unauthorized",
        "Unauthorized",
        "Predictions and metrics need an API key here. Send one that the operator gave you, in the header "
        "Authorization: Bearer or in the header X-API-Key.",
    ),
    404: Kind(
        "not-found", "Not Found", "There is nothing at this path. The documentation at /docs lists what there is."
    ),
    405: Kind(
        "method-not-allowed",
        "Method Not Allowed",
        "This path exists, and takes other methods: the header Allow of the reply names them.",
    ),
    406: Kind(
        "not-acceptable",
        "Not Acceptable",
        "The header Accept asks for a form that this path does not reply in: the detail names those that it has.",
    ),
    408: Kind(
        "request-timeout",
        "Request Timeout",
        "The head or the body of the request did not arrive in time. Send it again, over a better connection or in "
        "smaller parts.",
    ),
    413: Kind(
        "content-too-large",
        "Content Too Large",
        "The body has more bytes or the batch more rows than are taken: the detail says how many are. Send smaller "
        "batches, or ask the operator to raise MUSIC_ORIGIN_MAX_BATCH or MUSIC_ORIGIN_MAX_BODY_BYTES. The body of one "
        "piece has at most 65536 bytes, whatever these say.",
    ),
    415: Kind(
        "unsupported-media-type",
        "Unsupported Media Type",
        "The header Content-Type or Content-Encoding names a form that this path does not read: the detail names those "
        "that it does.",
    ),
    422: Kind(
        "invalid-input",
        "Unprocessable Content",
        "The request holds values that do not fit. Each of errors names a place, as a JSON Pointer (RFC 6901) into the "
        "body or as ?name for a query parameter, and says what must be there; at most ten are listed. For a batch row "
        "and column are given too, counted from one without the header.",
    ),
    429: Kind(
        "too-many-requests",
        "Too Many Requests",
        "The service has as many predictions under way as it takes. Wait as long as the header Retry-After says.",
    ),
    431: Kind(
        "head-too-large",
        "Request Header Fields Too Large",
        "The head of the request, its target and its headers, has more bytes than are taken: send fewer or shorter "
        "ones.",
    ),
    500: Kind(
        "internal-error",
        "Internal Server Error",
        "The service failed. Its operator finds the cause in its log, by the request id at the end of instance.",
    ),
    503: Kind(
        "unavailable",
        "Service Unavailable",
        "The service has no model, or is about to stop. Ask another one, or later.",
    ),
}

# By pydantic's error types and a few more, filled from the error's context. None repeats what the client sent: that
# may be long, private, or no JSON at all.
MESSAGES = {
    "bool_parsing": "must be true or false",
    "encoding": "must be {expected}",
    "extra_forbidden": "has a name that is not known: leave out what the documentation does not name",
    "cell_type": "must be a number",
    "finite_cell": "must be a finite number",
    "finite_number": "must be a finite number: JSON has no NaN and no Infinity",
    "float_type": "must be a number, not text, true, false, null, an array or an object",
    "greater_than_equal": "must be at least {ge:g}",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "json_invalid": "must be JSON: {error}",
    "less_than_equal": "must be at most {le:g}",
    "list_type": "must be an array of numbers",
    "literal_error": "must be {expected}",
    "missing": "is missing",
    "model_type": "must be an object",
    "no_rows": "must have at least one row",
    "numbered": "counts up: is it a header? Say so by Content-Type: text/csv; header=present, or else header=absent",
    "repeated": "is given more than once",
    "row_length": "must have {expected} numbers, not {actual}{hint}",
    "rows_type": "must be an array of rows, each an array of {length} numbers",
    "string_pattern_mismatch": "must have another form: the documentation describes it",
    "table": "must be {expected}",
    "too_long": "must have {max_length} numbers, not {actual_length}",
    "too_short": "must have {min_length} numbers, not {actual_length}",
}

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("")
async def list_problems() -> HTMLResponse:
    """Lists the kinds of problems."""
    return _page("Problems", "".join(_described(kind) for kind in KINDS.values()))


@router.get("/{name}")
async def describe_problem(name: str) -> HTMLResponse:
    """Explains one kind of problem, by the URI that its replies have as type."""
    kinds = [kind for kind in KINDS.values() if kind.name == name]
    if not kinds:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _page(kinds[0].title, _described(kinds[0]))


def _described(kind: Kind) -> str:
    return f"<h2>{escape(kind.title)}</h2><p><code>{PATH}/{kind.name}</code></p><p>{escape(kind.explanation)}</p>"


def _page(title: str, body: str) -> HTMLResponse:
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>{body}'
    return confined(HTMLResponse(page))


def root_path(request: Request) -> str:
    """Where a proxy has put the service, without a slash at the end."""
    scope = request.scope
    return str(scope.get("app_root_path", scope.get("root_path", ""))).rstrip("/")


def problem(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[InvalidValue] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error reply."""
    prefix = root_path(request)
    if f"{request.scope['path'].removeprefix(prefix)}/".startswith(f"{INFERENCE_PATH}/"):
        return Response(InferenceError(error=detail).model_dump_json(), status, headers, "application/json")
    kind = KINDS.get(status)
    content = Problem(
        type=f"{prefix}{PATH}/{kind.name}" if kind else "about:blank",
        title=kind.title if kind else HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=f"urn:request:{request.scope.get('state', {}).get('request_id', 'unknown')}",
        errors=list(errors),
    )
    return Response(content.model_dump_json(exclude_defaults=True), status, headers, MEDIA_TYPE)


def documented(examples: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of an endpoint's error replies, each status with an example of its detail."""
    return {status: _documented(status, detail) for status, detail in examples.items()}


def _documented(status: int, detail: str) -> dict[str, Any]:
    kind = KINDS[status]
    example = Problem(
        type=f"{PATH}/{kind.name}", title=kind.title, status=status, detail=detail, instance="urn:request:3f2a"
    )
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "example": example.model_dump(exclude_defaults=True),
    }
    return {"description": kind.title, "content": {MEDIA_TYPE: content}}


def schemas() -> dict[str, Any]:
    """The OpenAPI schemas that `documented` refers to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def install_problems(app: FastAPI) -> None:
    """Makes every error of the app, the framework's included, a problem."""
    app.include_router(router)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_invalid_request)
    app.exception_handler(Exception)(_unforeseen_error)


async def _http_error(request: Request, error: HTTPException) -> Response:
    details = {
        HTTPStatus.NOT_FOUND: "There is nothing at this path: /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take this method: /docs lists what it takes.",
    }
    status = HTTPStatus(error.status_code)
    detail = details.get(status, error.detail) if error.detail == status.phrase else error.detail
    headers = error.headers
    if headers and headers.get("Allow") == "GET":
        headers = {**headers, "Allow": "GET, HEAD"}  # observation.py asks GET where HEAD was asked
    return problem(request, status, detail, headers=headers)


async def _invalid_request(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    errors = [_invalid_value(each) for each in found[:MAX_ERRORS]]
    detail = f"{_place(errors[0], found[0])} {errors[0].message}."
    if len(found) > 1:
        count = f"More than {MAX_ERRORS}" if len(found) > MAX_ERRORS else len(found)
        detail = f"{count} values are wrong, the first: {detail}"
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


async def _unforeseen_error(request: Request, _: Exception) -> Response:
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed; its log says why.")


def _place(value: InvalidValue, error: Mapping[str, Any]) -> str:
    if value.row is None:
        return value.pointer.removesuffix("?") or f"The {error['loc'][0]}"
    return f"Row {value.row}" if value.column is None else f"Row {value.row}, column {value.column}"


def _invalid_value(error: Mapping[str, Any]) -> InvalidValue:
    """The place and the mend of one of pydantic's errors; an unknown name is not a place but the client's own text."""
    source, *path = error["loc"]
    if error["type"] == "extra_forbidden":
        path.pop()
    pointer = "?" + "".join(path[:1]) if source == "query" else "".join(f"/{part}" for part in path)
    message = MESSAGES[error["type"]].format(**error.get("ctx", {}))
    cell: tuple[int, ...] = error.get("cell", ())
    row, column, *_ = *cell, None, None
    return InvalidValue(pointer=pointer, message=message, row=row, column=column)
