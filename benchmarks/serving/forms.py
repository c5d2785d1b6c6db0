"""What is asked: rows of features in every form that some stack takes, and how its replies are read and checked."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.peers.network import forward
from models.archive import DEFAULT_BUNDLE, load_bundle
from models.bundle import ModelBundle

Rows = NDArray[np.float32]
Vector = NDArray[Any]
Headers = Mapping[str, str]

JSON: Headers = {"Content-Type": "application/json"}
TOLERANCE = 1e-5


@cache
def rows(count: int) -> Rows:
    """The same rows (count, 68) for everyone, with as many digits as the data set has."""
    return np.random.default_rng(20).standard_normal((count, 68)).round(6).astype(np.float32)


@dataclass(frozen=True)
class Body:
    """A request's body and the headers that say what it is."""

    headers: Headers
    content: bytes


def raw(features: Rows) -> Vector:
    """The hidden network's probabilities, as every peer gives them."""
    return forward(features)


@dataclass(frozen=True)
class Ask:
    """Where a stack is asked, how rows are written for it, how its reply is read, and what must stand there."""

    path: str
    write: Callable[[Rows], Body]
    read: Callable[[bytes], Any]
    expected: Callable[[Rows], Vector] = raw

    def check(self, reply: bytes, features: Rows) -> None:
        """Raises ValueError unless the reply is right to within TOLERANCE."""
        values, expected = np.ravel(self.read(reply)), self.expected(features)
        if values.shape != expected.shape:
            raise ValueError(f"{self.path} gave {values.size} values, not {expected.size}")
        difference = np.abs(values - expected).max(initial=0.0)
        if not difference <= TOLERANCE:
            raise ValueError(f"{self.path} is off by {difference:.2g}")


@cache
def bundle() -> ModelBundle:
    """The models, for what only this service predicts."""
    return load_bundle(DEFAULT_BUNDLE)


def calibrated(features: Rows) -> Vector:
    """What this service makes of the same probabilities unless asked not to: the log odds divided by a temperature."""
    odds = 1 / forward(features).astype(np.float64) - 1
    return 1 / (1 + odds ** (1 / bundle().manifest.networks["hidden"].temperature))


def places(features: Rows) -> Vector:
    """The probability that the places network gives."""
    return bundle().north_of_20("places", features)


def likeliest(features: Rows) -> Vector:
    """The probability of the likeliest place."""
    probabilities: Vector = bundle().networks["places"].predict(features).max(axis=1)
    return probabilities


def distance(features: Rows) -> Vector:
    """The distance to the nearest centroid."""
    differences = features[:, None].astype(np.float64) - bundle().genres.centroids
    nearest: Vector = np.sqrt((differences**2).sum(axis=2)).min(axis=1)
    return nearest


def nothing(_: object) -> Vector:
    """The values of a reply that does not depend on the request."""
    return np.empty(0)


def write_piece(features: Rows) -> Body:
    """`{"features": [68 numbers]}`."""
    return Body(JSON, _json({"features": _listed(features)[0]}))


def write_json(features: Rows) -> Body:
    """`{"features": [[68 numbers], …]}`."""
    return Body(JSON, _json({"features": _listed(features)}))


def write_inputs(features: Rows) -> Body:
    """MLflow's `{"inputs": [[68 numbers], …]}`."""
    return Body(JSON, _json({"inputs": _listed(features)}))


def write_csv(features: Rows) -> Body:
    """Lines of 68 numbers, answered in CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_listed(features))
    return Body({"Content-Type": "text/csv", "Accept": "text/csv"}, text.getvalue().encode())


def write_npy(features: Rows) -> Body:
    """NumPy's own form, answered in the same."""
    stream = io.BytesIO()
    np.save(stream, features, allow_pickle=False)
    return Body({"Content-Type": "application/x-npy", "Accept": "application/x-npy"}, stream.getvalue())


def write_v2(name: str, parameters: Mapping[str, Any]) -> Callable[[Rows], Body]:
    """Writes the Open Inference Protocol's JSON, for an input of that name."""

    def write(features: Rows) -> Body:
        tensor = {"name": name, "shape": features.shape, "datatype": "FP32"}
        data = [number for row in _listed(features) for number in row]
        return Body(JSON, _json({"parameters": parameters, "inputs": [tensor | {"data": data}]}))

    return write


def write_v2_binary(name: str, parameters: Mapping[str, Any]) -> Callable[[Rows], Body]:
    """Writes the same protocol's JSON head with the tensor in binary after it, and asks for the reply so."""

    def write(features: Rows) -> Body:
        data = features.tobytes()
        size = {"binary_data_size": len(data)}
        tensor = {"name": name, "shape": features.shape, "datatype": "FP32", "parameters": size}
        asked: dict[str, Any] = {**parameters, "binary_data_output": True}
        head = _json({"parameters": asked, "inputs": [tensor]})
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        return Body(headers, head + data)

    return write


def read_field(name: str) -> Callable[[bytes], Any]:
    """Reads what stands under a name in a JSON object."""
    return lambda reply: json.loads(reply)[name]


def read_list(reply: bytes) -> Any:
    """Reads a JSON array."""
    return json.loads(reply)


def read_likeliest(reply: bytes) -> Any:
    """Reads the probability of the first place of `/origin`."""
    return json.loads(reply)["places"][0]["probability"]


def read_csv(reply: bytes) -> Any:
    """Reads the column of probabilities."""
    return [float(line["probability"]) for line in csv.DictReader(io.StringIO(reply.decode()))]


def read_npy(reply: bytes) -> Any:
    """Reads the field of probabilities."""
    return np.load(io.BytesIO(reply), allow_pickle=False)["probability"]


def read_v2(reply: bytes) -> Any:
    """Reads the tensor of probabilities, of which the last column is that of north."""
    (tensor,) = (output for output in json.loads(reply)["outputs"] if output["name"] == "probability")
    return np.reshape(tensor["data"], tensor["shape"]).T[-1]


def read_v2_binary(reply: bytes) -> Any:
    """Reads the tensor of probabilities, which is the last of those after the JSON head."""
    head, _ = json.JSONDecoder().raw_decode(reply.decode("latin-1"))
    tensor = head["outputs"][-1]
    kind = {"FP32": "<f4", "FP64": "<f8"}[tensor["datatype"]]
    return np.frombuffer(reply[-tensor["parameters"]["binary_data_size"] :], kind).reshape(tensor["shape"]).T[-1]


def _listed(features: Rows) -> list[list[float]]:
    """Numbers as they are written in JSON and CSV: those of float32 with the digits they were rounded to."""
    listed: list[list[float]] = features.astype(np.float64).round(6).tolist()
    return listed


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
