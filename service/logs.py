"""What is logged: a line for each request on stdout, JSON unless a person reads it. Never features, never keys."""

import json
import logging
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.types import Scope

REQUESTS = logging.getLogger("music_origin.requests")
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


def configure(level: str) -> None:
    """Sends the lines of requests to stdout in place of uvicorn's own; uvicorn's other lines take the same form.

    Of these, uvicorn's option --log-level decides.
    """
    handler = logging.StreamHandler(sys.stdout)
    REQUESTS.handlers = [handler]
    REQUESTS.propagate = False
    REQUESTS.setLevel(level.upper())
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
    REQUESTS.error("request %(request_id)s failed", fields, exc_info=True, extra={"fields": fields})


def log_request(scope: Scope, route: str, status: int, seconds: float, rows: int) -> None:
    """Logs one request that has been answered; `route` is the path that it was found by."""
    level = logging.INFO if status < HTTPStatus.INTERNAL_SERVER_ERROR else logging.ERROR
    if route.startswith(PROBES):
        level = logging.DEBUG
    if REQUESTS.isEnabledFor(level):
        fields = {
            "request_id": scope["state"]["request_id"],
            "method": scope["method"],
            "path": scope.get("raw_path", b"").decode("latin-1"),
            "status": status,
            "milliseconds": round(1000 * seconds, 3),
            "rows": rows,
        }
        sentence = "%(method)s %(path)s %(status)d %(milliseconds).1f ms, rows: %(rows)d, id %(request_id)s"
        REQUESTS.log(level, sentence, fields, extra={"fields": fields})
