"""MLflow: saves the forward pass as one of its models. `python -m benchmarks.serving.peers.mlflow_model FOLDER`.

Tried: with a signature of one tensor, and without any, where it makes no array of what comes in by itself.
"""

import sys
from typing import Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray

from benchmarks.serving.peers.network import forward


class Hidden(mlflow.pyfunc.PythonModel):
    """The hidden network."""

    def predict(self, context: Any, model_input: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predicts for rows."""
        del context  # what MLflow passes on of its own
        return forward(model_input)


if __name__ == "__main__":
    schema = Schema([TensorSpec(np.dtype(np.float32), (-1, 68))])
    mlflow.pyfunc.save_model(
        sys.argv[1],
        python_model=Hidden(),
        signature=ModelSignature(inputs=schema),
        pip_requirements=["mlflow", "numpy"],
    )
