"""One piece at a time, against the same models for rows."""

from dataclasses import replace

import numpy as np
import pytest

from models.bundle import ModelBundle
from models.features import FEATURE_BOUND, FEATURE_COUNT
from models.pieces import Piece, PiecePredictor, fold_log_odds, fold_probabilities, logistic
from models.predictors import Dense, DenseNetwork

GENERATOR = np.random.default_rng(8)
EXTREMES = [np.full(FEATURE_COUNT, value) for value in (0.0, FEATURE_BOUND, -FEATURE_BOUND)]
PIECES = [scale * GENERATOR.normal(size=FEATURE_COUNT) for scale in (0.01, 1, 3, 100) for _ in range(60)] + EXTREMES


@pytest.fixture(scope="module")
def pieces(bundle: ModelBundle) -> PiecePredictor:
    return PiecePredictor(bundle)


def test_genre_is_that_of_the_row(bundle: ModelBundle, pieces: PiecePredictor) -> None:
    rows = bundle.predict_genres(np.array(PIECES))
    for index, piece in enumerate(PIECES):
        found = pieces.genre(piece)
        assert (found.genre, found.unusual) == (rows.genre[index], rows.unusual[index])
        assert found.distance == pytest.approx(rows.distance[index], rel=1e-6)
        assert found.distances == pytest.approx(rows.distances[index].tolist(), rel=1e-6)
        assert found.typicality == pytest.approx(rows.typicality[index], abs=1e-5)
    assert {*rows.unusual.tolist()} == {True, False}


def test_piece_on_a_centroid_is_at_no_distance(bundle: ModelBundle, pieces: PiecePredictor) -> None:
    for genre, centroid in enumerate(bundle.genres.centroids.astype(np.float64)):
        for scale in (0.0, 1e-9, 1e-8, 1e-7):
            found = pieces.genre(centroid + scale * GENERATOR.normal(size=FEATURE_COUNT))
            assert found.genre == genre
            assert 0 <= found.distance < 1e-5


@pytest.mark.parametrize("network", ["simple", "hidden", "places"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_side_is_that_of_the_row(bundle: ModelBundle, pieces: PiecePredictor, network: str, calibrated: bool) -> None:
    rows = bundle.north_of_20(network, np.array(PIECES), calibrated=calibrated)
    found = [pieces.north_of_20(network, piece, calibrated=calibrated) for piece in PIECES]
    assert found == pytest.approx(rows.tolist(), abs=3e-5)
    assert min(found) < 0.1
    assert max(found) > 0.9


def test_places_are_those_of_the_row(bundle: ModelBundle, pieces: PiecePredictor) -> None:
    """Both lie within some roundings of float32 of what double precision gives, whatever order a processor sums in."""
    layers = bundle.networks["places"].layers
    exact = [replace(layer, kernel=layer.kernel.astype(float), bias=layer.bias.astype(float)) for layer in layers]
    expected = DenseNetwork(exact).predict(np.array(PIECES))
    assert bundle.networks["places"].predict(np.array(PIECES)) == pytest.approx(expected, abs=5e-6)
    assert np.array([pieces.places(piece) for piece in PIECES]) == pytest.approx(expected, abs=5e-6)


def dense(shape: tuple[int, ...], activation: str) -> Dense:
    *members, _, units = shape
    return Dense(
        GENERATOR.normal(size=shape).astype(np.float32),
        GENERATOR.normal(size=(*members, units)).astype(np.float32),
        activation,
    )


SHAPES = {
    "one layer": [((4, 2), "softmax")],
    "one layer of sigmoids": [((4, 2), "sigmoid")],
    "two hidden layers": [((4, 5), "relu"), ((5, 3), "relu"), ((3, 2), "softmax")],
    "hidden layer and sigmoids": [((4, 5), "relu"), ((5, 2), "sigmoid")],
    "members": [((3, 4, 5), "relu"), ((3, 5, 2), "softmax")],
    "members without a hidden layer": [((3, 4, 2), "softmax")],
    "members with sigmoids": [((3, 4, 5), "relu"), ((3, 5, 2), "sigmoid")],
}


@pytest.mark.parametrize("layers", SHAPES.values(), ids=SHAPES)
def test_networks_of_other_shapes_are_folded_too(layers: list[tuple[tuple[int, ...], str]]) -> None:
    network = DenseNetwork([dense(shape, activation) for shape, activation in layers])
    log_odds, probabilities = fold_log_odds(network), fold_probabilities(network)
    for piece in GENERATOR.normal(size=(50, 4)):
        expected = network.predict(piece[None])[0]
        assert logistic(log_odds(piece)) == pytest.approx(expected[1], abs=1e-5)
        assert probabilities(piece) == pytest.approx(expected, abs=1e-5)


def test_certain_networks_do_not_overflow() -> None:
    certain = DenseNetwork([Dense(np.array([[-1000.0, 1000.0]], np.float32), np.zeros(2, np.float32), "softmax")])
    sigmoids = DenseNetwork([Dense(certain.layers[0].kernel, certain.layers[0].bias, "sigmoid")])
    members = DenseNetwork(
        [
            dense((2, 1, 3), "relu"),
            Dense(np.full((2, 3, 2), [-1e3, 1e3], np.float32), np.zeros((2, 2), np.float32), "softmax"),
        ]
    )
    for network in (certain, sigmoids, members):
        odds = fold_log_odds(network)
        for value in (-1000.0, 1000.0):
            piece: Piece = np.array([value])
            assert np.isfinite(odds(piece))
            assert 0 <= logistic(odds(piece)) <= 1
