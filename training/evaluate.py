"""What the networks are worth on pieces that they did not see: many splits, baselines beside them, and intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bundle import probability_of_north
from models.features import Floats
from models.origin import great_circle_km
from training import baselines, calibration, metrics, networks
from training.dataset import Dataset, DatasetError
from training.metrics import Estimate, Reliability
from training.networks import History
from training.notebook import EPOCHS
from training.protocols import Protocol, held_out_places, protocols
from training.recipes import PLACES, Recipe

MIN_PIECES = 50
MIN_TRAINING_PIECES = 10

METRICS: dict[str, Callable[[Floats, NDArray[np.bool_]], float]] = {
    "accuracy": metrics.accuracy,
    "log_loss": metrics.log_loss,
    "calibration_error": metrics.calibration_error,
    "area_under_roc": metrics.area_under_roc,
}
CALIBRATED_METRICS = ("log_loss", "calibration_error")  # accuracy cannot change


@dataclass(frozen=True)
class CalibrationEffect:
    """What dividing its log odds by a temperature does for one network, on rows with no part in their temperature.

    `raw` and `calibrated`: metric → figure; `gain`: metric → by how much it falls, split by split; `pooled_raw` and
    `pooled_calibrated`: the calibration error with the rows of all splits put together.
    """

    temperature: Estimate
    raw: dict[str, Estimate]
    calibrated: dict[str, Estimate]
    gain: dict[str, Estimate]
    pooled_raw: float
    pooled_calibrated: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that was measured on unseen rows.

    `north`: protocol → model → metric, for the side of 20° N. `places_ahead`: protocol → other model → what the places
    network has more in accuracy and less in log loss, split by split. `place`: over ten folds, how often the true place
    is the likeliest or among the three likeliest. `origin`: over ten folds, model → error in km. `reliability`: model →
    over the validation rows of all random splits. `calibration` and `histories`: network → over these splits. By the
    places network, each row from the fold that did not train on it: `place_probabilities` (n, p) and, of north,
    `fold_north` (n,) over ten folds, and `held_out_north` (n,) with whole places held out. All but `calibration` is of
    raw probabilities.
    """

    north: dict[str, dict[str, dict[str, Estimate]]]
    places_ahead: dict[str, dict[str, dict[str, Estimate]]]
    splits: dict[str, int]
    place: dict[str, Estimate]
    origin: dict[str, dict[str, Estimate]]
    reliability: dict[str, Reliability]
    calibration: dict[str, CalibrationEffect]
    histories: dict[str, History]
    place_probabilities: NDArray[np.float32]
    fold_north: NDArray[np.float32]
    held_out_north: NDArray[np.float32]


def check_size(dataset: Dataset, genres: int, seed: int) -> None:
    """Raises DatasetError if the data are too few for the folds, the bootstraps and the baselines."""
    distinct = len(np.unique(dataset.features, axis=0))
    least_training = min(len(split.training) for split in held_out_places(dataset, seed))
    if distinct < max(MIN_PIECES, 3 * genres) or least_training < MIN_TRAINING_PIECES:
        raise DatasetError(
            f"these data are too few to be evaluated (at least {MIN_PIECES} distinct pieces, three a genre, and not "
            "nearly all from the same places are needed): pass --quick"
        )


def evaluate(dataset: Dataset, recipes: Sequence[Recipe], seed: int) -> Evaluation:
    """Fits a network of every recipe and every baseline on every split and measures them on the rows left out."""
    random_splits, folds, by_place = all_protocols = protocols(dataset, seed)
    fits = {
        (protocol.name, recipe.name): _fit(
            recipe, dataset, protocol, seed, watched=protocol is random_splits and recipe.name != PLACES.name
        )
        for protocol in all_protocols
        for recipe in recipes
    }
    predictions = {
        protocol.name: {
            recipe.name: _north_of_20(recipe.name, fits[protocol.name, recipe.name], dataset, protocol)
            for recipe in recipes
        }
        | {name: baselines.north_of_20(name, dataset, protocol.splits) for name in baselines.CLASSIFIERS}
        for protocol in all_protocols
    }
    north = {
        protocol.name: {
            model: _measure(dataset, protocol, predicted) for model, predicted in predictions[protocol.name].items()
        }
        for protocol in all_protocols
    }
    fold_places = _out_of_fold(fits[folds.name, PLACES.name].probabilities, folds)
    unheard_places = _out_of_fold(fits[by_place.name, PLACES.name].probabilities, by_place)
    return Evaluation(
        north={
            protocol.name: {
                model: {metric: protocol.estimate(values) for metric, values in measured.items()}
                for model, measured in north[protocol.name].items()
            }
            for protocol in all_protocols
        },
        places_ahead={protocol.name: _places_ahead(protocol, north[protocol.name]) for protocol in all_protocols},
        splits={protocol.name: len(protocol.splits) for protocol in all_protocols},
        place=_measure_places(dataset, folds, fold_places),
        origin=_measure_origins(dataset, folds, fold_places),
        reliability={
            model: _pooled_reliability(predicted, random_splits, dataset)
            for model, predicted in predictions[random_splits.name].items()
        },
        calibration={
            recipe.name: measure_calibration(dataset, random_splits, predictions[random_splits.name][recipe.name], seed)
            for recipe in recipes
        },
        histories={
            recipe.name: history for recipe in recipes if (history := fits[random_splits.name, recipe.name].history)
        },
        place_probabilities=fold_places,
        fold_north=probability_of_north(PLACES.name, fold_places, dataset.places),
        held_out_north=probability_of_north(PLACES.name, unheard_places, dataset.places),
    )


