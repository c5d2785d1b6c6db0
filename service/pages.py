"""What a page of the service may do in a browser."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence

from starlette.responses import HTMLResponse

# Nothing from another host, nothing in another's frame, and of what is written into a page only what it came with.
POLICY = (
    "default-src 'self'; script-src 'self' {scripts}; style-src 'self' {styles}; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# ReDoc writes its styles as it goes, and searches in a worker that it makes itself.
ANY_STYLE, OWN_WORKERS = "'unsafe-inline'", "worker-src blob:"


def confined(page: HTMLResponse, *, styles: str = "", more: Sequence[str] = ()) -> HTMLResponse:
    """The page with its policy: the scripts and styles that are written in it, and what else it must have."""
    own_scripts, own_styles = (_digests(bytes(page.body), tag) for tag in ("script", "style"))
    policy = "; ".join([POLICY.format(scripts=own_scripts, styles=styles or own_styles), *more])
    page.headers["Content-Security-Policy"] = re.sub(r" +;", ";", policy)
    return page


def _digests(body: bytes, tag: str) -> str:
    written = re.findall(f"<{tag}>(.*?)</{tag}>".encode(), body, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(hashlib.sha256(each).digest()).decode()}'" for each in written)
