"""The predictors, as pure functions from arrays to arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features import Floats

HIDDEN_ACTIVATION = "relu"
OUTPUT_ACTIVATIONS = ("sigmoid", "softmax")
BLOCK_ROWS = 512  # so many at a time that what lies between the layers stays in the processor's cache


def squared_distances(features: Floats, centroids: Floats) -> Floats:
    """Squared Euclidean distances (n, k) from rows (n, d) to centroids (k, d), never below zero.

    Computed as ‖x‖² - 2x·c + ‖c‖², one matrix product in place of an (n, k, d) array. Rounding can take that sum
    below zero where a row coincides with a centroid, hence the clip.
    """
    row_squares = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    squares = row_squares[:, None] + np.einsum("kd,kd->k", centroids, centroids)
    squares -= 2.0 * (features @ centroids.T)
    clipped: Floats = np.maximum(squares, 0.0, out=squares)
    return clipped


def calibrate(probabilities: Floats, temperature: float) -> NDArray[np.float64]:
    """Probabilities (n,) of one of two classes after their log odds were divided by a temperature.

    The odds are those of the less likely class: between 0 and 1, they cannot overflow. 0, 0.5 and 1 stay as they are.
    """
    exact = probabilities.astype(np.float64)
    less_likely = np.minimum(exact, 1 - exact)
    odds = (less_likely / (1 - less_likely)) ** (1 / temperature)
    less_likely = odds / (1 + odds)
    calibrated: NDArray[np.float64] = np.where(exact > 0.5, 1 - less_likely, less_likely)
    return calibrated


@dataclass(frozen=True, eq=False)
class NearestCentroid:
    """Assigns rows to the nearest of k centroids (k, 68)."""

    centroids: NDArray[np.float64]

    def distances(self, features: Floats) -> Floats:
        """Euclidean distances (n, k) from rows (n, 68) to every centroid."""
        return np.sqrt(squared_distances(features, self.centroids))

    def predict(self, features: Floats) -> NDArray[np.intp]:
        """The index (n,) of the centroid nearest to each row (n, 68); the lower index where two are as near."""
        nearest: NDArray[np.intp] = squared_distances(features, self.centroids).argmin(axis=1)
        return nearest


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer: kernel (inputs, units), bias (units,), and the name of its activation.

    A hidden layer's activation is HIDDEN_ACTIVATION; an output layer's is one of OUTPUT_ACTIVATIONS. The layers of
    several members stand side by side: kernel (members, inputs, units), bias (members, units).
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: str

    def logits(self, inputs: Floats) -> Floats:
        """The weighted sums (n, units) before activation, for inputs (n, inputs); of members, (members, n, units)."""
        weighted: Floats = inputs @ self.kernel
        weighted += self.bias[..., None, :]
        return weighted


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    """Dense layers in a row, ending in class probabilities; those of several members are averaged."""

    layers: Sequence[Dense]

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return int(self.layers[-1].bias.shape[-1])

    @property
    def parameter_count(self) -> int:
        """How many numbers training chose."""
        return sum(layer.kernel.size + layer.bias.size for layer in self.layers)

    def predict(self, features: Floats) -> NDArray[np.float32]:
        """Class probabilities (n, classes) for rows (n, 68); each row sums to one.

        Categorical cross-entropy divides the outputs by their sum, which a softmax leaves alone and sigmoid outputs
        need. Both are the softmax of the outputs' logarithms, and in logarithms nothing overflows and nothing is
        divided by zero, however far out a row lies.
        """
        starts = range(0, max(len(features), 1), BLOCK_ROWS)
        return np.concatenate([self._predict(features[start : start + BLOCK_ROWS]) for start in starts])

    def _predict(self, features: Floats) -> NDArray[np.float32]:
        *hidden_layers, output_layer = self.layers
        values: Floats = features.astype(np.float32, copy=False)
        for layer in hidden_layers:
            values = layer.logits(values)
            np.maximum(values, 0.0, out=values)
        # Classes are few: NumPy goes over them faster where they come first.
        scores = np.ascontiguousarray(np.moveaxis(output_layer.logits(values), -1, 0))
        if output_layer.activation == "sigmoid":
            scores = -np.logaddexp(np.float32(0), -scores)
        scores -= scores.max(axis=0)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=0)
        probabilities: NDArray[np.float32] = np.moveaxis(scores, 0, -1)
        return probabilities.mean(axis=0) if probabilities.ndim == 3 else probabilities
