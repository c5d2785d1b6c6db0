"""The bodies of the Open Inference Protocol: tensors in JSON, or in binary after a JSON head.

The specification: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and the binary tensor data
extension of Triton Inference Server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import Any, NoReturn, get_args

import numpy as np
import simdjson
from fastapi import Request, Response
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from models.bundle import ModelBundle
from models.features import FEATURE_BOUND, FEATURE_COUNT, FeatureError, Floats, as_feature_matrix
from service.bodies import count
from service.hot_path import Decode, Encode, PredictionRoute, refuse_rows
from service.inference_schemas import InferenceRequest, InputTensor, TensorMetadata
from service.schemas import NetworkName, NorthOf20Options

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
SPARE_MARKS = 1000  # as many commas or brackets as all but the data may have
MUST_BE = {
    (): "an object",
    ("id",): "text",
    ("inputs",): f"an array of one tensor, {INPUT.name}",
    ("inputs", "name"): f"'{INPUT.name}'",
    ("inputs", "shape"): f"[rows, {FEATURE_COUNT}], two whole numbers, with one row at the least",
    ("inputs", "datatype"): " or ".join(map(repr, INPUT_TYPES)),
    ("inputs", "parameters"): "an object",
    ("outputs",): "an array of objects, each with the name of an output",
    ("outputs", "name"): "the name of an output",
    ("outputs", "parameters"): "an object",
    ("parameters",): "an object",
    ("parameters", "network"): " or ".join(map(repr, get_args(NetworkName))),
    ("parameters", "calibrated"): "true or false",
}


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
    """A route whose endpoint is `(state, body: Inference, …) -> Inferred`."""

    max_bytes = None

    def check_head(self, request: Request) -> None:
        """Raises HTTPException for a model or version that is not there."""
        require_model(request, request.path_params["model"], request.path_params.get("version"))

    def codec(self) -> tuple[Decode, Encode]:
        """Reads and writes the protocol's forms, whatever the Content-Type: clients of the protocol often send none."""
        return decode, encode


def decode(request: Request, body: bytes) -> Inference:
    """The request in a body, or in a JSON head and the tensor after it. Raises HTTPException."""
    model = request.path_params["model"]
    max_rows: int = request.state.settings.max_batch
    head, binary = _parted(request, body)
    asked = _read_head(head, max_rows)
    tensor = asked.inputs[0]
    if tensor.shape[0] > max_rows:
        refuse_rows(max_rows)
    options = _options(asked.parameters)
    outputs = _wanted_outputs(asked, model)
    return Inference(_features(tensor, binary), options, asked.id, outputs)


def encode(request: Request, reply: Inferred) -> Response:
    """The reply as JSON, or as a JSON head with the binary tensors after it."""
    metadata = {each.name: each for each in OUTPUTS[reply.model]}
    outputs, tensors = [], []
    for name, binary in reply.request.outputs.items():
        datatype = metadata[name].datatype
        values = reply.tensors[name].astype(OUTPUT_TYPES[datatype], copy=False)
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(values.shape)}
        if binary:
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
        _refuse(f"{HEAD_LENGTH} must be the number of bytes of the JSON head, and the body has {len(body)}.")
    return body[: int(length)], body[int(length) :]


def _read_head(head: bytes, max_rows: int) -> InferenceRequest:
    """The head; the input's data are left as they were sent, or an array of numbers, for `_listed` to check."""
    # Between the numbers are commas, and around a row are brackets: so nothing is built of a head with too many values.
    if count(head, ",") >= max_rows * FEATURE_COUNT + SPARE_MARKS:
        refuse_rows(max_rows)
    brackets = count(head, "[")
    if brackets + count(head, "{") > max_rows + SPARE_MARKS:
        _refuse("The body must be an inference request: it has more arrays and objects than any has.")
    try:
        return InferenceRequest.model_validate(_parse_head(head, brackets))
    except Exception:  # the quick way fails in many ways; pydantic decides, and has words for what is wrong
        return _validate_head(head)


def _parse_head(head: bytes, brackets: int) -> dict[str, Any]:
    """A head whose one input lists its data: these as an array, without an object for each number.

    Fails for anything else.
    """
    document: Any = simdjson.Parser().parse(head)
    (tensor,) = document["inputs"]
    data = tensor["data"]
    rows = len(data) if isinstance(data[0], simdjson.Array) else 0
    if rows and {len(row) for row in data} != {FEATURE_COUNT}:
        raise ValueError("no rows of features")
    # Those around inputs, shape, data and outputs. simdjson would flatten what is nested, and skips a byte order mark.
    if brackets != 3 + rows + ("outputs" in document) or head[0] > 127:
        raise ValueError("not a plain head")
    numbers = np.frombuffer(data.as_buffer(of_type="d"))
    return _members(document, "inputs") | {"inputs": [_members(tensor, "data") | {"data": numbers}]}


