"""What predictions are worth, in numbers, and how sure those numbers are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from models.features import Floats

BINS = 10
SMALLEST = 1e-7  # Keras too keeps probabilities this far from 0 and 1 before it takes logarithms

Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A figure over several splits: its mean, its standard deviation over them, and a 95 % interval for the mean."""

    mean: float
    spread: float
    low: float
    high: float


@dataclass(frozen=True)
class Distribution:
    """How values spread: their mean, standard deviation, and the least and the greatest."""

    mean: float
    spread: float
    least: float
    greatest: float


@dataclass(frozen=True, eq=False)
class Reliability:
    """For each bin (b,) of the predicted probability: how many rows, their mean prediction, their share of north."""

    counts: NDArray[np.intp]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def calibration_error(self) -> float:
        """The mean distance of prediction from share over the rows: the expected calibration error."""
        filled = self.counts > 0
        gaps = np.abs(self.predicted[filled] - self.observed[filled])
        return float(np.average(gaps, weights=self.counts[filled]))


def accuracy(probabilities: Floats, north_of_20: Labels) -> float:
    """The share of rows (n,) whose likelier side of 20° N, by the probability of north (n,), is the true one."""
    return float(np.mean((probabilities > 0.5) == north_of_20))


def log_loss(probabilities: Floats, north_of_20: Labels) -> float:
    """The mean negative logarithm, in nats, of the probability given to the true side, kept 1e-7 from 0 and 1."""
    true_side = np.where(north_of_20, probabilities, 1 - probabilities.astype(np.float64))
    return float(-np.log(true_side.clip(SMALLEST, 1 - SMALLEST)).mean())


def area_under_roc(probabilities: Floats, north_of_20: Labels) -> float:
    """The chance that a row from north gets a higher probability than one that is not; NaN if all are of one side."""
    if north_of_20.all() or not north_of_20.any():
        return float("nan")
    return float(roc_auc_score(north_of_20, probabilities))


def reliability(probabilities: Floats, north_of_20: Labels) -> Reliability:
    """Compares probabilities of north (n,) with what came, in ten bins of equal width."""
    bins = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sizes = np.where(counts, counts, 1)
    predicted = np.bincount(bins, weights=probabilities, minlength=BINS) / sizes
    return Reliability(counts, predicted, np.bincount(bins, weights=north_of_20, minlength=BINS) / sizes)


def calibration_error(probabilities: Floats, north_of_20: Labels) -> float:
    """The expected calibration error over ten bins; with few rows a bin, chance alone keeps it above zero."""
    return reliability(probabilities, north_of_20).calibration_error


def top_share(probabilities: Floats, classes: NDArray[np.intp], top: int) -> float:
    """The share of rows whose true class (n,) is among the `top` likeliest of probabilities (n, p)."""
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return float(np.mean((likeliest == classes[:, None]).any(axis=1)))


def estimate(values: Sequence[float], validation_share: float) -> Estimate:
    """Mean, spread and interval of a figure that was measured once on each of several splits.

    Splits share training rows, so their figures are not independent. The interval is that of the corrected resampled t
    test: C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003), where
    `validation_share` is the ratio of validation rows to training rows. Splits without a figure (NaN) are left out.
    """
    known = np.array([value for value in values if not np.isnan(value)])
    if len(known) < 2:
        mean = float(known[0]) if len(known) else float("nan")
        return Estimate(mean, float("nan"), float("nan"), float("nan"))
    mean, spread = float(known.mean()), float(known.std(ddof=1))
    margin = float(student_t.ppf(0.975, len(known) - 1)) * spread * (1 / len(known) + validation_share) ** 0.5
    return Estimate(mean, spread, mean - margin, mean + margin)


def distribution(values: ArrayLike) -> Distribution:
    """Describes at least two values."""
    array = np.asarray(values, dtype=np.float64)
    return Distribution(float(array.mean()), float(array.std(ddof=1)), float(array.min()), float(array.max()))
