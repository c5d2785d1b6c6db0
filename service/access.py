"""Who may ask: API keys, if the service was started with any, and pages of other origins."""

import hashlib
import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from service.problems import problem

UNAUTHORIZED = (
    "This needs an API key: send it in the header Authorization: Bearer, or in the header X-API-Key. "
    "None was sent, or it is not known."
)
SECURITY_SCHEMES: dict[str, Any] = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "An API key of the service."},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key of the service."},
}


class Keys:
    """The keys that are taken, as digests: these are of one length, so comparing them tells nothing of a key."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    def authorized(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether a request carries one of the keys, or none is asked for."""
        return not self._digests or self._known(_digest(_given(Headers(raw=list(headers)))))

    def authorize(self, request: Request) -> None:
        """Raises HTTPException (401) unless the request is authorized."""
        if not self.authorized(request.headers.raw):
            headers = {"WWW-Authenticate": 'Bearer realm="music-origin"'}
            raise HTTPException(HTTPStatus.UNAUTHORIZED, UNAUTHORIZED, headers)

    def _known(self, given: bytes) -> bool:
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]  # all of them, every time
        return any(matches)


class Origins(CORSMiddleware):
    """Starlette's CORS, but for what it refuses, which is an error like all others."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Says whether a page may ask what it is about to."""
        response = super().preflight_response(request_headers)
        return response if response.status_code < HTTPStatus.BAD_REQUEST else _Refusal(response.body)


class _Refusal(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"{bytes(self.body).decode()}: the operator has not allowed pages to ask this."
        refusal = problem(Request(scope), HTTPStatus.BAD_REQUEST, detail, headers={"Vary": "Origin"})
        await refusal(scope, receive, send)


def _given(headers: Headers) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("x-api-key", "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
