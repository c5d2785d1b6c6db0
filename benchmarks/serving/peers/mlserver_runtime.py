"""MLServer, with a runtime of its own for the forward pass, in its own process (parallel_workers 0).

Tried: its NumPy codec by `decode_request`, against reading the tensor's data directly, as here, which is the faster;
metrics and gRPC can be left out by settings, which is the faster too.
"""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.peers.network import forward


class Hidden(MLModel):
    """The hidden network."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predicts for the rows of the one input."""
        features = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        outputs = [NumpyCodec.encode_output("probability", forward(features))]
        return InferenceResponse(model_name=self.name, outputs=outputs)
