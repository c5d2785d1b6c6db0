"""The bundle's predictions for one piece at a time, in few calls.

For a single row, calling NumPy costs more than its arithmetic. So what can be folded together is folded once, and what
is left over is done with plain numbers. The last digits may differ from those that `ModelBundle` gives for rows.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.bundle import ModelBundle
from models.features import Floats
from models.predictors import Dense, DenseNetwork

Piece = NDArray[np.float64]  # (68,)
FromPiece = Callable[[Piece], NDArray[Any]]
LogOdds = Callable[[Piece], float]

LEAST = float(np.finfo(np.float32).tiny)  # in place of a probability that was rounded to zero


class PieceGenre(NamedTuple):
    """What GenrePredictions has, for one row."""

    genre: int
    distance: float
    distances: list[float]
    typicality: float
    unusual: bool


class PiecePredictor:
    """A bundle's models, folded."""

    def __init__(self, bundle: ModelBundle) -> None:
        centroids = bundle.genres.centroids.astype(np.float64)
        self._minus_two_centroids = -2.0 * centroids
        self._centroid_squares = np.einsum("kd,kd->k", centroids, centroids)
        self._quantiles = [genre.distance_quantiles for genre in bundle.manifest.genres]
        self._usual_distances = bundle.manifest.usual_distances
        self._temperatures = {name: network.temperature for name, network in bundle.manifest.networks.items()}
        self._place_probabilities = fold_probabilities(bundle.networks["places"])
        self._log_odds = {name: fold_log_odds(bundle.networks[name]) for name in ("simple", "hidden")}
        self._log_odds["places"] = _of_sides(self._place_probabilities, bundle.places.north_of_20)

    def genre(self, piece: Piece) -> PieceGenre:
        """The genre of a piece (68,)."""
        squares = self._minus_two_centroids.dot(piece)  # ‖x‖² - 2x·c + ‖c‖², as in squared_distances
        squares += self._centroid_squares
        squares += piece.dot(piece)
        distances = [math.sqrt(max(square, 0.0)) for square in squares.tolist()]
        distance = min(distances)
        genre = distances.index(distance)
        typicality = 1 - _share_below(self._quantiles[genre], distance)
        nearest, farthest = self._usual_distances
        return PieceGenre(genre, distance, distances, typicality, not nearest <= distance <= farthest)

    def north_of_20(self, network: str, piece: Piece, *, calibrated: bool = True) -> float:
        """The probability that a piece (68,) comes from north of 20° N, by the network of that name."""
        log_odds = self._log_odds[network](piece)
        return logistic(log_odds / self._temperatures[network] if calibrated else log_odds)

    def places(self, piece: Piece) -> NDArray[np.float32]:
        """The probability (p,) of every place for a piece (68,)."""
        return self._place_probabilities(piece)


def logistic(log_odds: float) -> float:
    """The probability that has these log odds."""
    odds = math.exp(-abs(log_odds))  # those of the less likely side cannot overflow
    return (1.0 if log_odds > 0 else odds) / (1.0 + odds)


def fold_log_odds(network: DenseNetwork) -> LogOdds:
    """The log odds of the second of a network's two classes."""
    *hidden_layers, output = network.layers
    if output.kernel.ndim == 3:
        return _of_sides(fold_probabilities(network), np.array([False, True]))
    hidden = _fold_hidden(hidden_layers)
    kernel, bias = output.kernel.astype(np.float64), output.bias.astype(np.float64)
    if output.activation == "sigmoid":

        def of_sigmoids(piece: Piece) -> float:
            first, second = (hidden(piece).dot(kernel) + bias).tolist()
            return _softplus(-first) - _softplus(-second)

        return of_sigmoids
    # The softmax of two classes is the logistic function of the difference of their logits.
    difference, offset = kernel[:, 1] - kernel[:, 0], float(bias[1] - bias[0])

    def of_softmax(piece: Piece) -> float:
        return float(hidden(piece).dot(difference)) + offset

    return of_softmax


def fold_probabilities(network: DenseNetwork) -> FromPiece:
    """The class probabilities (classes,) of a network, averaged over its members."""
    first, *rest = network.layers
    if first.kernel.ndim < 3 or [layer.activation for layer in network.layers] != ["relu", "softmax"]:
        return lambda piece: network.predict(piece[None, :])[0]
    members, _, units = first.kernel.shape
    hidden = _fold_hidden([Dense(_side_by_side(first.kernel), first.bias.ravel(), "relu")], np.float32)
    kernel, bias = np.ascontiguousarray(rest[0].kernel.transpose(0, 2, 1)), rest[0].bias[..., None]

    def probabilities(piece: Piece) -> NDArray[np.float32]:
        scores = kernel @ hidden(piece.astype(np.float32)).reshape(members, units, 1)
        scores += bias
        scores -= np.maximum.reduce(scores, axis=1, keepdims=True)
        np.exp(scores, out=scores)
        weights = 1 / (members * np.add.reduce(scores, axis=1))
        averaged: NDArray[np.float32] = weights.ravel().dot(scores[..., 0])
        return averaged

    return probabilities


def _fold_hidden(layers: Sequence[Dense], dtype: type[np.floating[Any]] = np.float64) -> FromPiece:
    """The values of the last of some hidden layers, for a piece of the same type."""
    ready = [
        (layer.kernel.astype(dtype), layer.bias.astype(dtype), np.zeros(layer.bias.shape, dtype)) for layer in layers
    ]

    def values_of(piece: Piece) -> NDArray[Any]:
        values: Floats = piece
        for kernel, bias, zeros in ready:
            values = values.dot(kernel)
            values += bias
            np.maximum(values, zeros, out=values)
        return values

    return values_of


def _side_by_side(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The kernels (members, inputs, units) as one (inputs, members * units)."""
    members, inputs, units = kernels.shape
    return np.ascontiguousarray(kernels.transpose(1, 0, 2)).reshape(inputs, members * units)


def _of_sides(probabilities: FromPiece, north: NDArray[np.bool_]) -> LogOdds:
    """The log odds of the classes that are north, summed, against the others."""
    sides = np.stack([~north, north], axis=1).astype(np.float32)

    def log_odds(piece: Piece) -> float:
        south, north = probabilities(piece).dot(sides).tolist()
        return math.log(max(north, LEAST)) - math.log(max(south, LEAST))

    return log_odds


def _softplus(value: float) -> float:
    """ln(1 + eˣ)."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def _share_below(quantiles: Sequence[float], value: float) -> float:
    """Where a value lies among quantiles at equal shares from 0 to 1, between two of them on a straight line."""
    above = bisect_right(quantiles, value)
    if above in (0, len(quantiles)):
        return float(above > 0)
    low, high = quantiles[above - 1], quantiles[above]
    return (above - 1 + (value - low) / (high - low)) / (len(quantiles) - 1)
