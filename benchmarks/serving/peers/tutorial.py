"""What a FastAPI tutorial makes of a model: pydantic in, pydantic out.

Tried: `async def` and `def` endpoints. The former is the faster by far, since it takes no thread.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel, Field

Vector = Annotated[list[float], Field(min_length=68, max_length=68)]
Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Piece(BaseModel):
    """One vector."""

    features: Vector


class Pieces(BaseModel):
    """Many vectors."""

    features: list[Vector]


class Prediction(BaseModel):
    """The probability of north of 20° N."""

    probability: float


class Predictions(BaseModel):
    """The probabilities of north of 20° N."""

    probability: list[float]


def serve(forward: Forward) -> FastAPI:
    """Serves what gives the probability of north (n,) of rows (n, 68)."""
    app = FastAPI()

    @app.post("/predict")
    async def predict(piece: Piece) -> Prediction:
        """Predicts for one vector."""
        return Prediction(probability=float(forward(np.array([piece.features], np.float32))[0]))

    @app.post("/predict/batch")
    async def predict_batch(pieces: Pieces) -> Predictions:
        """Predicts for many vectors."""
        return Predictions(probability=forward(np.array(pieces.features, np.float32)).tolist())

    return app
