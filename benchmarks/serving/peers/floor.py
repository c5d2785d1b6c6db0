"""The floor: ASGI without a framework, msgspec both ways and the forward pass, for right requests only."""

from typing import Annotated, Any

import msgspec
import numpy as np

from benchmarks.serving.peers.network import forward

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}


class Piece(msgspec.Struct):
    """What comes in."""

    features: Annotated[list[float], msgspec.Meta(min_length=68, max_length=68)]


class Prediction(msgspec.Struct):
    """What goes out."""

    probability: float


decode = msgspec.json.Decoder(Piece).decode
encode = msgspec.json.Encoder().encode


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers every request with a prediction."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    probability = forward(np.array([decode(body).features], np.float32))[0]
    await send(START)
    await send({"type": "http.response.body", "body": encode(Prediction(float(probability)))})
