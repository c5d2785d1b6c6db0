import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from training import metrics

PROBABILITIES = np.array([0.1, 0.6, 0.8, 0.3])
NORTH = np.array([False, True, False, False])


def test_accuracy_and_log_loss() -> None:
    assert metrics.accuracy(PROBABILITIES, NORTH) == 0.75
    assert metrics.log_loss(PROBABILITIES, NORTH) == pytest.approx(-np.log([0.9, 0.6, 0.2, 0.7]).mean())
    generator = np.random.default_rng(0)
    many, sides = generator.uniform(size=500), generator.uniform(size=500) > 0.4
    assert metrics.log_loss(many, sides) == pytest.approx(log_loss(sides, many))
    assert metrics.area_under_roc(many, sides) == pytest.approx(roc_auc_score(sides, many))


def test_even_odds_are_not_north() -> None:
    assert metrics.accuracy(np.array([0.5]), np.array([False])) == 1.0


def test_log_loss_of_certainty_is_finite() -> None:
    for certain_and_wrong in (np.array([1.0], np.float32), np.array([1.0])):
        assert metrics.log_loss(certain_and_wrong, np.array([False])) == pytest.approx(-np.log(1e-7))
    assert metrics.log_loss(np.array([0.0]), np.array([False])) == pytest.approx(1e-7, rel=1e-3)


@pytest.mark.parametrize("side", [True, False])
def test_area_under_roc_is_not_defined_for_one_side(side: bool) -> None:
    assert np.isnan(metrics.area_under_roc(PROBABILITIES, np.full(4, side)))


def test_reliability_by_hand() -> None:
    probabilities = np.array([0.05, 0.09, 0.95, 1.0, 0.1])
    north = np.array([False, True, True, True, True])
    diagram = metrics.reliability(probabilities, north)
    assert diagram.counts.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert diagram.predicted[[0, 1, 9]] == pytest.approx([0.07, 0.1, 0.975])
    assert diagram.observed[[0, 1, 9]] == pytest.approx([0.5, 1.0, 1.0])
    expected = (2 * 0.43 + 1 * 0.9 + 2 * 0.025) / 5
    assert diagram.calibration_error == pytest.approx(expected)
    assert metrics.calibration_error(probabilities, north) == pytest.approx(expected)


def test_calibrated_probabilities_have_little_calibration_error() -> None:
    generator = np.random.default_rng(3)
    probabilities = generator.uniform(size=100_000)
    north = generator.uniform(size=100_000) < probabilities
    assert metrics.calibration_error(probabilities, north) < 0.01
    assert metrics.calibration_error(probabilities**3, north) > 0.1


def test_top_share() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    classes = np.array([0, 1, 2])
    assert metrics.top_share(probabilities, classes, 1) == pytest.approx(1 / 3)
    assert metrics.top_share(probabilities, classes, 2) == pytest.approx(2 / 3)
    assert metrics.top_share(probabilities, classes, 3) == 1.0


def test_interval_of_independent_values_is_that_of_students_t() -> None:
    values = [0.71, 0.75, 0.78, 0.74, 0.80]
    estimate = metrics.estimate(values, validation_share=0.0)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (estimate.mean, estimate.spread) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_interval_is_wider_for_what_splits_share() -> None:
    values = [0.71, 0.75, 0.78, 0.74, 0.80]
    alone, shared = metrics.estimate(values, 0.0), metrics.estimate(values, 0.3)
    ratio = (shared.high - shared.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt((1 / 5 + 0.3) / (1 / 5)))


def test_splits_without_a_figure_are_left_out() -> None:
    assert metrics.estimate([0.5, float("nan"), 0.7], 0.1) == metrics.estimate([0.5, 0.7], 0.1)
    assert np.isnan(metrics.estimate([float("nan")] * 3, 0.1).mean)
    one = metrics.estimate([float("nan"), 0.7], 0.1)
    assert one.mean == 0.7
    assert np.isnan(one.low)


def test_distribution() -> None:
    found = metrics.distribution([1.0, 2.0, 6.0])
    assert (found.mean, found.least, found.greatest) == (3.0, 1.0, 6.0)
    assert found.spread == pytest.approx(np.sqrt(7))
