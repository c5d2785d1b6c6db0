import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from models.features import FEATURE_BOUND
from models.predictors import BLOCK_ROWS, Dense, DenseNetwork, NearestCentroid, calibrate, squared_distances


def direct_squared_distances(features: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = ((features[:, None, :] - centroids) ** 2).sum(axis=2)
    return squares


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, FEATURE_BOUND])
def test_distances_and_nearest_agree_with_the_direct_form(scale: float) -> None:
    generator = np.random.default_rng(1)
    centroids = generator.normal(size=(10, 68))
    features = generator.uniform(-scale, scale, size=(500, 68))
    direct = direct_squared_distances(features, centroids)
    np.testing.assert_allclose(squared_distances(features, centroids), direct, rtol=1e-9)
    np.testing.assert_array_equal(NearestCentroid(centroids).predict(features), direct.argmin(axis=1))
    np.testing.assert_allclose(NearestCentroid(centroids).distances(features), np.sqrt(direct), rtol=1e-9)


def test_squared_distances_are_never_negative() -> None:
    centroids = np.random.default_rng(2).uniform(-1000, 1000, size=(200, 68))
    distances = squared_distances(centroids, centroids)
    assert (distances >= 0).all()
    assert np.diag(distances).max() < 1e-6


def test_float32_rows_keep_their_distances() -> None:
    features = np.random.default_rng(8).normal(size=(50, 68)).astype(np.float32)
    distances = NearestCentroid(features.astype(np.float64)).distances(features)
    assert np.diag(distances).max() < 1e-6


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 1.6, 10.0])
def test_log_odds_are_divided_by_the_temperature(temperature: float) -> None:
    probabilities = np.linspace(0.001, 0.999, 501).astype(np.float32)
    calibrated = calibrate(probabilities, temperature)
    exact = probabilities.astype(np.float64)
    np.testing.assert_allclose(calibrated, expit(logit(exact) / temperature), rtol=1e-12)
    assert calibrated.dtype == np.float64
    np.testing.assert_array_equal(calibrated > 0.5, probabilities > 0.5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-300, 0.1, 10.0, 1e300])
def test_certainty_and_even_odds_stay_and_nothing_overflows(temperature: float) -> None:
    assert calibrate(np.array([0.0, 0.5, 1.0], np.float32), temperature).tolist() == [0.0, 0.5, 1.0]
    extremes = np.array([1e-300, 1e-30, np.nextafter(1, 0)])
    calibrated = calibrate(extremes, temperature)
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


@pytest.mark.parametrize("temperature", [0.1, 10.0])
def test_calibration_takes_no_probability_to_the_other_side(temperature: float) -> None:
    near_even = np.array([np.nextafter(np.float32(0.5), np.float32(side)) for side in (0, 1)])
    below, above = calibrate(near_even, temperature)
    assert below < 0.5 < above


def network(activation: str, *layers: tuple[list[list[float]], list[float]]) -> DenseNetwork:
    activations = ["relu"] * (len(layers) - 1) + [activation]
    return DenseNetwork(
        [
            Dense(np.array(kernel, np.float32), np.array(bias, np.float32), name)
            for (kernel, bias), name in zip(layers, activations, strict=True)
        ]
    )


def test_sigmoid_outputs_are_divided_by_their_sum() -> None:
    simple = network("sigmoid", ([[1.0, 2.0]], [0.5, -0.5]))
    first, second = 1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(-1.5))
    np.testing.assert_allclose(simple.predict(np.array([[1.0]])), [[0.5, second / (first + second)]], rtol=1e-6)
    first, second = 1 / (1 + np.exp(-3.5)), 1 / (1 + np.exp(-5.5))
    np.testing.assert_allclose(simple.predict(np.array([[3.0]]))[0, 1], second / (first + second), rtol=1e-6)


def test_relu_and_softmax() -> None:
    hidden = network("softmax", ([[1.0, -1.0]], [0.0, 0.0]), ([[1.0, 0.0], [0.0, 5.0]], [0.0, 1.0]))
    expected = np.exp([2.0, 1.0]) / np.exp([2.0, 1.0]).sum()  # the second hidden unit is cut off at zero
    np.testing.assert_allclose(hidden.predict(np.array([[2.0]])), [expected], rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 7])
def test_every_row_is_predicted_in_its_place(count: int) -> None:
    values = np.linspace(-4, 4, count)
    predicted = network("softmax", ([[0.0, 1.0]], [0.0, 0.0])).predict(values[:, None])
    assert predicted.shape == (count, 2)
    np.testing.assert_allclose(predicted[:, 1], expit(values), rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("value", [-1000.0, 1000.0])
def test_far_out_rows_have_finite_probabilities(activation: str, value: float) -> None:
    far = network(activation, ([[3.0, 4.0]] * 68, [0.0, 0.0])).predict(np.full((1, 68), value))
    assert np.isfinite(far).all()
    assert far.sum() == pytest.approx(1.0)
    # Two saturated sigmoids are both 1; far below zero their ratio is the exponential of the difference.
    assert far[0, 1] == pytest.approx(0.5 if (activation, value) == ("sigmoid", 1000.0) else float(value > 0))


def test_parameters_are_counted() -> None:
    assert network("sigmoid", ([[0.0, 0.0]] * 68, [0.0, 0.0])).parameter_count == 138


def test_members_are_averaged() -> None:
    layers = [([[1.0, -2.0]], [0.5, 0.0]), ([[0.3, 1.0], [-1.0, 0.2]], [0.1, -0.4])]
    others = [([[-0.7, 1.0]], [0.0, 0.2]), ([[1.3, -1.0], [0.4, 0.9]], [0.0, 0.3])]
    members = [network("softmax", *layers), network("softmax", *others)]
    stacked = DenseNetwork(
        [
            Dense(np.stack([first.kernel, second.kernel]), np.stack([first.bias, second.bias]), first.activation)
            for first, second in zip(members[0].layers, members[1].layers, strict=True)
        ]
    )
    rows = np.random.default_rng(2).normal(size=(7, 1))
    expected = np.mean([member.predict(rows) for member in members], axis=0)
    np.testing.assert_allclose(stacked.predict(rows), expected, rtol=1e-6)
    assert stacked.predict(rows).shape == (7, 2)
    assert stacked.parameter_count == sum(member.parameter_count for member in members)
    assert stacked.classes == members[0].classes == 2
