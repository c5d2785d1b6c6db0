"""What a run shows at its end, and metrics.json."""

import dataclasses
import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from models.bundle import GenreSummary, ModelBundle

LIBRARIES = ("numpy", "keras", "tensorflow", "scikit-learn", "scipy", "matplotlib")
METRICS_FILE = "metrics.json"
DECIMALS = 6
Metrics = dict[str, Any]


def print_summary(bundle: ModelBundle, output: Path, files: int, seconds: float) -> None:
    """Prints the run's figures as a table: data, cost, accuracies of the networks, seconds, files, model version."""
    manifest = bundle.manifest
    table = Table(title="music-origin training")
    table.add_column()
    table.add_column("result", overflow="fold")
    table.add_row(
        "rows", f"{manifest.rows:,}: {manifest.training_rows} to train, {manifest.validation_rows} to validate"
    )
    table.add_row("seed", str(manifest.seed))
    table.add_row("places", str(len(manifest.places)))
    table.add_row("north of 20° N", f"{manifest.rows_north_of_20:,} of {manifest.rows:,}")
    cost = f"{manifest.kmeans_cost:.4f} after {manifest.kmeans_iterations} iterations"
    table.add_row(f"K-means cost, K = {len(manifest.genres)}", cost)
    for name, network in manifest.networks.items():
        parameters = bundle.networks[name].parameter_count
        table.add_row(f"{name} network", f"{parameters:,} parameters, weights of epoch {network.epochs}")
        table.add_row("  training accuracy", f"{network.training_accuracy:.3f}")
        table.add_row("  validation accuracy", f"{network.validation_accuracy:.3f}")
    table.add_row("always the commoner side", "")
    table.add_row("  validation accuracy", f"{manifest.majority_accuracy:.3f}")
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("written", f"{files} files in {output}")
    table.add_row("model version", bundle.version)
    Console().print(table)


def collect(bundle: ModelBundle, **results: object) -> Metrics:
    """All figures of a run, as JSON knows them: of the bundle, and of each result by its name.

    Numbers have six decimals; what is not defined is null.
    """
    manifest = bundle.manifest
    return {
        "model_version": bundle.version,
        "seed": manifest.seed,
        "data": {
            "sha256": manifest.data_sha256,
            "rows": manifest.rows,
            "rows_north_of_20": manifest.rows_north_of_20,
            "places": [_plain(place) for place in manifest.places],
            "training_rows": manifest.training_rows,
            "validation_rows": manifest.validation_rows,
        },
        "libraries": {"python": manifest.libraries["python"]} | {library: version(library) for library in LIBRARIES},
        "kmeans": {"cost": _plain(manifest.kmeans_cost), "iterations": manifest.kmeans_iterations},
        "majority_accuracy": _plain(manifest.majority_accuracy),
        "networks": {
            name: {"parameters": bundle.networks[name].parameter_count, **_plain(summary)}
            for name, summary in manifest.networks.items()
        },
        "genre_places": [_without_quantiles(genre) for genre in manifest.genres],
        "usual_distances": _plain(manifest.usual_distances),
        **{name: _plain(result) for name, result in results.items()},
    }


def write(text: str, path: Path) -> None:
    """Writes a text file, the same on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def as_json(metrics: Metrics) -> str:
    """The text of metrics.json."""
    return json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _without_quantiles(genre: GenreSummary) -> Metrics:
    """What a reader wants of a genre: the 101 quantiles of its distances are for the service."""
    return {name: value for name, value in _plain(genre).items() if name != "distance_quantiles"}


def _plain(value: Any) -> Any:
    """The value in the types of JSON, numbers with six decimals, what is not finite as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(value, DECIMALS) if math.isfinite(value) else None
    return value
