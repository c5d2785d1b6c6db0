import numpy as np
import pytest

from models.predictors import Dense, DenseNetwork, NearestCentroid
from training import evaluate
from training.dataset import Dataset, Split, parse

PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
NORTH = np.array([False, True, False, False])


@pytest.fixture(scope="module")
def made(made_lines: list[str]) -> Dataset:
    return parse("\n".join(made_lines).encode(), "made")


def test_accuracy_and_log_loss() -> None:
    assert evaluate.accuracy(PROBABILITIES, NORTH) == 0.75
    assert evaluate.log_loss(PROBABILITIES, NORTH) == pytest.approx(-np.log([0.9, 0.6, 0.2, 0.7]).mean())


def test_log_loss_of_certainty_is_finite() -> None:
    certain_and_wrong = np.array([[0.0, 1.0]], np.float32)
    assert 80 < evaluate.log_loss(certain_and_wrong, np.array([False])) < 100


def test_majority_is_taken_from_the_training_rows(made: Dataset) -> None:
    north, south = np.flatnonzero(made.north_of_20), np.flatnonzero(~made.north_of_20)
    split = Split(training=np.array([*north[:5], south[0]]), validation=np.array([*south[:3], north[5]]))
    assert evaluate.majority_accuracy(made, split) == 0.25


def test_genres_are_summarised(made: Dataset) -> None:
    labels = np.array([0, 0, 1] * 20)  # Kenya and Japan, then Italy
    first, second = evaluate.summarize_genres(made, labels, 2)
    assert (first.size, second.size) == (40, 20)
    assert (first.share_north_of_20, second.share_north_of_20) == (0.5, 1.0)
    assert {(place.country, place.share) for place in first.places} == {("Kenya", 0.5), ("Japan", 0.5)}
    assert [(place.country, place.latitude, place.longitude) for place in second.places] == [("Italy", 41.9, 12.48)]


def test_unknown_place_has_no_country(made: Dataset) -> None:
    elsewhere = Dataset(made.features, made.latitude + 1, made.longitude, made.sha256)
    (summary,) = evaluate.summarize_genres(elsewhere, np.zeros(60, np.intp), 1)
    assert {place.country for place in summary.places} == {None}


def test_disagreement_is_refused(made: Dataset) -> None:
    network = DenseNetwork([Dense(np.ones((68, 2), np.float32), np.zeros(2, np.float32), "softmax")])
    same = network.predict(made.features)
    evaluate.check_agreement(network, same, made.features, "simple")
    evaluate.check_agreement(network, same + np.float32(0.9e-5), made.features, "simple")
    for wrong in (same + np.float32(1.1e-5), np.full_like(same, np.nan)):
        with pytest.raises(evaluate.DisagreementError, match="the simple network differs between NumPy and Keras"):
            evaluate.check_agreement(network, wrong, made.features, "simple")


def test_other_genres_are_refused(made: Dataset) -> None:
    predictor = NearestCentroid(made.features[:3])
    labels = predictor.predict(made.features)
    evaluate.check_genres(predictor, labels, made.features)
    labels[10] = (labels[10] + 1) % 3
    with pytest.raises(evaluate.DisagreementError, match="other genres"):
        evaluate.check_genres(predictor, labels, made.features)
