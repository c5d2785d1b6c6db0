"""The application: `uvicorn service.app:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import numpy as np
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.bundle import BundleError, ModelBundle, load_bundle
from service import docs, operations, predictions, problems
from service.schemas import EXAMPLE_FEATURES
from service.settings import Settings, SettingsError, read_settings

DESCRIPTION = """
Send the 68 audio features of a piece of traditional music; get its **genre** (one of the clusters that K-means found in
1,059 pieces from 33 places), its **origin** among these places, and whether it comes from **north of 20° N**.

The features are those of the UCI data set *Geographical Original of Music*, in its column order and standardised as
there.

The networks tell *which of the 33 places, or recordings, a piece resembles*, and not where on Earth unheard music comes
from. On unseen pieces of the 33 places, `places` tells the side of 20° N of about 80 in 100. Where a whole place is
held out of training, every network falls to between 65 and 70 in 100, and always answering north is right for 64.

Every reply names the model version that gave it; every error is a *problem*
(RFC 9457) that says what to mend.
"""


class State(TypedDict):
    """What every request finds in `request.state`."""

    bundle: ModelBundle
    settings: Settings


class Service(FastAPI):
    """FastAPI, with the schemas of its problems in the OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document["components"]["schemas"] |= problems.schemas()
        return document


class OneSentenceStartupFailure:
    """Tells the server what kept the service from starting in one sentence; Starlette would send a stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what is not a failed start."""
        if scope["type"] != "lifespan":
            return await self.app(scope, receive, send)
        failure: Message | None = None

        async def hold_failure(message: Message) -> None:
            nonlocal failure
            if message["type"] == "lifespan.startup.failed":
                failure = message
            else:
                await send(message)

        try:
            await self.app(scope, receive, hold_failure)
        except (BundleError, SettingsError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except BaseException:
            if failure:
                await send(failure)
            raise


def create_app(settings: Settings | None = None) -> FastAPI:
    """Puts the service together; the settings are read from the environment when it starts unless they are given."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        started_with = settings or read_settings()
        bundle = load_bundle(started_with.bundle)
        warm_up(bundle)
        yield {"bundle": bundle, "settings": started_with}

    service = Service(
        title="music-origin",
        version="0.1.0",
        summary="Genre, origin and side of 20° N of traditional music, from 68 audio features.",
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    service.add_middleware(OneSentenceStartupFailure)
    service.include_router(predictions.router)
    service.include_router(operations.router)
    docs.install_docs(service)
    problems.install_problems(service)
    return service


def warm_up(bundle: ModelBundle) -> None:
    """Makes one prediction of each kind, so that the first request does not wait for what is set up on first use."""
    piece = np.array([EXAMPLE_FEATURES])
    bundle.genres.distances(piece)
    for network in bundle.networks:
        bundle.north_of_20(network, piece)
    bundle.places.origins(bundle.networks["places"].predict(piece))


app = create_app()