def measure_calibration(
    dataset: Dataset, protocol: Protocol, predictions: Sequence[Floats], seed: int
) -> CalibrationEffect:
    """Calibrates each split's validation rows half by half, and compares that with the probabilities as they are."""
    fits = [
        calibration.cross_fit(probabilities, dataset.north_of_20[split.validation], seed + number)
        for number, (probabilities, split) in enumerate(zip(predictions, protocol.splits, strict=True))
    ]
    calibrated = [probabilities for probabilities, _ in fits]
    before, after = (_measure(dataset, protocol, each) for each in (predictions, calibrated))
    return CalibrationEffect(
        temperature=protocol.estimate(float(np.mean(temperatures)) for _, temperatures in fits),
        raw={metric: protocol.estimate(before[metric]) for metric in CALIBRATED_METRICS},
        calibrated={metric: protocol.estimate(after[metric]) for metric in CALIBRATED_METRICS},
        gain={metric: protocol.estimate(before[metric] - after[metric]) for metric in CALIBRATED_METRICS},
        pooled_raw=_pooled_reliability(predictions, protocol, dataset).calibration_error,
        pooled_calibrated=_pooled_reliability(calibrated, protocol, dataset).calibration_error,
    )


def _fit(recipe: Recipe, dataset: Dataset, protocol: Protocol, seed: int, *, watched: bool) -> networks.Fit:
    return networks.fit(
        recipe,
        dataset,
        [split.training for split in protocol.splits],
        range(seed, seed + len(protocol.splits)),
        watch_epochs=EPOCHS if watched else 0,
        description=f"{recipe.name} network, {protocol.name}",
    )


def _north_of_20(name: str, fit: networks.Fit, dataset: Dataset, protocol: Protocol) -> Sequence[Floats]:
    """A network's probability of north for each split's validation rows."""
    probabilities = probability_of_north(name, fit.probabilities, dataset.places)
    return [row[split.validation] for row, split in zip(probabilities, protocol.splits, strict=True)]


def _measure(dataset: Dataset, protocol: Protocol, predictions: Sequence[Floats]) -> dict[str, NDArray[np.float64]]:
    """Each metric's value (splits,) on the validation rows."""
    return {
        name: np.array(
            [
                metric(probabilities, dataset.north_of_20[split.validation])
                for probabilities, split in zip(predictions, protocol.splits, strict=True)
            ]
        )
        for name, metric in METRICS.items()
    }


def _places_ahead(
    protocol: Protocol, measured: Mapping[str, Mapping[str, NDArray[np.float64]]]
) -> dict[str, dict[str, Estimate]]:
    ours = measured[PLACES.name]
    return {
        model: {
            "accuracy": protocol.estimate(ours["accuracy"] - values["accuracy"]),
            "log_loss": protocol.estimate(values["log_loss"] - ours["log_loss"]),
        }
        for model, values in measured.items()
        if model != PLACES.name
    }


def _measure_places(dataset: Dataset, folds: Protocol, probabilities: NDArray[np.float32]) -> dict[str, Estimate]:
    """How often the true place is the likeliest or among three, and how calibrated the likeliest's probability is."""
    likeliest_is_true = probabilities.argmax(axis=1) == dataset.place
    figures = {
        f"top_{top}": folds.estimate(
            metrics.top_share(probabilities[split.validation], dataset.place[split.validation], top)
            for split in folds.splits
        )
        for top in (1, 3)
    }
    figures["calibration_error"] = folds.estimate(
        metrics.calibration_error(probabilities[split.validation].max(axis=1), likeliest_is_true[split.validation])
        for split in folds.splits
    )
    return figures


def _measure_origins(
    dataset: Dataset, folds: Protocol, probabilities: NDArray[np.float32]
) -> dict[str, dict[str, Estimate]]:
    """Distances in km from the true origin to the predicted one, over ten folds, mean and median of each."""
    origins = dataset.places.origins(probabilities)
    predictions: Mapping[str, list[NDArray[np.float64]]] = {
        PLACES.name: [
            np.stack([origins.latitude, origins.longitude], axis=1)[split.validation] for split in folds.splits
        ],
        **{name: baselines.coordinates(name, dataset, folds.splits) for name in baselines.REGRESSORS},
    }
    figures = {}
    for name, points in predictions.items():
        errors = [
            great_circle_km(
                predicted[:, 0],
                predicted[:, 1],
                dataset.latitude[split.validation],
                dataset.longitude[split.validation],
            )
            for predicted, split in zip(points, folds.splits, strict=True)
        ]
        figures[name] = {
            "mean_error_km": folds.estimate(float(error.mean()) for error in errors),
            "median_error_km": folds.estimate(float(np.median(error)) for error in errors),
        }
    figures[PLACES.name]["expected_error_km"] = folds.estimate(
        float(origins.expected_error_km[split.validation].mean()) for split in folds.splits
    )
    return figures


def _pooled_reliability(predictions: Sequence[Floats], protocol: Protocol, dataset: Dataset) -> Reliability:
    sides = np.concatenate([dataset.north_of_20[split.validation] for split in protocol.splits])
    return metrics.reliability(np.concatenate(predictions), sides)


def _out_of_fold(probabilities: NDArray[np.float32], protocol: Protocol) -> NDArray[np.float32]:
    """The probabilities (n, p) of each row from the fold that did not train on it, of all (folds, n, p)."""
    rows = np.empty(probabilities.shape[1:], np.float32)
    for fold, split in zip(probabilities, protocol.splits, strict=True):
        rows[split.validation] = fold[split.validation]
    return rows
