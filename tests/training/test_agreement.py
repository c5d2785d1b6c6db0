import numpy as np
import pytest

from models.predictors import Dense, DenseNetwork, NearestCentroid
from training import agreement
from training.dataset import Dataset


def test_disagreement_is_refused(made: Dataset) -> None:
    network = DenseNetwork([Dense(np.ones((68, 2), np.float32), np.zeros(2, np.float32), "softmax")])
    same = network.predict(made.features)
    agreement.check_network(network, same, made.features, "simple")
    agreement.check_network(network, same + np.float32(0.9e-5), made.features, "simple")
    for wrong in (same + np.float32(1.1e-5), np.full_like(same, np.nan)):
        with pytest.raises(agreement.DisagreementError, match="the simple network differs between NumPy and Keras"):
            agreement.check_network(network, wrong, made.features, "simple")


def test_other_genres_are_refused(made: Dataset) -> None:
    predictor = NearestCentroid(made.features[:3])
    labels = predictor.predict(made.features)
    agreement.check_genres(predictor, labels, made.features)
    labels[10] = (labels[10] + 1) % 3
    with pytest.raises(agreement.DisagreementError, match="other genres"):
        agreement.check_genres(predictor, labels, made.features)