def _members(parsed: Any, apart: str) -> dict[str, Any]:
    """All that a parsed object has, but for one name. Raises ValueError where a name comes twice."""
    names = [*parsed.keys()]
    if len({*names}) < len(names):
        raise ValueError("it would be the first that counts")
    return {name: _whole(parsed[name]) for name in names if name != apart}


def _whole(value: Any) -> Any:
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    return value.as_list() if isinstance(value, simdjson.Array) else value


def _validate_head(head: bytes) -> InferenceRequest:
    try:
        return InferenceRequest.model_validate_json(head)
    except ValidationError as error:
        _refuse_value(error)


def _options(parameters: Mapping[str, Any]) -> NorthOf20Options:
    names = NorthOf20Options.model_fields.keys() & parameters.keys()
    try:
        return NorthOf20Options.model_validate({name: parameters[name] for name in names})
    except ValidationError as error:
        _refuse_value(error, "parameters")


def _wanted_outputs(asked: InferenceRequest, model: str) -> dict[str, bool]:
    """The outputs wanted, each with whether it is to be binary."""
    names = [metadata.name for metadata in OUTPUTS[model]]
    default = _flag(asked.parameters, "binary_data_output", default=False)
    for output in asked.outputs:
        if output.name not in names:
            _refuse(f"There is no such output: {model} has {' and '.join(names)}.")
        if "classification" in output.parameters:
            _refuse("The extension for classification is not there: ask without class_count.")
        if "shared_memory_region" in output.parameters:
            _refuse("The extensions for shared memory are not there: ask for the output in the reply.")
    wanted = {output.name: _flag(output.parameters, "binary_data", default=default) for output in asked.outputs}
    return wanted or dict.fromkeys(names, default)


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        _refuse(f"The parameter {name} must be true or false.")
    return value


def _features(tensor: InputTensor, binary: bytes) -> Floats:
    """The tensor's rows (n, 68), checked."""
    size = tensor.parameters.get("binary_data_size")
    if size is None and binary:
        _refuse(f"The {len(binary)} bytes after the JSON head are of no input: none has binary_data_size.")
    if size is not None and tensor.data is not None:
        _refuse("The input has both data and binary_data_size: send one of the two.")
    values = _listed(tensor) if size is None else _unpacked(tensor, binary, size)
    try:
        return as_feature_matrix(values)
    except FeatureError as error:
        _refuse(f"Row {(error.row or 0) + 1}: {error}.")


def _unpacked(tensor: InputTensor, binary: bytes, size: object) -> Floats:
    kind = INPUT_TYPES[tensor.datatype]
    expected = tensor.shape[0] * FEATURE_COUNT * kind.itemsize
    if size != expected or len(binary) != expected:
        _refuse(
            f"The tensor has {expected} bytes by its shape and datatype: as many must follow the JSON head, whose "
            f"length {HEAD_LENGTH} says, and binary_data_size must be their number."
        )
    return np.frombuffer(binary, kind).reshape(tensor.shape)


def _listed(tensor: InputTensor) -> Floats:
    """Data in JSON, flat or nested."""
    data: Any = tensor.data
    if not isinstance(data, list | np.ndarray):
        _refuse("The input must have data, an array of numbers, or binary_data_size.")
    if isinstance(data, list) and data and isinstance(data[0], list):
        if not all(isinstance(row, list) and len(row) == FEATURE_COUNT for row in data):
            _refuse(f"Nested data must be rows of {FEATURE_COUNT} numbers.")
        data = list(chain.from_iterable(data))
    expected = tensor.shape[0] * FEATURE_COUNT
    if len(data) != expected:
        _refuse(f"The input's data must be as many numbers as its shape says, {expected}, and not {len(data)}.")
    if isinstance(data, list) and not {*map(type, data)} <= {float, int}:
        index = next(index for index, value in enumerate(data) if type(value) not in (float, int))
        row, column = divmod(index, FEATURE_COUNT)
        _refuse(f"Row {row + 1}: feature {column + 1} must be a number.")
    try:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused next
            return np.array(data, INPUT_TYPES[tensor.datatype]).reshape(tensor.shape)
    except OverflowError:
        _refuse(f"The input's data must be numbers between -{FEATURE_BOUND:g} and {FEATURE_BOUND:g}.")


def _refuse_value(error: ValidationError, *prefix: str) -> NoReturn:
    """Says what the first wrong value must be, in words of this service: pydantic's own name its classes."""
    first = error.errors(include_input=False, include_url=False)[0]
    if first["type"] == "json_invalid":
        _refuse(f"The body must be JSON: {first['ctx']['error']}.")
    path = [*prefix, *first["loc"]]
    while path and isinstance(path[-1], int):  # what an array must be is said of the array
        path.pop()
    names = tuple(part for part in path if isinstance(part, str))
    _refuse(f"{''.join(f'/{part}' for part in path) or 'The body'} must be {MUST_BE[names]}.")


def _refuse(detail: str) -> NoReturn:
    raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
