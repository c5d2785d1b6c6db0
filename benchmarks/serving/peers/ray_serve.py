"""Ray Serve, with one replica. `python -m benchmarks.serving.peers.ray_serve PORT`.

Tried: its defaults, and what its variable RAY_SERVE_THROUGHPUT_OPTIMIZED sets, which is the faster; a pydantic model in
a FastAPI ingress would add to either.
"""

import signal
import sys

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from benchmarks.serving.peers.network import forward

WITHOUT_LOG = {"enable_access_log": False}


class Hidden:
    """The hidden network."""

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        """Predicts for rows."""
        rows = np.array((await request.json())["features"], np.float32)
        return {"probability": forward(np.atleast_2d(rows)).tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config=WITHOUT_LOG)
    deployed = serve.deployment(num_replicas=1, max_ongoing_requests=100, logging_config=WITHOUT_LOG)(Hidden)
    serve.run(deployed.bind())
    signal.pause()
