"""LitServe, with one API server and one worker. `python -m benchmarks.serving.peers.litserve_server PORT`.

Tried: its queue between the two as it is, `fast_queue=True` (over ZeroMQ), and the API server as a thread. On one core
the first takes the least processor time.
"""

import sys
from typing import Any

import litserve
import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.peers.network import forward


class Hidden(litserve.LitAPI):
    """The hidden network."""

    def setup(self, device: str) -> None:
        """Has nothing to set up: the weights are loaded on import."""

    def decode_request(self, request: dict[str, Any]) -> NDArray[np.float32]:
        """The rows."""
        return np.atleast_2d(np.array(request["features"], np.float32))

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities."""
        return forward(rows)

    def encode_response(self, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        """The reply."""
        return {"probability": probabilities.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Hidden(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
