"""The bodies of the Open Inference Protocol: tensors in JSON, or in binary after a JSON head.

The specification: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and the binary tensor data
extension of Triton Inference Server.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.exceptions import HTTPException

from models.bundle import ModelBundle
from models.features import FEATURE_COUNT, FeatureError, Floats, as_feature_matrix
from service.hot_path import Decode, Encode, PredictionRoute
from service.schemas import InferenceRequest, InputTensor, NorthOf20Options, TensorMetadata

HEAD_LENGTH = "Inference-Header-Content-Length"
INPUT = TensorMetadata(name="features", datatype="FP32", shape=[-1, FEATURE_COUNT])
INPUT_TYPES: dict[str, np.dtype[np.floating[Any]]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
OUTPUT_TYPES = {"INT64": np.dtype("<i8"), "FP64": np.dtype("<f8"), "BOOL": np.dtype("?")}
OUTPUTS = {
    "genre": (
        TensorMetadata(name="genre", datatype="INT64", shape=[-1]),
        TensorMetadata(name="distance", datatype="FP64", shape=[-1]),
    ),
    "north-of-20": (
        TensorMetadata(name="north_of_20", datatype="BOOL", shape=[-1]),
        TensorMetadata(name="probability", datatype="FP64", shape=[-1, 2]),
    ),
}
HEAD_COMMAS = 1000  # as many as anything but the data may have


@dataclass(frozen=True, eq=False)
class Inference:
    """A request: rows (n, 68), how to answer, and the outputs wanted by name, each with whether it is to be binary."""

    features: Floats
    options: NorthOf20Options
    id: str | None
    outputs: Mapping[str, bool]


@dataclass(frozen=True, eq=False)
class Inferred:
    """A reply: the model that was asked, the outputs by name, and the request."""

    model: str
    tensors: Mapping[str, NDArray[Any]]
    request: Inference


class InferenceRoute(PredictionRoute):
    """A route whose endpoint is `(request, body: Inference, …) -> Inferred`."""

    max_bytes = None

    def codec(self) -> tuple[Decode, Encode]:
        """Reads and writes the protocol's forms, whatever the Content-Type: clients of the protocol often send none."""
        return decode, encode


def decode(request: Request, body: bytes) -> Inference:
    """The request in a body, or in a JSON head and the tensor after it. Raises HTTPException."""
    model = request.path_params["model"]
    require_model(request, model, request.path_params.get("version"))
    head, binary = _parted(request, body)
    max_rows: int = request.state.settings.max_batch
    if head.count(b",") >= max_rows * FEATURE_COUNT + HEAD_COMMAS:
        _refuse_rows(max_rows)
    asked, data = _read_head(head)
    tensor = asked.inputs[0]
    if tensor.shape[0] > max_rows:
        _refuse_rows(max_rows)
    options = _options(asked.parameters)
    outputs = _wanted_outputs(asked, model)
    return Inference(_features(tensor, data, binary), options, asked.id, outputs)


def encode(request: Request, reply: Inferred) -> Response:
    """The reply as JSON, or as a JSON head with the binary tensors after it."""
    outputs, tensors = [], []
    for metadata in OUTPUTS[reply.model]:
        if metadata.name not in reply.request.outputs:
            continue
        values = reply.tensors[metadata.name].astype(OUTPUT_TYPES[metadata.datatype], copy=False)
        output: dict[str, Any] = {"name": metadata.name, "datatype": metadata.datatype, "shape": list(values.shape)}
        if reply.request.outputs[metadata.name]:
            tensors.append(values.tobytes())
            output["parameters"] = {"binary_data_size": len(tensors[-1])}
        else:
            output["data"] = values.ravel().tolist()
        outputs.append(output)
    content = {"model_name": reply.model, "model_version": request.state.bundle.version}
    head = to_json(content | ({} if reply.request.id is None else {"id": reply.request.id}) | {"outputs": outputs})
    if not tensors:
        return Response(head, media_type="application/json")
    headers = {HEAD_LENGTH: str(len(head))}
    return Response(b"".join([head, *tensors]), headers=headers, media_type="application/octet-stream")


def require_model(request: Request, model: str, version: str | None = None) -> ModelBundle:
    """The bundle that has the model. Raises HTTPException (404) for another model or version."""
    bundle: ModelBundle = request.state.bundle
    if model not in OUTPUTS:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no such model: there are {' and '.join(OUTPUTS)}.")
    if version not in (None, bundle.version):
        raise HTTPException(
            HTTPStatus.NOT_FOUND, f"There is no such version: the one that answers is {bundle.version}."
        )
    return bundle


