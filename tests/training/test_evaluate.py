import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from models.bundle import ModelBundle
from training import baselines, calibration, evaluate, metrics
from training.dataset import Dataset, DatasetError, Split
from training.protocols import Protocol, held_out_places
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def quick(made: Dataset) -> evaluate.Evaluation:
    """The whole evaluation of made data, with networks trained for few epochs."""
    return evaluate.evaluate(made, [dataclasses.replace(recipe, epochs=60) for recipe in RECIPES], seed=0)


def test_every_model_has_every_metric_under_every_protocol(quick: evaluate.Evaluation) -> None:
    models = {"simple", "hidden", "places", "majority", "logistic regression", "7 nearest neighbours"}
    models |= {"RBF SVM (C = 3)", "gradient boosting"}
    assert set(quick.north) == {"random splits", "ten folds", "held-out places"}
    for figures in quick.north.values():
        assert set(figures) == models
        for measured in figures.values():
            assert set(measured) == {"accuracy", "log_loss", "calibration_error", "area_under_roc"}
    assert set(quick.place) == {"top_1", "top_3", "calibration_error"}
    assert quick.splits == {"random splits": 20, "ten folds": 10, "held-out places": 3}
    assert set(quick.reliability) == models
    for figures in quick.places_ahead.values():
        assert set(figures) == models - {"places"}
        assert all(set(ahead) == {"accuracy", "log_loss"} for ahead in figures.values())
    assert set(quick.origin) == {
        "places",
        "random forest on coordinates",
        "7 nearest neighbours on coordinates",
    }


def test_figures_are_of_unseen_rows(quick: evaluate.Evaluation, made: Dataset) -> None:
    """The made places are easy to tell apart, but a place that was never seen cannot be named."""
    assert quick.north["ten folds"]["logistic regression"]["accuracy"].mean > 0.95
    assert quick.place["top_1"].mean > 0.6
    assert quick.place["top_3"].mean == 1.0
    accuracy = np.mean((quick.held_out_north > 0.5) == made.north_of_20)
    assert accuracy < np.mean((quick.fold_north > 0.5) == made.north_of_20)
    # With Kenya held out, all training rows are north, so every baseline calls Kenya north.
    (kenya,) = [split for split in held_out_places(made, 0) if not made.north_of_20[split.validation].any()]
    (called,) = baselines.north_of_20("logistic regression", made, [kenya])
    assert called.tolist() == [1.0] * 20


def test_how_far_places_is_ahead_is_measured_split_by_split(quick: evaluate.Evaluation) -> None:
    for protocol, models in quick.places_ahead.items():
        for model, figures in models.items():
            ours, theirs = quick.north[protocol]["places"], quick.north[protocol][model]
            assert figures["accuracy"].mean == pytest.approx(ours["accuracy"].mean - theirs["accuracy"].mean)
            assert figures["log_loss"].mean == pytest.approx(theirs["log_loss"].mean - ours["log_loss"].mean)
    # The spread is that of the differences, which is not the difference of the spreads.
    thrice = Protocol("", [Split(np.arange(8), np.arange(8, 10))] * 3)
    measured = {
        "places": {"accuracy": np.array([0.5, 0.7, 0.9]), "log_loss": np.zeros(3)},
        "other": {"accuracy": np.array([0.4, 0.6, 0.8]), "log_loss": np.ones(3)},
    }
    ahead = evaluate._places_ahead(thrice, measured)["other"]
    assert (ahead["accuracy"].mean, ahead["accuracy"].spread) == pytest.approx((0.1, 0.0))
    assert ahead["log_loss"].mean == 1.0


