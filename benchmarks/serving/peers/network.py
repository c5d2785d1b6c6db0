"""The hidden network by NumPy alone, written out plainly: what every stack without TensorFlow predicts with."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ARTIFACTS = Path(__file__).parents[3] / "models" / "artifacts"

with np.load(ARTIFACTS / "bundle.npz", allow_pickle=False) as _bundle:
    KERNEL, BIAS = _bundle["hidden/0/kernel"], _bundle["hidden/0/bias"]
    OUTPUT_KERNEL, OUTPUT_BIAS = _bundle["hidden/1/kernel"], _bundle["hidden/1/bias"]


def forward(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of north (n,) of rows (n, 68)."""
    hidden = np.maximum(features @ KERNEL + BIAS, 0)
    scores = hidden @ OUTPUT_KERNEL + OUTPUT_BIAS
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    north: NDArray[np.float32] = exponentials[:, 1] / exponentials.sum(axis=1)
    return north
