"""The 68-feature vector: how many numbers, within which bounds, in which form."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEATURE_COUNT = 68

# The training data lie within ±13. This bound is far outside them: it turns away features in other units, and keeps
# every squared distance far from overflow.
FEATURE_BOUND = 1_000.0

Floats = NDArray[np.floating[Any]]


class FeatureError(ValueError):
    """Values that are not rows of 68 finite numbers within the bound.

    `row` is the index of the wrong row, or None where the shape or type of the whole is wrong.
    """

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


def as_feature_matrix(values: ArrayLike) -> Floats:
    """Checks one vector (68,) or a matrix (n, 68) of features and returns it as (n, 68).

    float32 and float64 arrays keep their type and are not copied; everything else becomes float64.
    Raises FeatureError for another shape, for what is not a number, not finite, or beyond ±FEATURE_BOUND.
    """
    try:
        matrix = np.atleast_2d(np.asarray(values))
    except ValueError as error:
        raise FeatureError("features must be rows of equal length") from error
    if matrix.dtype.kind not in "fiu":
        raise FeatureError(f"features must be numbers, not {matrix.dtype}")
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != FEATURE_COUNT:
        raise FeatureError(f"features must have the shape (n, {FEATURE_COUNT}), not {matrix.shape}")
    outside = out_of_bounds(matrix)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise FeatureError(
            f"feature {column + 1} must be a finite number between -{FEATURE_BOUND:g} and {FEATURE_BOUND:g}", int(row)
        )
    return matrix


def out_of_bounds(features: Floats) -> NDArray[np.bool_]:
    """Which of some features, in any shape, are not finite or beyond ±FEATURE_BOUND."""
    outside: NDArray[np.bool_] = ~(np.abs(features) <= FEATURE_BOUND)  # the negation is true of NaN as well
    return outside
