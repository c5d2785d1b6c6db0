"""BentoML, with one worker, and neither metrics nor an access log.

Tried: lists and arrays for what comes in, `async def` and `def`. Lists and `async def` are no slower than the others.
"""

import bentoml
import numpy as np

from benchmarks.serving.peers.network import forward


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Hidden:
    """The hidden network."""

    @bentoml.api
    async def predict(self, features: list[list[float]]) -> dict[str, list[float]]:
        """Predicts for rows."""
        return {"probability": forward(np.array(features, np.float32)).tolist()}
