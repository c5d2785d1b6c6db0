"""Which of the forms that a reply can have the client prefers."""

from functools import lru_cache
from http import HTTPStatus

import mimeparse
from fastapi import Request
from starlette.exceptions import HTTPException


def preferred(request: Request, forms: tuple[str, ...], note: str = "") -> str:
    """The media type that the header Accept prefers, the first of those that it likes as well, or without it.

    Raises HTTPException (406), with the forms and the note, if it takes none of them.
    """
    form = _best(", ".join(request.headers.getlist("accept")).lower().strip(", ") or "*/*", forms)
    if not form:
        detail = f"The reply can be had as {' or '.join(forms)}: accept one of these.{note}"
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, detail)
    return form


@lru_cache(maxsize=64)
def _best(accepted: str, forms: tuple[str, ...]) -> str:
    try:
        best: str = mimeparse.best_match(forms[::-1], accepted)  # of several as good it takes the last
    except mimeparse.MimeTypeParseException:
        return ""
    return best
