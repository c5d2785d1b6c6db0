"""What others would use, from scikit-learn, to measure the networks against. The only file that fits its estimators."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC

from training.dataset import Dataset, Split

MIN_A_SIDE = 5

Build = Callable[[], BaseEstimator]

CLASSIFIERS: dict[str, Build] = {
    "majority": lambda: DummyClassifier(strategy="prior"),
    "logistic regression": lambda: LogisticRegression(max_iter=1000),
    "7 nearest neighbours": lambda: KNeighborsClassifier(7),
    "RBF SVM (C = 3)": lambda: CalibratedClassifierCV(SVC(C=3), ensemble=False),
    "gradient boosting": lambda: GradientBoostingClassifier(random_state=0),
}
REGRESSORS: dict[str, Build] = {
    "random forest on coordinates": lambda: RandomForestRegressor(100, random_state=0),
    "7 nearest neighbours on coordinates": lambda: KNeighborsRegressor(7),
}


def north_of_20(name: str, dataset: Dataset, splits: Sequence[Split]) -> list[NDArray[np.float64]]:
    """The probability of north of 20° N for each split's validation rows, by a classifier fitted on its training."""

    def predict(split: Split) -> NDArray[np.float64]:
        sides = dataset.north_of_20[split.training]
        if min(sides.sum(), (~sides).sum()) < MIN_A_SIDE:  # then most classifiers cannot be fitted
            return np.full(len(split.validation), sides.mean())
        classifier = CLASSIFIERS[name]().fit(dataset.features[split.training], sides)
        north = list(classifier.classes_).index(True)
        probabilities: NDArray[np.float64] = classifier.predict_proba(dataset.features[split.validation])[:, north]
        return probabilities

    return _each(predict, splits, name)


def coordinates(name: str, dataset: Dataset, splits: Sequence[Split]) -> list[NDArray[np.float64]]:
    """Latitude and longitude (m, 2) for each split's validation rows, by a regressor fitted on its training."""
    targets = np.stack([dataset.latitude, dataset.longitude], axis=1)

    def predict(split: Split) -> NDArray[np.float64]:
        regressor = REGRESSORS[name]().fit(dataset.features[split.training], targets[split.training])
        predicted: NDArray[np.float64] = regressor.predict(dataset.features[split.validation])
        return predicted

    return _each(predict, splits, name)


def _each(
    predict: Callable[[Split], NDArray[np.float64]], splits: Sequence[Split], name: str
) -> list[NDArray[np.float64]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        predictions: Iterable[NDArray[np.float64]] = pool.map(predict, splits)
        return list(track(predictions, description=f"{name}, {len(splits)} splits", total=len(splits)))
