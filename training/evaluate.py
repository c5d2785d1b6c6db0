"""What the fitted models are worth: accuracies, log losses, where genres come from, and agreement with Keras."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from models.bundle import GenreSummary, NetworkSummary, Place
from models.features import Floats
from models.predictors import DenseNetwork, NearestCentroid
from training.dataset import Dataset, Split
from training.places import COUNTRIES

MAX_DIFFERENCE = 1e-5
PLACES_PER_GENRE = 5

Labels = NDArray[np.bool_]


class DisagreementError(Exception):
    """The exported models do not give the answers of the trained ones."""


def accuracy(probabilities: Floats, north_of_20: Labels) -> float:
    """The share of rows whose likelier class (n, 2) is the true one (n,)."""
    return float(np.mean(probabilities.argmax(axis=1) == north_of_20))


def log_loss(probabilities: Floats, north_of_20: Labels) -> float:
    """The mean negative logarithm, in nats, of the probability (n, 2) given to the true class (n,)."""
    true_class = np.take_along_axis(probabilities, north_of_20.astype(np.intp)[:, None], axis=1)
    return float(-np.log(np.maximum(true_class, np.finfo(np.float32).tiny)).mean(dtype=np.float64))


def majority_accuracy(dataset: Dataset, split: Split) -> float:
    """The validation accuracy of always answering the side that is commoner among the training rows."""
    commoner = dataset.north_of_20[split.training].mean() > 0.5
    return float(np.mean(dataset.north_of_20[split.validation] == commoner))


def summarize_network(network: DenseNetwork, epochs: int, dataset: Dataset, split: Split) -> NetworkSummary:
    """The network's accuracy and log loss on both sides of the split."""
    probabilities, north_of_20 = network.predict(dataset.features), dataset.north_of_20
    training, validation = split.training, split.validation
    return NetworkSummary(
        activations=tuple(layer.activation for layer in network.layers),
        epochs=epochs,
        training_accuracy=accuracy(probabilities[training], north_of_20[training]),
        training_log_loss=log_loss(probabilities[training], north_of_20[training]),
        validation_accuracy=accuracy(probabilities[validation], north_of_20[validation]),
        validation_log_loss=log_loss(probabilities[validation], north_of_20[validation]),
    )


def summarize_genres(dataset: Dataset, labels: NDArray[np.intp], genres: int) -> tuple[GenreSummary, ...]:
    """Each genre's size, its share north of 20° N, and its commonest places of origin, from labels (n,)."""
    return tuple(_summarize_genre(dataset, labels == genre) for genre in range(genres))


def check_agreement(
    network: DenseNetwork, keras_probabilities: NDArray[np.float32], features: Floats, name: str
) -> None:
    """Raises DisagreementError if any probability differs from Keras's (n, 2) by 1e-5 or more."""
    difference = float(np.abs(network.predict(features) - keras_probabilities).max())
    if not difference < MAX_DIFFERENCE:
        raise DisagreementError(
            f"the {name} network differs between NumPy and Keras (by up to {difference:.1e} in probability): not saved"
        )


def check_genres(predictor: NearestCentroid, labels: NDArray[np.intp], features: Floats) -> None:
    """Raises DisagreementError unless serving gives every row (n, 68) the genre (n,) of training."""
    if not np.array_equal(predictor.predict(features), labels):
        raise DisagreementError("the saved centroids give other genres than training found: not saved")


def _summarize_genre(dataset: Dataset, members: Labels) -> GenreSummary:
    size = int(members.sum())
    coordinates = zip(dataset.latitude[members].tolist(), dataset.longitude[members].tolist(), strict=True)
    places = tuple(
        Place(COUNTRIES.get((latitude, longitude)), latitude, longitude, count / size)
        for (latitude, longitude), count in Counter(coordinates).most_common(PLACES_PER_GENRE)
    )
    return GenreSummary(size, float(dataset.north_of_20[members].mean()), places)
