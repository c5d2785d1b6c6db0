"""The prediction endpoints: /genre, /north-of-20 and /origin, for a piece and for whole batches."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray

from models.bundle import GenrePredictions, Place
from models.features import Floats
from models.pieces import Piece
from service import examples
from service.access import UNAUTHORIZED
from service.forms import BatchRoute, Columns
from service.hot_path import GIVEN, GivenState, PredictionRoute
from service.metrics import SIDES
from service.problems import documented
from service.rows import Rows
from service.schemas import (
    UNUSUAL,
    UNUSUAL_ROWS,
    GenreBatch,
    GenrePrediction,
    NorthOf20Batch,
    NorthOf20Options,
    NorthOf20Prediction,
    OriginBatch,
    OriginOptions,
    OriginPrediction,
    PlaceProbability,
)
from service.state import State

ERRORS: Mapping[int, str] = {
    400: "The connection was closed before the body was whole.",
    401: UNAUTHORIZED,
    408: "The body must arrive within 30 seconds, and before the service stops.",
    413: "The body must have at most 65536 bytes.",
    415: "The body's form must be said, by the header Content-Type: application/json.",
    422: "/features must have 68 numbers, not 67.",
    429: "As many predictions are under way as are taken, 1000: send this again later.",
    500: "The service failed; its log says why.",
    503: "There is no model yet: ask later.",
}
BATCH_ERRORS = {
    406: "The reply can be had as application/json or text/csv or application/x-npy: accept one of these.",
    413: "A batch must have at most 10000 rows of 68 numbers: send it in parts.",
    422: "Row 1, column 4 must be a finite number: JSON has no NaN and no Infinity.",
}

FORMS_OF_A_BATCH = (
    "`Content-Type` says the body's form and `Accept` the reply's: JSON, CSV, NumPy's `.npy`, or an Arrow stream where "
    "the service has that extra. A row that does not fit fails the whole batch, and the error names its cells. The "
    "last digits may differ from those of a single piece, since the sums are made in another order."
)

GivenPiece = Annotated[Piece, GIVEN]

router = APIRouter(route_class=PredictionRoute, tags=["predictions"], responses=documented(ERRORS))
batches = APIRouter(route_class=BatchRoute, tags=["batches"], responses=documented({**ERRORS, **BATCH_ERRORS}))


@router.post("/genre", summary="Predict the genre of a piece", openapi_extra=examples.PIECE)
def genre(state: GivenState, body: GivenPiece) -> GenrePrediction:
    """Assigns the piece to the genre whose centroid is nearest, and says how typical of it the piece is.

    The genres are the clusters that K-means found in the training data: groups of pieces that sound alike by these
    features, not styles that anybody named. `GET /genres` says where their pieces come from.
    """
    number, distance, distances, typicality, unusual = state["pieces"].genre(body)
    state["rows"], state["predicted"] = 1, {(str(number),): 1}
    reply: GenrePrediction = {
        "genre": number,
        "distance": distance,
        "distances": distances,
        "typicality": typicality,
        "model_version": state["bundle"].version,
    }
    return {**reply, "warning": UNUSUAL} if unusual else reply


@router.post("/north-of-20", summary="Predict whether a piece comes from north of 20° N", openapi_extra=examples.PIECE)
def north_of_20(
    state: GivenState, body: GivenPiece, query: Annotated[NorthOf20Options, Query()]
) -> NorthOf20Prediction:
    """Gives the probability that the piece comes from north of 20° N.

    The networks learned from pieces of 33 places. For other pieces of these places, `places` is right about four times
    in five; for music from any other place hardly more often than always saying north.
    """
    probability = state["pieces"].north_of_20(query.network, body, calibrated=query.calibrated)
    north = probability > 0.5
    state["rows"], state["predicted"] = 1, {(query.network, SIDES[north]): 1}
    return {
        "north_of_20": north,
        "probability": probability,
        "network": query.network,
        "model_version": state["bundle"].version,
    }


@router.post("/origin", summary="Predict where a piece comes from", openapi_extra=examples.PIECE)
def origin(state: GivenState, body: GivenPiece, query: Annotated[OriginOptions, Query()]) -> OriginPrediction:
    """Ranks the places that the piece may come from, and gives the point on Earth that they stand for.

    The point is that of least expected great-circle distance to the true place. The network only knows the places of
    its training data: what it says of music from elsewhere is which of them that resembles.
    """
    bundle = state["bundle"]
    state["rows"] = 1
    probabilities = state["pieces"].places(body)
    point = bundle.places.origins(probabilities[None, :])
    likeliest = np.argsort(-probabilities, kind="stable")[: query.top].tolist()
    return {
        "places": [_likely_place(bundle.manifest.places[index], probabilities[index]) for index in likeliest],
        "latitude": float(point.latitude[0]),
        "longitude": float(point.longitude[0]),
        "expected_error_km": float(point.expected_error_km[0]),
        "model_version": bundle.version,
    }


@batches.post(
    "/genre/batch",
    summary="Predict the genres of many pieces",
    description=f"Does for each row what `/genre` does for a piece, all in one table.\n\n{FORMS_OF_A_BATCH}",
    response_model=GenreBatch,
    openapi_extra=examples.request_body(),
    responses=examples.reply_forms("genre,distance,typicality,unusual,model_version"),
)
def genre_batch(state: GivenState, body: Annotated[Rows, GIVEN]) -> Columns:
    """Predicts the genre of each row."""
    predicted = predict_genres(state, body.features)
    names = ("genre", "distance", "typicality", "unusual")
    warning = {"warning": UNUSUAL_ROWS} if predicted.unusual.any() else {}
    return _columns(state, {name: getattr(predicted, name) for name in names}, **warning)


@batches.post(
    "/north-of-20/batch",
    summary="Predict which of many pieces come from north of 20° N",
    description=f"Does for each row what `/north-of-20` does for a piece, all in one table.\n\n{FORMS_OF_A_BATCH}",
    response_model=NorthOf20Batch,
    openapi_extra=examples.request_body(),
    responses=examples.reply_forms("north_of_20,probability,network,model_version"),
)
def north_of_20_batch(
    state: GivenState, body: Annotated[Rows, GIVEN], query: Annotated[NorthOf20Options, Query()]
) -> Columns:
    """Predicts the side of each row."""
    probability = predict_north_of_20(state, body.features, query)
    columns = {"north_of_20": probability > 0.5, "probability": probability}
    return _columns(state, columns, network=query.network)


@batches.post(
    "/origin/batch",
    summary="Predict where many pieces come from",
    description=f"Does for each row what `/origin` does for a piece, but names the likeliest place only.\n\n"
    f"{FORMS_OF_A_BATCH}",
    response_model=OriginBatch,
    openapi_extra=examples.request_body(),
    responses=examples.reply_forms(",".join([*OriginBatch.model_fields])),
)
def origin_batch(state: GivenState, body: Annotated[Rows, GIVEN]) -> Columns:
    """Predicts the origin of each row."""
    bundle, features = state["bundle"], body.features
    state["rows"] = len(features)
    if len(features) == 1:
        probabilities = state["pieces"].places(features[0].astype(np.float64))[None, :]
    else:
        probabilities = bundle.networks["places"].predict(features)
    return _columns(state, vars(bundle.origins_in(probabilities)))


def predict_genres(state: State, features: Floats) -> GenrePredictions:
    """The genres of rows (n, 68), to be counted; of a single one as of a piece."""
    if len(features) == 1:
        genre = state["pieces"].genre(features[0].astype(np.float64))
        predicted = GenrePredictions(*(np.array([value]) for value in genre))
    else:
        predicted = state["bundle"].predict_genres(features)
    counts = np.bincount(predicted.genre).tolist()
    state["rows"] = len(features)
    state["predicted"] = {(str(genre),): count for genre, count in enumerate(counts) if count}
    return predicted


def predict_north_of_20(state: State, features: Floats, options: NorthOf20Options) -> NDArray[np.float64]:
    """The probabilities of north (n,) of rows (n, 68), to be counted by side; of a single one as of a piece."""
    network = options.network
    if len(features) == 1:
        piece = features[0].astype(np.float64)
        probability = np.array([state["pieces"].north_of_20(network, piece, calibrated=options.calibrated)])
    else:
        probability = state["bundle"].north_of_20(network, features, calibrated=options.calibrated)
    north = int(np.count_nonzero(probability > 0.5))
    state["rows"] = len(features)
    state["predicted"] = {(network, SIDES[False]): len(features) - north, (network, SIDES[True]): north}
    return probability


def _columns(state: State, columns: Mapping[str, NDArray[Any]], **constants: str) -> Columns:
    return Columns(columns, {**constants, "model_version": state["bundle"].version})


def _likely_place(place: Place, probability: np.float32) -> PlaceProbability:
    return {
        "country": place.country,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "probability": min(float(probability), 1.0),  # rounding can take a mean of probabilities a little above one
    }
