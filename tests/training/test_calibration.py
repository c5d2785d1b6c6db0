import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from models.predictors import calibrate
from training import calibration, metrics


def drawn(sharpness: float, rows: int = 20_000) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities whose log odds are `sharpness` times the true ones, and sides drawn by the true ones."""
    generator = np.random.default_rng(0)
    log_odds = generator.normal(0.5, 1.5, rows)
    return expit(sharpness * log_odds), generator.uniform(size=rows) < expit(log_odds)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.5])
def test_temperature_undoes_what_made_probabilities_too_sharp_or_too_blunt(sharpness: float) -> None:
    assert calibration.fit_temperature(*drawn(sharpness)) == pytest.approx(sharpness, rel=0.05)


def test_no_other_temperature_has_less_log_loss() -> None:
    probabilities, north = drawn(1.7, rows=130)
    temperature = calibration.fit_temperature(probabilities, north)
    least = metrics.log_loss(calibrate(probabilities, temperature), north)
    for other in np.geomspace(0.1, 10, 2001):
        assert least <= metrics.log_loss(calibrate(probabilities, other), north) + 1e-9


@pytest.mark.parametrize(("sharpness", "bound"), [(0.01, 0.1), (50.0, 10.0)])
def test_temperature_keeps_within_its_bounds(sharpness: float, bound: float) -> None:
    assert calibration.fit_temperature(*drawn(sharpness)) == pytest.approx(bound, rel=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("north", [[], [True], [False], [True] * 9])
def test_one_side_alone_needs_no_temperature(north: list[bool]) -> None:
    assert calibration.fit_temperature(np.full(len(north), 0.7), np.array(north, bool)) == 1.0


@pytest.mark.filterwarnings("error")
def test_certain_and_few_probabilities_have_a_temperature() -> None:
    for probabilities in ([0.0, 1.0], [1.0, 0.0], [0.5, 0.5]):
        temperature = calibration.fit_temperature(np.array(probabilities, np.float32), np.array([False, True]))
        assert 0.1 <= temperature <= 10.0


def test_each_half_is_calibrated_by_the_other_half_alone() -> None:
    probabilities, north = drawn(2.0, rows=101)
    calibrated, (one, other) = calibration.cross_fit(probabilities, north, seed=3)
    assert one != other
    by_one = np.isclose(calibrated, calibrate(probabilities, one), rtol=1e-12)
    by_other = np.isclose(calibrated, calibrate(probabilities, other), rtol=1e-12)
    np.testing.assert_array_equal(by_one, ~by_other)
    assert calibration.fit_temperature(probabilities[by_other], north[by_other]) == pytest.approx(one)
    assert calibration.fit_temperature(probabilities[by_one], north[by_one]) == pytest.approx(other)
    assert sorted([by_one.sum(), by_other.sum()]) == [50, 51]


def test_halves_are_drawn_by_the_seed() -> None:
    probabilities, north = drawn(2.0, rows=101)
    first, second, third = (calibration.cross_fit(probabilities, north, seed)[1] for seed in (3, 3, 4))
    assert first == second != third


def test_what_was_calibrated_already_does_not_seem_to_gain() -> None:
    """A temperature fitted and measured on the same few rows would always seem to help."""
    generator = np.random.default_rng(1)
    gains = []
    for seed in range(200):
        log_odds = generator.normal(0.5, 1.5, 130)
        north = generator.uniform(size=130) < expit(log_odds)
        calibrated, _ = calibration.cross_fit(expit(log_odds), north, seed)
        gains.append(metrics.log_loss(expit(log_odds), north) - metrics.log_loss(calibrated, north))
    assert np.mean(gains) < 0
