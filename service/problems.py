"""Every error as application/problem+json (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service.schemas import InvalidValue, Problem

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 10

# As RFC 9110 names them; Python before 3.13 has older names for two.
TITLES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    422: "Unprocessable Content",
}

# By pydantic's error types, filled from the error's context. None repeats what the client sent: that may be long,
# private, or no JSON at all.
MESSAGES = {
    "extra_forbidden": "has a name that is not known: leave out what the documentation does not name",
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
    "too_long": "must have {max_length} numbers, not {actual_length}",
    "too_short": "must have {min_length} numbers, not {actual_length}",
}


def problem(
    status: int, detail: str, errors: Sequence[InvalidValue] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """An error reply."""
    content = Problem(type="about:blank", title=TITLES[status], status=status, detail=detail, errors=list(errors))
    return Response(content.model_dump_json(exclude_defaults=True), status, headers, MEDIA_TYPE)


def documented(examples: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of an endpoint's error replies, each status with an example of its detail."""
    return {status: _documented(status, detail) for status, detail in examples.items()}


def _documented(status: int, detail: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": detail}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": TITLES[status], "content": {MEDIA_TYPE: content}}


def schemas() -> dict[str, Any]:
    """The OpenAPI schemas that `documented` refers to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def install_problems(app: FastAPI) -> None:
    """Makes every error of the app, the framework's included, a problem."""
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_invalid_request)
    app.exception_handler(Exception)(_unforeseen_error)


async def _http_error(_: Request, error: HTTPException) -> Response:
    details = {
        HTTPStatus.NOT_FOUND: "There is nothing at this path: /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take this method: /docs lists what it takes.",
    }
    return problem(error.status_code, details.get(HTTPStatus(error.status_code), error.detail), headers=error.headers)


async def _invalid_request(_: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    errors = [_invalid_value(each) for each in found[:MAX_ERRORS]]
    detail = f"{errors[0].pointer or 'The ' + found[0]['loc'][0]} {errors[0].message}."
    if len(found) > 1:
        detail = f"{len(found)} values are wrong, the first: {detail}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


async def _unforeseen_error(_: Request, __: Exception) -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed; its log says why.")


def _invalid_value(error: Mapping[str, Any]) -> InvalidValue:
    """The place and the mend of one of pydantic's errors; an unknown name is not a place but the client's own text."""
    source, *path = error["loc"]
    if error["type"] == "extra_forbidden":
        path.pop()
    pointer = f"?{path[0]}" if source == "query" and path else "".join(f"/{part}" for part in path)
    message = MESSAGES[error["type"]].format(**error.get("ctx", {}))
    return InvalidValue(pointer=pointer, message=message)
