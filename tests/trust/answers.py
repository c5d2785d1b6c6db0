"""What the service must answer, by the models themselves: each as the value that its reply holds, in whatever form."""

from typing import Any

import numpy as np

from models.bundle import NETWORKS, ModelBundle
from models.features import Floats
from models.pieces import PiecePredictor
from service.forms import CSV, NPY
from service.schemas import UNUSUAL, UNUSUAL_ROWS
from service.tensors import OUTPUTS

__all__ = ["NETWORKS", "Answer", "Model", "batch", "genre", "north_of_20", "origin", "tensors"]

Answer = dict[str, Any]


class Model:
    """A bundle, and its predictions for pieces."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.bundle = bundle
        self.version = bundle.version
        self.pieces = PiecePredictor(bundle)


def genre(model: Model, rows: Floats) -> Answer:
    """The genre of the only row."""
    found = model.bundle.predict_genres(rows)
    answer = {
        "genre": int(found.genre[0]),
        "distance": float(found.distance[0]),
        "distances": found.distances[0].tolist(),
        "typicality": float(found.typicality[0]),
        "model_version": model.version,
    }
    return {**answer, "warning": UNUSUAL} if found.unusual[0] else answer


def origin(model: Model, rows: Floats, top: int) -> Answer:
    """The origin of the only row."""
    probabilities = model.pieces.places(rows[0])
    point = model.bundle.places.origins(probabilities[None, :])
    likeliest = np.argsort(-probabilities, kind="stable")[:top].tolist()
    places = model.bundle.manifest.places
    return {
        "places": [
            {
                "country": places[index].country,
                "latitude": places[index].latitude,
                "longitude": places[index].longitude,
                "probability": float(probabilities[index]),
            }
            for index in likeliest
        ],
        "latitude": float(point.latitude[0]),
        "longitude": float(point.longitude[0]),
        "expected_error_km": float(point.expected_error_km[0]),
        "model_version": model.version,
    }


def north_of_20(model: Model, rows: Floats, network: str, calibrated: bool) -> Answer:
    """The side of the only row."""
    probability = float(model.bundle.north_of_20(network, rows, calibrated=calibrated)[0])
    return {
        "north_of_20": probability > 0.5,
        "probability": probability,
        "network": network,
        "model_version": model.version,
    }


def batch(model: Model, rows: Floats, form: str, network: str, calibrated: bool) -> Answer:
    """The columns of a batch in a form: its sides by a network, its genres if none is named."""
    constants = {"model_version": model.version}
    if network:
        constants["network"] = network
        probability = model.bundle.north_of_20(network, rows, calibrated=calibrated)
        columns = {"north_of_20": (probability > 0.5).tolist(), "probability": probability.tolist()}
    else:
        found = model.bundle.predict_genres(rows)
        columns = {name: getattr(found, name).tolist() for name in ("genre", "distance", "typicality", "unusual")}
        if found.unusual.any() and form != CSV:
            constants["warning"] = UNUSUAL_ROWS
    if form == NPY:
        return columns
    if form == CSV:
        return columns | {name: [value] * len(rows) for name, value in constants.items()}
    return columns | constants


def tensors(model: Model, rows: Floats, name: str, identity: str, network: str, calibrated: bool) -> Answer:
    """The outputs of an inference; those that are binary as if they were not."""
    found: dict[str, Any]
    if name == "genre":
        genres = model.bundle.predict_genres(rows)
        found = {"genre": genres.genre, "distance": genres.distance}
    else:
        north = model.bundle.north_of_20(network, rows, calibrated=calibrated)
        found = {"north_of_20": north > 0.5, "probability": np.stack([1 - north, north], axis=1)}
    outputs = [
        {
            "name": output.name,
            "datatype": output.datatype,
            "shape": [*found[output.name].shape],
            "data": found[output.name].ravel().tolist(),
        }
        for output in OUTPUTS[name]
    ]
    return {"model_name": name, "model_version": model.version, "id": identity, "outputs": outputs}
