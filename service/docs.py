"""The documentation pages, from packaged files: nothing on them comes from another host."""

from importlib import resources

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import Receive, Scope, Send

from service.pages import ANY_STYLE, OWN_WORKERS, confined
from service.problems import root_path

ASSETS = "/docs/assets"
PACKAGED_ASSETS = ("fastapi_offline", "static")

# ReDoc shows its maker's logo from its maker's host; a picture of nothing takes its place.
REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
NO_PICTURE = b"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"

router = APIRouter(include_in_schema=False)


class WholeFiles(StaticFiles):
    """Static files, never in parts: a wrong Range is answered in plain text, and none of the files is large."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with the file, whole."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


def install_docs(app: FastAPI) -> None:
    """Adds /docs, /redoc, their files, and the redirect from /."""
    app.include_router(router)
    app.mount(ASSETS, WholeFiles(packages=[PACKAGED_ASSETS]))


@router.get("/")
async def root(request: Request) -> RedirectResponse:
    """Leads to the documentation."""
    return RedirectResponse(f"{root_path(request)}/docs")


@router.get("/docs")
async def swagger_ui(request: Request) -> HTMLResponse:
    """Swagger UI: every endpoint, to read and to try."""
    prefix = root_path(request)
    page = get_swagger_ui_html(
        title=f"{request.app.title}: API",
        openapi_url=f"{prefix}{request.app.openapi_url}",
        swagger_js_url=f"{prefix}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{prefix}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{prefix}{ASSETS}/favicon.png",
    )
    return confined(page)


@router.get("/redoc")
async def redoc(request: Request) -> HTMLResponse:
    """ReDoc: every endpoint, to read."""
    prefix = root_path(request)
    page = get_redoc_html(
        title=f"{request.app.title}: API",
        openapi_url=f"{prefix}{request.app.openapi_url}",
        redoc_js_url=f"{prefix}{ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{prefix}{ASSETS}/favicon.png",
        with_google_fonts=False,
    )
    return confined(page, styles=ANY_STYLE, more=[OWN_WORKERS])


@router.get(f"{ASSETS}/redoc.standalone.js")
async def redoc_script() -> Response:
    """ReDoc's script, without the one thing that it would fetch from elsewhere."""
    package, folder = PACKAGED_ASSETS
    script = (resources.files(package) / folder / "redoc.standalone.js").read_bytes()
    return Response(script.replace(REDOC_LOGO, NO_PICTURE), media_type="text/javascript")
