"""The application: `uvicorn service.app:app`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.archive import BundleError
from service import docs, front_page, inference, logs, operations, predictions, problems
from service.access import SECURITY_SCHEMES, Keys, Origins
from service.admission import Admission
from service.draining import Drain
from service.ledger import Ledger
from service.metrics import Metrics, SharedFolderError
from service.observation import Observation
from service.reloading import Models, Reloading
from service.schemas import Piece
from service.settings import Settings, SettingsError, read_settings
from service.state import State
from service.tensors import HEAD_LENGTH

VERSION = "0.1.0"

DESCRIPTION = """
Send the 68 audio features of a piece of traditional music; get its **genre** (one of the clusters that K-means found in
1,059 pieces from 33 places), its **origin** among these places, and whether it comes from **north of 20° N**.

The features are those of the UCI data set *Geographical Original of Music*, in its column order and standardised as
there.

The networks tell *which of the 33 places, or recordings, a piece resembles*, and not where on Earth unheard music comes
from. On unseen pieces of the 33 places, `places` tells the side of 20° N of about 80 in 100. Where a whole place is
held out of training, every network falls to between 65 and 70 in 100, and always answering north is right for 64.

Whole **batches** go to `/genre/batch`, `/origin/batch` and `/north-of-20/batch`, as JSON, CSV, NumPy's `.npy` or an
Arrow stream. Genres and sides are there by the **Open Inference Protocol** too, version 2, under `/v2`.

Every reply names the model version that gave it, and in its header `X-Request-ID` the request; every error is a
*problem* (RFC 9457) that says what to mend, and [/problems](problems) explains each kind.
"""


class Service(FastAPI):
    """FastAPI, observed from outside of all its parts, and with what it cannot know of its own OpenAPI document."""

    settings: Settings
    shared_state: dict[str, Any]  # the server's, of which each request gets a copy

    def build_middleware_stack(self) -> ASGIApp:
        """Everything that answers a request."""
        return Observation(super().build_middleware_stack())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; a start that fails is explained."""
        if scope["type"] == "lifespan":
            self.shared_state = scope.setdefault("state", {})
            await explain_failure(super().__call__, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the schemas of problems, and with the keys if any are asked for."""
        if self.openapi_schema:
            return self.openapi_schema
        document = super().openapi()
        schemas = document["components"]["schemas"]
        schemas |= {"Piece": Piece.model_json_schema()} | problems.schemas() | inference.schemas()
        if self.settings.keys:
            document["components"]["securitySchemes"] = SECURITY_SCHEMES
            for operations_of_path in document["paths"].values():
                for operation in operations_of_path.values():
                    if "401" in operation["responses"]:
                        operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
        return document


async def explain_failure(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Tells the server what kept the service from starting in one sentence; Starlette would send a stack trace.

    It would send one too where the service is stopped at once, which is no failure.
    """
    failure: Message | None = None

    async def hold_failure(message: Message) -> None:
        nonlocal failure
        if message["type"] in {"lifespan.startup.failed", "lifespan.shutdown.failed"}:
            failure = message
        else:
            await send(message)

    try:
        await app(scope, receive, hold_failure)
    except (BundleError, SharedFolderError) as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
    except asyncio.CancelledError:
        pass
    except BaseException:
        if failure:
            await send(failure)
        raise


def create_app(settings: Settings | None = None) -> FastAPI:
    """Puts the service together, by these settings or by those of the environment. Raises SettingsError."""
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        reloading = Reloading(settings.bundle, watch=settings.watch)
        bundle, pieces = reloading.models
        logs.configure()
        metrics, log = Metrics(bundle, settings.max_concurrency), logs.RequestLog(sys.stdout, settings.log_level)
        ledger = Ledger(metrics.count, *([log.write] if settings.access_log else []))
        admission = Admission(settings.max_concurrency)
        drain = Drain(settings.drain_seconds, admission.stop_waiting)

        def swap(models: Models) -> None:
            """Gives requests to come the new models; each that is under way has taken its own from here."""
            service.shared_state.update(bundle=models.bundle, pieces=models.pieces)

        with drain.at_sigterm(), reloading.going_on(swap, metrics):
            try:
                yield {
                    "settings": settings,
                    "bundle": bundle,
                    "pieces": pieces,
                    "keys": Keys(settings.keys),
                    "admission": admission,
                    "metrics": metrics,
                    "ledger": ledger,
                    "drain": drain,
                }
            finally:
                ledger.settle()

    send_telemetry = settings.telemetry
    service = Service(
        title="music-origin",
        version=VERSION,
        summary="Genre, origin and side of 20° N of traditional music, from 68 audio features.",
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the redirect would go to whatever host the request names
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
        telemetry={
            "tracing": send_telemetry,
            "metrics": send_telemetry,
            "logs": send_telemetry,
            "auto_configure": send_telemetry,
        },
    )
    service.settings = settings
    if settings.cors_origins:
        service.add_middleware(
            Origins,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Encoding", "X-API-Key", "X-Request-ID", HEAD_LENGTH],
            expose_headers=["X-Request-ID", "X-Model-Version", "X-Ignored-Columns", "Retry-After", HEAD_LENGTH],
        )
    for router in (
        predictions.router,
        predictions.batches,
        operations.router,
        inference.router,
        inference.inferences,
    ):
        service.include_router(router)
    docs.install_docs(service)
    front_page.install_front_page(service)
    problems.install_problems(service)
    return service


try:
    app = create_app()
except SettingsError as error:
    sys.exit(f"error: {error}")
