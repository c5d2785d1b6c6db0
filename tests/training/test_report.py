import json
from pathlib import Path
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
    assert {tuple(genre) for genre in figures["genre_places"]} == {("size", "share_north_of_20", "places")}


def test_results_are_in_the_types_of_json(bundle: ModelBundle) -> None:
    result = {"mean": float("nan"), "low": float("inf"), "places": (1, 0.1234567891)}
    metrics = report.collect(bundle, result=result)
    assert metrics["result"] == {"mean": None, "low": None, "places": [1, 0.123457]}
    assert json.loads(report.as_json(metrics), parse_constant=pytest.fail) == metrics


def test_report_of_other_models_is_stale(bundle: ModelBundle, tmp_path: Path) -> None:
    assert not report.is_stale(tmp_path, bundle)
    report.write(report.as_json(report.collect(bundle)), tmp_path / "metrics.json")
    assert not report.is_stale(tmp_path, bundle)
    report.write(report.as_json(report.collect(bundle) | {"model_version": "0" * 12}), tmp_path / "metrics.json")
    assert report.is_stale(tmp_path, bundle)
