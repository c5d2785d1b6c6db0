"""Every request that the door does not answer is given an id and timed, and its reply names the id and the model."""

import asyncio
import random
import re
import time
from collections.abc import Iterable
from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.bundle import ModelBundle
from service import logs
from service.ledger import Answered
from service.problems import problem

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
CLOSE = (b"connection", b"close")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
NEEDS_NO_MODEL = "/health/live"


class Observation:
    """Plain ASGI, outside of all that may reply or fail."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and observes the reply."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        state = scope.setdefault("state", {})
        started = state.pop("started", None) or time.perf_counter()  # the door may have seen it begin
        # The connection may have refused it already, under an id of its own.
        request_id = sane_request_id(scope["headers"]) or state.get("request_id", "").encode() or new_request_id()
        state["request_id"] = request_id.decode()
        headers = headers_of_every_reply(request_id, state.get("bundle"))
        # After these, uvicorn would take this request's body for the next request.
        if scope["method"] == "CONNECT" or any(name == b"upgrade" for name, _ in scope["headers"]):
            headers.append(CLOSE)
        status, complete, cancelled = 0, False, False

        async def send_named(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *headers]
                # The client is to go elsewhere, once it has all replies to what it has asked already.
                if "drain" in state and state["drain"].begun and not state.get("pipeline"):
                    message["headers"] = [*(each for each in message["headers"] if each != CLOSE), CLOSE]
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        if "bundle" not in state and not scope["path"].endswith(NEEDS_NO_MODEL):
            unavailable = problem(Request(scope), HTTPStatus.SERVICE_UNAVAILABLE, "There is no model yet: ask later.")
            return await unavailable(scope, receive, send_named)
        # What GET is answered is answered to HEAD too; it is for the server to leave the body out.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        if "metrics" in state:
            state["metrics"].start_request()
        try:
            await self.app(asked, receive, send_named)
        except asyncio.CancelledError:  # the server stops, and has waited as long as it was told to
            cancelled = True
            if status:
                raise
            stopped = problem(Request(scope), HTTPStatus.SERVICE_UNAVAILABLE, "The service has stopped: ask another.")
            await stopped(scope, receive, send_named)
        except Exception:  # the reply has been made of it; raised again, it would cost the client its connection
            logs.log_failure(scope)
            if not complete:
                raise
        finally:
            if "metrics" in state:
                state["metrics"].end_request()
                route = getattr(asked.get("route"), "path", "unmatched")
                path, seconds = scope.get("raw_path") or b"", time.perf_counter() - started
                state["ledger"].enter(Answered(scope["method"], path, route, status, seconds, state))
                if cancelled:  # there may be no later
                    state["ledger"].settle()


def headers_of_every_reply(request_id: bytes, bundle: ModelBundle | None) -> list[tuple[bytes, bytes]]:
    """What each reply says of itself: which request it answers, by which models, and that it is what it says it is."""
    headers = [(b"x-request-id", request_id), NO_SNIFFING]
    if bundle:
        headers.append((b"x-model-version", bundle.version.encode()))
    return headers


def sane_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The client's own id for the request, if there is a sane one."""
    return next((value for name, value in headers if name == b"x-request-id" and SANE_ID.fullmatch(value)), None)


def new_request_id() -> bytes:
    """An id that no other request has."""
    return b"%032x" % random.getrandbits(128)
