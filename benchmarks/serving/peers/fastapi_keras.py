"""What a FastAPI tutorial makes of a Keras model: `model.predict`, or a `tf.function` where HIDDEN_BY says so.

The tf.function is traced at the start, for any number of rows. Endpoints are `async def`, which is the faster here too.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from benchmarks.serving.peers.network import ARTIFACTS

Vector = Annotated[list[float], Field(min_length=68, max_length=68)]
Predict = Callable[[NDArray[np.float32]], Any]


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


def load() -> Predict:
    """The network as a function of rows (n, 68)."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.saving.load_model(ARTIFACTS / "hidden.keras")
    if os.environ.get("HIDDEN_BY") != "tf.function":
        return lambda rows: model.predict(rows, verbose=0)
    traced = tf.function(model, input_signature=[tf.TensorSpec((None, 68), tf.float32)])
    return lambda rows: traced(tf.constant(rows)).numpy()


probabilities = load()
app = FastAPI()


@app.post("/predict")
async def predict(piece: Piece) -> Prediction:
    """Predicts for one vector."""
    return Prediction(probability=float(probabilities(np.array([piece.features], np.float32))[0, 1]))


@app.post("/predict/batch")
async def predict_batch(pieces: Pieces) -> Predictions:
    """Predicts for many vectors."""
    return Predictions(probability=probabilities(np.array(pieces.features, np.float32))[:, 1].tolist())
