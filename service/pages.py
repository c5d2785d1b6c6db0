"""What the pages of the service have in common: their files, and what they may do in a browser."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

# Nothing from another host, nothing in another's frame, and of what is written into a page only what it came with.
POLICY = (
    "default-src 'self'; script-src 'self' {scripts}; style-src 'self' {styles}; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# ReDoc writes its styles as it goes, and searches in a worker that it makes itself.
ANY_STYLE, OWN_WORKERS = "'unsafe-inline'", "worker-src blob:"


class WholeFiles(StaticFiles):
    """Static files with these headers, never in parts: a wrong Range is answered in plain text, and none is large."""

    def __init__(self, *, headers: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._headers = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with the file, whole."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file, or that the client has it already."""
        response = super().file_response(*arguments, **options)
        response.headers.update(self._headers)
        return response


def confined(page: HTMLResponse, *, styles: str = "", more: Sequence[str] = ()) -> HTMLResponse:
    """The page with its policy: the scripts and styles that are written in it, and what else it must have."""
    own_scripts, own_styles = (_digests(bytes(page.body), tag) for tag in ("script", "style"))
    policy = "; ".join([POLICY.format(scripts=own_scripts, styles=styles or own_styles), *more])
    page.headers["Content-Security-Policy"] = re.sub(r" +;", ";", policy)
    return page


def _digests(body: bytes, tag: str) -> str:
    written = re.findall(f"<{tag}>(.*?)</{tag}>".encode(), body, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(hashlib.sha256(each).digest()).decode()}'" for each in written)
