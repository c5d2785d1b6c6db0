"""The endpoints of the Open Inference Protocol, version 2: the same predictions for its clients."""

from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Request, Response

from service.hot_path import GIVEN, GivenState
from service.inference_schemas import (
    InferenceError,
    InferenceLive,
    InferenceModel,
    InferenceModels,
    InferenceReady,
    InferenceReply,
    InferenceRequest,
    InferenceServer,
    ModelReady,
)
from service.predictions import predict_genres, predict_north_of_20
from service.problems import INFERENCE_PATH, KINDS
from service.state import State
from service.tensors import HEAD_LENGTH, INPUT, OUTPUTS, Inference, InferenceRoute, Inferred, require_model

ModelName = Annotated[
    str, Path(description="Which model: genre or north-of-20.", json_schema_extra={"enum": list(OUTPUTS)})
]
Version = Annotated[str, Path(description="The model's version: the one that answers.")]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": InferenceError, "description": KINDS[status].title} for status in statuses}


# FastAPI adds its own 422 to whatever has something variable in its path, unless all of 4XX is documented.
NO_SUCH_MODEL: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": InferenceError, "description": "There is no such model or version."}
}

router = APIRouter(prefix=INFERENCE_PATH, tags=["Open Inference Protocol"], responses=_errors(500, 503))
inferences = APIRouter(
    prefix=INFERENCE_PATH,
    route_class=InferenceRoute,
    tags=["Open Inference Protocol"],
    responses=_errors(400, 401, 404, 408, 413, 415, 422, 429, 500, 503),
)


@router.get("", summary="Describe the server")
async def inference_server(request: Request) -> InferenceServer:
    """Names the server and the extensions of the protocol that it has."""
    app = request.app
    return InferenceServer(name=app.title, version=app.version, extensions=["binary_tensor_data"])


@router.get("/health/live", summary="Report that the process answers")
async def inference_live() -> InferenceLive:
    """Answers while the process does."""
    return InferenceLive(live=True)


@router.get("/health/ready", summary="Report whether inference is answered")
async def inference_ready(request: Request, response: Response) -> InferenceReady:
    """Answers 200 while inference is answered, and 503 once the service is about to stop."""
    if not request.state.drain.begun:
        return InferenceReady(ready=True, live=True)
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return InferenceReady(ready=False, live=True, error="The service is about to stop.")


@router.get("/models", summary="List the models")
async def inference_models() -> InferenceModels:
    """Names the models."""
    return InferenceModels(models=list(OUTPUTS))


@router.get("/models/{model}", summary="Describe a model", responses=NO_SUCH_MODEL)
async def inference_model(request: Request, model: ModelName) -> InferenceModel:
    """Says what the model takes and gives."""
    return _describe(request, model)


@router.get("/models/{model}/versions/{version}", summary="Describe a version of a model", responses=NO_SUCH_MODEL)
async def inference_model_version(request: Request, model: ModelName, version: Version) -> InferenceModel:
    """Says what the model takes and gives."""
    return _describe(request, model, version)


@router.get("/models/{model}/ready", summary="Report whether a model answers", responses=NO_SUCH_MODEL)
async def inference_model_ready(request: Request, model: ModelName) -> ModelReady:
    """Answers while the model does."""
    require_model(request, model)
    return ModelReady(name=model, ready=True)


@router.get(
    "/models/{model}/versions/{version}/ready",
    summary="Report whether a version of a model answers",
    responses=NO_SUCH_MODEL,
)
async def inference_model_version_ready(request: Request, model: ModelName, version: Version) -> ModelReady:
    """Answers while the model does."""
    require_model(request, model, version)
    return ModelReady(name=model, ready=True)


BINARY_REPLY: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            HEAD_LENGTH: {
                "description": "Of a reply with binary tensors: how many of its bytes are the JSON head.",
                "schema": {"type": "string"},
                "required": False,
            }
        },
    }
}
REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/InferenceRequest"}}},
    }
}


@inferences.post(
    "/models/{model}/infer",
    summary="Predict for a tensor",
    response_model=InferenceReply,
    openapi_extra=REQUEST_BODY,
    responses=BINARY_REPLY,
)
def infer(state: GivenState, body: Annotated[Inference, GIVEN], model: ModelName) -> Inferred:
    """Predicts for a tensor of rows what `/genre` or `/north-of-20` predicts for a piece.

    `features` is FP32 or FP64 with the shape [rows, 68]. Tensors may be binary both ways, by the protocol's extension
    `binary_tensor_data`: the header Inference-Header-Content-Length then says where the JSON head ends. Of
    `probability`, the second column is that of north of 20° N.
    """
    return _infer(state, body, model)


@inferences.post(
    "/models/{model}/versions/{version}/infer",
    summary="Predict for a tensor by a version of a model",
    response_model=InferenceReply,
    openapi_extra=REQUEST_BODY,
    responses=BINARY_REPLY,
)
def infer_version(
    state: GivenState,
    body: Annotated[Inference, GIVEN],
    model: ModelName,
    version: Version,  # noqa: ARG001
) -> Inferred:
    """Does as `/v2/models/{model}/infer` does, if the version is the one that answers."""
    return _infer(state, body, model)


def schemas() -> dict[str, Any]:
    """The OpenAPI schemas that the bodies of `infer` refer to."""
    schema = InferenceRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "InferenceRequest": schema}


def _infer(state: State, body: Inference, model: str) -> Inferred:
    if model == "genre":
        genres = predict_genres(state, body.features)
        return Inferred(model, {"genre": genres.genre, "distance": genres.distance}, body)
    north = predict_north_of_20(state, body.features, body.options)
    return Inferred(model, {"north_of_20": north > 0.5, "probability": np.stack([1 - north, north], axis=1)}, body)


def _describe(request: Request, model: str, version: str | None = None) -> InferenceModel:
    bundle = require_model(request, model, version)
    outputs = list(OUTPUTS[model])
    return InferenceModel(name=model, versions=[bundle.version], platform="numpy", inputs=[INPUT], outputs=outputs)
