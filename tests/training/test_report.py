import json
from typing import Any

import pytest

from models.bundle import ModelBundle
from training import report


def test_committed_figures_are_of_the_committed_bundle(figures: dict[str, Any], bundle: ModelBundle) -> None:
    assert figures["model_version"] == bundle.version
    assert figures["seed"] == bundle.manifest.seed
    assert figures["data"]["sha256"] == bundle.manifest.data_sha256
    for name, summary in bundle.manifest.networks.items():
        assert figures["networks"][name]["parameters"] == bundle.networks[name].parameter_count
        assert figures["networks"][name]["validation_accuracy"] == pytest.approx(summary.validation_accuracy, abs=1e-6)
        assert figures["networks"][name]["temperature"] == pytest.approx(summary.temperature, abs=1e-6)
    assert figures["usual_distances"] == pytest.approx(bundle.manifest.usual_distances, abs=1e-6)
    assert {tuple(genre) for genre in figures["genre_places"]} == {
        ("size", "share_north_of_20", "places", "distinctive_features")
    }


def test_accuracies_of_the_committed_bundle_are_those_of_the_committed_figures(
    figures: dict[str, Any], bundle: ModelBundle
) -> None:
    for protocol, accuracies in (
        ("random splits", bundle.manifest.accuracy_known_places),
        ("held-out places", bundle.manifest.accuracy_unseen_places),
    ):
        models = figures["north"][protocol]
        assert accuracies.keys() == {"simple", "hidden", "places", "majority"}
        assert accuracies == pytest.approx({model: models[model]["accuracy"]["mean"] for model in accuracies}, abs=1e-6)


def test_results_are_in_the_types_of_json(bundle: ModelBundle) -> None:
    result = {"mean": float("nan"), "low": float("inf"), "places": (1, 0.1234567891)}
    metrics = report.collect(bundle, result=result)
    assert metrics["result"] == {"mean": None, "low": None, "places": [1, 0.123457]}
    assert json.loads(report.as_json(metrics), parse_constant=pytest.fail) == metrics
