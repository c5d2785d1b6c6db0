"""What is exported must give the answers of what was trained, or it is not saved."""

import numpy as np
from numpy.typing import NDArray

from models.features import Floats
from models.predictors import DenseNetwork, NearestCentroid

MAX_DIFFERENCE = 1e-5


class DisagreementError(Exception):
    """The exported models do not give the answers of the trained ones."""


def check_network(network: DenseNetwork, keras_probabilities: NDArray[np.float32], features: Floats, name: str) -> None:
    """Raises DisagreementError if any probability differs from Keras's (n, classes) by 1e-5 or more."""
    difference = float(np.abs(network.predict(features) - keras_probabilities).max())
    if not difference < MAX_DIFFERENCE:
        raise DisagreementError(
            f"the {name} network differs between NumPy and Keras (by up to {difference:.1e} in probability): not saved"
        )


def check_genres(predictor: NearestCentroid, labels: NDArray[np.intp], features: Floats) -> None:
    """Raises DisagreementError unless serving gives every row (n, 68) the genre (n,) of training."""
    if not np.array_equal(predictor.predict(features), labels):
        raise DisagreementError("the saved centroids give other genres than training found: not saved")
