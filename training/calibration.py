"""The temperature that calibrates a network's probability of north of 20° N, and what it does to unseen rows."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models.features import Floats
from models.predictors import calibrate
from training import metrics
from training.metrics import Labels

LEAST_TEMPERATURE, GREATEST_TEMPERATURE = 0.1, 10.0


def fit_temperature(probabilities: Floats, north_of_20: Labels) -> float:
    """What the log odds of north (n,) must be divided by for the least log loss; 1 where all rows are of one side."""
    if north_of_20.all() or not north_of_20.any():
        return 1.0

    def loss(logarithm: float) -> float:
        return metrics.log_loss(calibrate(probabilities, math.exp(logarithm)), north_of_20)

    bounds = math.log(LEAST_TEMPERATURE), math.log(GREATEST_TEMPERATURE)
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def cross_fit(probabilities: Floats, north_of_20: Labels, seed: int) -> tuple[NDArray[np.float64], list[float]]:
    """Calibrates each half of the rows (n,) by the temperature of the other; gives these (n,) and both temperatures.

    No row has a part in its own temperature. The halves are drawn at random.
    """
    order = np.random.default_rng(seed).permutation(len(probabilities))
    first, second = np.array_split(order, 2)
    calibrated = np.empty(len(probabilities))
    temperatures = []
    for fitted, measured in ((first, second), (second, first)):
        temperature = fit_temperature(probabilities[fitted], north_of_20[fitted])
        calibrated[measured] = calibrate(probabilities[measured], temperature)
        temperatures.append(temperature)
    return calibrated, temperatures
