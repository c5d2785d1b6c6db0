"""The state of the service, its figures, and what its models are."""

import dataclasses
import re
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse

from models.bundle import ModelBundle
from service.access import UNAUTHORIZED
from service.examples import piece_of_genre
from service.negotiation import preferred
from service.operations_schemas import DistinctiveFeature, Genre, Genres, Live, Model, PlaceOfOrigin, Ready
from service.pages import confined
from service.problems import documented

INTERNAL_ERROR = {500: "The service failed; its log says why.", 503: "There is no model yet: ask later."}
CARD = "MODEL_CARD.md"
PLOT = re.compile(r"[a-z0-9_]{1,100}\.(png|svg)")  # no file system takes a name of any length
MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Model card</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ border: 1px solid #bbb; padding: 0.2rem 0.6rem; text-align: left }}
img {{ max-width: 100% }}
</style>
{body}"""
NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}

router = APIRouter(tags=["operations"], responses=documented(INTERNAL_ERROR))


@router.get("/genres", summary="Describe the genres")
async def genres(request: Request) -> Genres:
    """Says for each genre how large it is, where its training pieces come from, and where it lies in the features."""
    bundle: ModelBundle = request.state.bundle
    descriptions = [
        Genre(
            genre=number,
            size=summary.size,
            share_north_of_20=summary.share_north_of_20,
            places=[PlaceOfOrigin(**dataclasses.asdict(place)) for place in summary.places],
            distinctive_features=[
                DistinctiveFeature(**dataclasses.asdict(each)) for each in summary.distinctive_features
            ],
            centroid=bundle.genres.centroids[number].tolist(),
            example=piece_of_genre(bundle, number),
        )
        for number, summary in enumerate(bundle.manifest.genres)
    ]
    return Genres(genres=descriptions, model_version=bundle.version)


@router.get("/health/live", summary="Report that the process answers")
async def live() -> Live:
    """Answers while the process does, whether it has a model or not."""
    return Live(status="live")


@router.get("/health/ready", summary="Report whether predictions are answered")
async def ready(request: Request) -> Ready:
    """Answers 200 while predictions are answered; 503 while there is no model, and once the service is to stop."""
    if request.state.drain.begun:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "The service is about to stop.")
    return Ready(status="ready", model_version=request.state.bundle.version)


@router.get("/model", summary="Describe the models")
async def model(request: Request) -> Model:
    """Gives the manifest: what the models were trained from, with which versions, and what they reached."""
    bundle: ModelBundle = request.state.bundle
    manifest = dataclasses.asdict(bundle.manifest)
    return Model(fingerprint=bundle.fingerprint, manifest=manifest, model_version=bundle.version)


@router.get(
    "/model/card",
    summary="Show the model card",
    response_class=HTMLResponse,
    responses={
        200: {"content": {"text/markdown": {"schema": {"type": "string"}}}},
        **documented({404: "There is no model card beside the models."}),
        **documented({406: "The reply can be had as text/markdown or text/html: accept one of these."}),
    },
)
def model_card(request: Request) -> Response:
    """Says what the models are for, how good they are, and where they fail: in Markdown, or as a page for a browser."""
    card = read_card(request.state.settings.bundle, request.state.bundle.version)
    form = preferred(request, ("text/markdown", "text/html"))
    if form == "text/markdown":
        return Response(card, headers={"Vary": "Accept"}, media_type=form)
    return confined(HTMLResponse(as_page(card), headers={"Vary": "Accept"}))


@router.get("/model/plots/{name}", include_in_schema=False)
def plot(request: Request, name: str) -> Response:
    """A plot of the model card."""
    path: Path = request.state.settings.bundle.with_name("plots") / name
    if not PLOT.fullmatch(name) or not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(path.read_bytes(), headers=NO_SCRIPTS, media_type=MEDIA_TYPES[path.suffix])


@router.get(
    "/metrics",
    summary="Show the figures of the service",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"application/openmetrics-text": {"schema": {"type": "string"}}}},
        **documented({401: UNAUTHORIZED}),
    },
)
async def metrics(request: Request) -> Response:
    """Gives Prometheus the figures of all workers: requests, latency, rows, and what was predicted."""
    request.state.keys.authorize(request)
    request.state.ledger.settle()
    accept = request.headers.get("accept", "")
    content, media_type = await run_in_threadpool(request.state.metrics.exposition, accept)
    return Response(content, headers={"Content-Type": media_type})


def read_card(bundle: Path, version: str) -> str:
    """The card beside the bundle, if it is of these models. Raises HTTPException (404)."""
    path = bundle.with_name(CARD)
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    if version not in card:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no card of these models beside them: train them anew.")
    return card


def as_page(card: str) -> str:
    """The card as HTML."""
    from markdown_it import MarkdownIt  # nothing else needs it, and the start should not wait for it

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return PAGE.format(body=markdown.render(FRONT_MATTER.sub("", card)))
