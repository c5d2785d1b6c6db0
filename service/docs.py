"""The documentation pages, from packaged files: nothing on them comes from another host."""

from importlib import resources

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse

from service.pages import ANY_STYLE, OWN_WORKERS, WholeFiles, confined
from service.problems import root_path

ASSETS = "/docs/assets"
PACKAGED_ASSETS = ("fastapi_offline", "static")

# ReDoc shows its maker's logo from its maker's host; a picture of nothing takes its place.
REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
NO_PICTURE = b"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"

router = APIRouter(include_in_schema=False)


def install_docs(app: FastAPI) -> None:
    """Adds /docs, /redoc and their files."""
    app.include_router(router)
    app.mount(ASSETS, WholeFiles(packages=[PACKAGED_ASSETS]))


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
