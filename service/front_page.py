"""The page at /, on which people look at predictions: files that ask the API as any client does."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse

from service.pages import WholeFiles, confined

FOLDER = Path(__file__).with_name("page")
NO_HTML_FROM_SCRIPTS = ("require-trusted-types-for 'script'", "trusted-types 'none'")
CHECKED_BEFORE_USE = {"Cache-Control": "no-cache"}  # a page and scripts of two releases would not fit together

router = APIRouter(include_in_schema=False)


def install_front_page(app: FastAPI) -> None:
    """Adds the page and its files."""
    app.include_router(router)
    app.mount("/page", WholeFiles(directory=FOLDER, headers=CHECKED_BEFORE_USE))


@router.get("/")
def front_page() -> HTMLResponse:
    """The page. What it refers to is named relative to it, so that it works under any path of a proxy."""
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    return confined(HTMLResponse(page, headers=CHECKED_BEFORE_USE), more=NO_HTML_FROM_SCRIPTS)