def _parted(request: Request, body: bytes) -> tuple[bytes, bytes]:
    """The JSON head and what follows it."""
    length = request.headers.get(HEAD_LENGTH)
    if length is None:
        return body, b""
    if not (length.isdecimal() and len(length) < 20 and int(length) <= len(body)):
        _refuse(f"{HEAD_LENGTH} must be the number of bytes of the JSON head, and the body has {len(body)}")
    return body[: int(length)], body[int(length) :]


def _read_head(head: bytes) -> tuple[InferenceRequest, Any]:
    """The head, and apart from it the input's data as they were sent."""
    try:
        content = from_json(head)
    except ValueError as error:
        _refuse(f"the body must be JSON: {error}")
    data = None
    # A head of another form has no data, and is refused next.
    with suppress(AttributeError, IndexError, KeyError, TypeError):
        data = content["inputs"][0].pop("data", None)
    try:
        return InferenceRequest.model_validate(content), data
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        _refuse(f"{''.join(f'/{part}' for part in first['loc']) or 'the body'}: {first['msg']}")


def _options(parameters: Mapping[str, Any]) -> NorthOf20Options:
    names = NorthOf20Options.model_fields.keys() & parameters.keys()
    try:
        return NorthOf20Options.model_validate({name: parameters[name] for name in names})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        _refuse(f"/parameters/{first['loc'][0]}: {first['msg']}")


def _wanted_outputs(asked: InferenceRequest, model: str) -> dict[str, bool]:
    """The outputs wanted, each with whether it is to be binary."""
    names = [metadata.name for metadata in OUTPUTS[model]]
    default = _flag(asked.parameters, "binary_data_output", default=False)
    if not asked.outputs:
        return dict.fromkeys(names, default)
    for output in asked.outputs:
        if output.name not in names:
            _refuse(f"there is no such output: {model} has {' and '.join(names)}")
        if "classification" in output.parameters:
            _refuse("the extension for classification is not there: ask without class_count")
    return {output.name: _flag(output.parameters, "binary_data", default=default) for output in asked.outputs}


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        _refuse(f"{name} must be true or false")
    return value


def _features(tensor: InputTensor, data: Any, binary: bytes) -> Floats:
    """The tensor's rows (n, 68), checked."""
    size = tensor.parameters.get("binary_data_size")
    if size is not None and data is not None:
        _refuse("the input has both data and binary_data_size: send one of the two")
    values = _listed(data, tensor) if size is None else _unpacked(binary, size, tensor)
    if size is None and binary:
        _refuse(f"{len(binary)} bytes follow the JSON head, and no input has binary_data_size")
    try:
        return as_feature_matrix(values)
    except FeatureError as error:
        _refuse(f"row {(error.row or 0) + 1}: {error}")


def _unpacked(binary: bytes, size: object, tensor: InputTensor) -> Floats:
    kind = INPUT_TYPES[tensor.datatype]
    expected = tensor.shape[0] * tensor.shape[1] * kind.itemsize
    if size != expected or len(binary) != expected:
        _refuse(f"{tensor.datatype} of this shape takes {expected} bytes, as binary_data_size and after the JSON head")
    return np.frombuffer(binary, kind).reshape(tensor.shape)


def _listed(data: Any, tensor: InputTensor) -> Floats:
    """Data in JSON, flat or nested."""
    if not isinstance(data, list):
        _refuse("the input must have data, an array of numbers, or binary_data_size")
    if data and isinstance(data[0], list):
        if not all(isinstance(row, list) and len(row) == FEATURE_COUNT for row in data):
            _refuse(f"nested data must be rows of {FEATURE_COUNT} numbers")
        data = list(chain.from_iterable(data))
    if len(data) != tensor.shape[0] * tensor.shape[1]:
        _refuse(f"data must have as many numbers as the shape says, {tensor.shape[0] * tensor.shape[1]}")
    if not {*map(type, data)} <= {float, int}:
        index = next(index for index, value in enumerate(data) if type(value) not in (float, int))
        row, column = divmod(index, FEATURE_COUNT)
        _refuse(f"row {row + 1}: feature {column + 1} must be a number")
    try:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused next
            return np.array(data, INPUT_TYPES[tensor.datatype]).reshape(tensor.shape)
    except OverflowError:
        _refuse("data must be numbers that fit the datatype")


def _refuse_rows(max_rows: int) -> NoReturn:
    detail = f"at most {max_rows} rows of {FEATURE_COUNT} numbers are taken at a time: send them in parts"
    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _refuse(message: str) -> NoReturn:
    raise HTTPException(HTTPStatus.BAD_REQUEST, message)
