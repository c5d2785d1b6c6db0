"""Which of the forms that a reply can have the client prefers."""

from collections.abc import Sequence
from http import HTTPStatus

import mimeparse
from fastapi import Request
from starlette.exceptions import HTTPException


def preferred(request: Request, forms: Sequence[str], note: str = "") -> str:
    """The media type that the header Accept prefers, the first of those that it likes as well, or without it.

    Raises HTTPException (406), with the forms and the note, if it takes none of them.
    """
    accepted = ", ".join(request.headers.getlist("accept")).lower().strip(", ") or "*/*"
    try:
        form: str = mimeparse.best_match(forms[::-1], accepted)  # of several as good it takes the last
    except mimeparse.MimeTypeParseException:
        form = ""
    if not form:
        detail = f"The reply can be had as {' or '.join(forms)}: accept one of these.{note}"
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, detail)
    return form
