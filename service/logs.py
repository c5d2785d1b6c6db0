"""What is logged: a line for each request on stdout, JSON unless a person reads it. Never features, never keys."""

import json
import logging
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, TextIO

from starlette.types import Scope
from uvicorn.config import LOGGING_CONFIG

from service.ledger import Answered

LOG = logging.getLogger("music_origin")
LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.ERROR: "error"}
PROBES = ("/health/", "/v2/health/")  # they come every few seconds, and whoever sends them knows the answer


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time, level, and what it says."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        fields |= getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def configuration() -> dict[str, Any]:
    """How uvicorn is to log from its first line on, before the application is there to configure it."""
    if sys.stdout.isatty():
        return LOGGING_CONFIG
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JSONFormatter}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stdout"}},
        "loggers": {"uvicorn": {"handlers": ["stdout"], "level": "INFO", "propagate": False}},
    }


def configure() -> None:
    """Sends what happens to stdout; uvicorn's lines take the same form, but for those of requests, which are ours.

    Of the others, uvicorn's option --log-level decides.
    """
    handler = logging.StreamHandler(sys.stdout)
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(logging.INFO)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    if sys.stdout.isatty():
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    else:
        for each in (handler, *logging.getLogger("uvicorn").handlers):
            each.setFormatter(JSONFormatter())


def log_failure(scope: Scope) -> None:
    """Logs the exception that is being handled, with the id of its request."""
    fields = {"request_id": scope["state"]["request_id"], "message": "The request failed."}
    LOG.error("request %(request_id)s failed", fields, exc_info=True, extra={"fields": fields})


class RequestLog:
    """Writes a line for each request that has been answered, if its level is logged."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream = stream.buffer
        self._least_level = logging.getLevelNamesMapping()[level.upper()]
        self._for_people = stream.isatty()

    def write(self, answered: Sequence[Answered]) -> None:
        """Writes the lines."""
        now = datetime.now(UTC)
        time = f"{now.astimezone():%H:%M:%S}" if self._for_people else now.isoformat(timespec="milliseconds")
        as_line = _for_people if self._for_people else _as_json
        lines = [as_line(each, time) for each in answered if _level(each.route, each.status) >= self._least_level]
        with suppress(OSError, ValueError):  # nobody reads them any more: that is no reason to fail
            for part in _parts(lines):
                self._stream.write(part.encode())
                self._stream.flush()


@cache  # routes and statuses are few
def _level(route: str, status: int) -> int:
    if route.startswith(PROBES):
        return logging.DEBUG
    return logging.INFO if status < HTTPStatus.INTERNAL_SERVER_ERROR else logging.ERROR


def _as_json(answered: Answered, time: str) -> str:
    """Put together by hand, since every request has one; what the client wrote is quoted."""
    method, path, route, status, seconds, state = answered
    return (
        f'{{"time": "{time}", "level": "{LEVELS[_level(route, status)]}", "request_id": "{state["request_id"]}", '
        f'{_quoted(method, path)}, "status": {status}, '
        f'"milliseconds": {1000 * seconds:.3f}, "rows": {state.get("rows", 0)}}}\n'
    )


@lru_cache(maxsize=64)
def _quoted(method: str, path: bytes) -> str:
    return f'"method": {json.dumps(method)}, "path": {json.dumps(path.decode("latin-1"))}'


def _for_people(answered: Answered, time: str) -> str:
    method, path, route, status, seconds, state = answered
    outcome = f"{status} {1000 * seconds:.1f} ms, rows: {state.get('rows', 0)}, id {state['request_id']}"
    return f"{time} {LEVELS[_level(route, status)].upper()} {method} {path.decode('latin-1')} {outcome}\n"


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, as many at a time as a pipe takes at once: so lines of several workers never mix."""
    part: list[str] = []
    length = 0
    for line in lines:
        length += len(line)  # they are ASCII
        if part and length > select.PIPE_BUF:
            yield "".join(part)
            part, length = [], len(line)
        part.append(line)
    yield "".join(part)
