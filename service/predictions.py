"""The prediction endpoints: one piece in, one prediction out."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from models.bundle import ModelBundle, Place
from models.features import Floats
from service.hot_path import PredictionRoute
from service.problems import documented
from service.schemas import (
    GenrePrediction,
    NorthOf20Options,
    NorthOf20Prediction,
    OriginOptions,
    OriginPrediction,
    Piece,
    PlaceProbability,
)

ERRORS = documented(
    {
        400: "The connection was closed before the body was whole.",
        413: "The body must have at most 65536 bytes.",
        415: "The body must be JSON: send it with the header Content-Type: application/json.",
        422: "/features must have 68 numbers, not 67.",
        500: "The service failed; its log says why.",
    }
)

router = APIRouter(route_class=PredictionRoute, tags=["predictions"], responses=ERRORS)


@router.post("/genre", summary="Predict the genre of a piece")
def genre(request: Request, body: Piece) -> GenrePrediction:
    """Assigns the piece to the genre whose centroid is nearest.

    The genres are the clusters that K-means found in the training data: groups of pieces that sound alike by these
    features, not styles that anybody named. `GET /genres` says where their pieces come from.
    """
    bundle: ModelBundle = request.state.bundle
    distances = bundle.genres.distances(_as_row(body))[0]
    nearest = int(distances.argmin())
    return GenrePrediction(
        genre=nearest, distance=distances[nearest], distances=distances.tolist(), model_version=bundle.version
    )


@router.post("/north-of-20", summary="Predict whether a piece comes from north of 20° N")
def north_of_20(request: Request, body: Piece, query: Annotated[NorthOf20Options, Query()]) -> NorthOf20Prediction:
    """Gives the probability that the piece comes from north of 20° N.

    The networks learned from pieces of 33 places. For other pieces of these places, `places` is right about four times
    in five; for music from any other place hardly more often than always saying north.
    """
    bundle: ModelBundle = request.state.bundle
    probability = float(bundle.north_of_20(query.network, _as_row(body))[0])
    return NorthOf20Prediction(
        north_of_20=probability > 0.5, probability=probability, network=query.network, model_version=bundle.version
    )


@router.post("/origin", summary="Predict where a piece comes from")
def origin(request: Request, body: Piece, query: Annotated[OriginOptions, Query()]) -> OriginPrediction:
    """Ranks the places that the piece may come from, and gives the point on Earth that they stand for.

    The point is that of least expected great-circle distance to the true place. The network only knows the places of
    its training data: what it says of music from elsewhere is which of them that resembles.
    """
    bundle: ModelBundle = request.state.bundle
    probabilities = bundle.networks["places"].predict(_as_row(body))
    point = bundle.places.origins(probabilities)
    likeliest = np.argsort(-probabilities[0], kind="stable")[: query.top]
    return OriginPrediction(
        places=[_likely_place(bundle.manifest.places[index], probabilities[0, index]) for index in likeliest],
        latitude=float(point.latitude[0]),
        longitude=float(point.longitude[0]),
        expected_error_km=float(point.expected_error_km[0]),
        model_version=bundle.version,
    )


def _likely_place(place: Place, probability: np.float32) -> PlaceProbability:
    return PlaceProbability(
        country=place.country,
        latitude=place.latitude,
        longitude=place.longitude,
        probability=min(float(probability), 1.0),  # rounding can take a mean of probabilities a little above one
    )


def _as_row(piece: Piece) -> Floats:
    """The piece as an array (1, 68); its schema has checked length, type and bounds."""
    return np.array([piece.features])
