"""MLServer, with a runtime of its own for the forward pass, in its own process (parallel_workers 0).

Tried: its NumPy codec, and reading and writing the tensors' data directly, as here, which is the faster; metrics and
compression are off, which is the faster too.
"""

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from benchmarks.serving.peers.network import forward


class Hidden(MLModel):
    """The hidden network."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predicts for the rows of the one input."""
        tensor = payload.inputs[0]
        north = forward(np.array(tensor.data.root, np.float32).reshape(tensor.shape)).tolist()
        output = ResponseOutput(name="probability", datatype="FP32", shape=[len(north), 1], data=north)
        return InferenceResponse(model_name=self.name, outputs=[output])
