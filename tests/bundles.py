"""Bundles on disk that are not as they should be."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import ModelBundle
from models.predictors import NearestCentroid


def altered(path: Path, **arrays: Any) -> None:
    """Replaces arrays of a saved bundle, or removes those given as None."""
    with np.load(path) as saved:
        content = dict(saved) | arrays
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


def change_manifest(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the manifest of a saved bundle, whose fingerprint then fits no more."""
    with np.load(path) as saved:
        manifest = json.loads(saved["manifest"].tobytes())
    change(manifest)
    altered(path, manifest=np.frombuffer(json.dumps(manifest).encode(), np.uint8))


def with_centroids(bundle: ModelBundle, centroids: Any) -> ModelBundle:
    """The bundle with other centroids, and so with another fingerprint."""
    return dataclasses.replace(bundle, genres=NearestCentroid(centroids))