def test_calibration_is_measured_on_rows_with_no_part_in_it() -> None:
    """Sharpened on one split, blunted on the other: each gets a temperature of its own, and both gain by it."""
    generator = np.random.default_rng(2)
    log_odds = generator.normal(0.5, 1.5, 2000)
    latitude = np.where(generator.uniform(size=2000) < expit(log_odds), 50.0, -50.0)
    many = Dataset(np.zeros((2000, 68)), latitude, np.zeros(2000), "")
    protocol = Protocol(
        "", [Split(np.arange(1000), np.arange(1000, 2000)), Split(np.arange(1000, 2000), np.arange(1000))]
    )
    predictions = [expit(3.0 * log_odds[1000:]), expit(0.5 * log_odds[:1000])]
    effect = evaluate.measure_calibration(many, protocol, predictions, seed=0)
    assert effect.temperature.mean == pytest.approx((3.0 + 0.5) / 2, rel=0.1)
    for metric, measure in (("log_loss", metrics.log_loss), ("calibration_error", metrics.calibration_error)):
        sides = [many.north_of_20[split.validation] for split in protocol.splits]
        raw = [measure(*each) for each in zip(predictions, sides, strict=True)]
        calibrated = [
            measure(calibration.cross_fit(probabilities, side, seed)[0], side)
            for seed, (probabilities, side) in enumerate(zip(predictions, sides, strict=True))
        ]
        assert effect.raw[metric] == protocol.estimate(raw)
        assert effect.calibrated[metric] == protocol.estimate(calibrated)
        assert effect.gain[metric].mean == pytest.approx(np.mean(raw) - np.mean(calibrated))
        assert effect.gain[metric].mean > 0.02
        # The spread is that of the differences, which is not the difference of the spreads.
        assert effect.gain[metric].spread == pytest.approx(np.std(np.subtract(raw, calibrated), ddof=1))
    assert effect.pooled_raw == pytest.approx(
        metrics.calibration_error(np.concatenate(predictions), np.concatenate(sides))
    )
    assert effect.pooled_calibrated < effect.pooled_raw - 0.02


def test_every_network_is_calibrated_on_the_random_splits(quick: evaluate.Evaluation) -> None:
    assert set(quick.calibration) == {"simple", "hidden", "places"}
    for name, effect in quick.calibration.items():
        assert effect.raw == {metric: quick.north["random splits"][name][metric] for metric in effect.raw}
        assert effect.pooled_raw == quick.reliability[name].calibration_error
        assert set(effect.raw) == set(effect.calibrated) == set(effect.gain) == {"log_loss", "calibration_error"}


@pytest.mark.parametrize(("rows", "genres"), [(49, 3), (60, 21)])
def test_data_too_few_are_refused(made: Dataset, rows: int, genres: int) -> None:
    few = Dataset(made.features[:rows], made.latitude[:rows], made.longitude[:rows], made.sha256)
    with pytest.raises(DatasetError, match="too few to be evaluated"):
        evaluate.check_size(few, genres, seed=0)
    evaluate.check_size(made, 20, seed=0)


def test_nearly_all_from_one_place_are_refused(made: Dataset) -> None:
    latitude = np.where(np.arange(60) < 55, 41.9, made.latitude)
    with pytest.raises(DatasetError, match="nearly all from the same places"):
        evaluate.check_size(Dataset(made.features, latitude, np.zeros(60), made.sha256), 3, seed=0)


def test_out_of_fold_probabilities_are_whole(quick: evaluate.Evaluation, made: Dataset) -> None:
    assert quick.place_probabilities.shape == (len(made), 3)
    np.testing.assert_allclose(quick.place_probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(quick.fold_north, quick.place_probabilities[:, 1:].sum(axis=1), atol=1e-5)


def test_origin_errors_are_distances_on_earth(quick: evaluate.Evaluation) -> None:
    """The three places are 7,000 to 11,000 km apart, and seven neighbours of 60 rows tell them apart nearly always."""
    assert quick.origin["7 nearest neighbours on coordinates"]["mean_error_km"].mean < 1_000
    for figures in quick.origin.values():
        assert figures["mean_error_km"].mean < 7_000
        assert 0 <= figures["median_error_km"].mean < figures["mean_error_km"].mean + 2_000
    assert quick.origin["places"]["expected_error_km"].mean > 0


def test_histories_go_on_to_the_notebooks_last_epoch(quick: evaluate.Evaluation) -> None:
    assert set(quick.histories) == {"simple", "hidden"}
    assert {history.accuracy.shape for history in quick.histories.values()} == {(100, 20, 2)}


def test_networks_of_the_evaluation_are_those_of_the_bundle(bundle: ModelBundle) -> None:
    assert {recipe.name: recipe.epochs for recipe in RECIPES} == {
        name: summary.epochs for name, summary in bundle.manifest.networks.items()
    }
