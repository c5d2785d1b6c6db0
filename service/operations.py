"""The state of the service and what its models are."""

import dataclasses

from fastapi import APIRouter, Request

from models.bundle import ModelBundle
from service.problems import documented
from service.schemas import Genre, Genres, Health

router = APIRouter(tags=["operations"], responses=documented({500: "The service failed; its log says why."}))


@router.get("/genres", summary="Describe the genres")
async def genres(request: Request) -> Genres:
    """Says for each genre how large it is and where its training pieces come from."""
    bundle: ModelBundle = request.state.bundle
    descriptions = [
        Genre(genre=number, **dataclasses.asdict(summary)) for number, summary in enumerate(bundle.manifest.genres)
    ]
    return Genres(genres=descriptions, model_version=bundle.version)


@router.get("/health", summary="Report the state of the service")
async def health(request: Request) -> Health:
    """Answers when the models are loaded and predictions are answered."""
    return Health(status="ok", model_version=request.state.bundle.version)
