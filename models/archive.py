"""The one file on disk that holds a bundle. Only this module knows its form.

It is a NumPy .npz archive without pickles. Its arrays are those of the bundle, by their names; its entry `manifest` is
UTF-8 JSON, as bytes, that ends in a fingerprint over all the rest.
"""

import dataclasses
import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import (
    CLASS_COUNT,
    FORMAT_VERSION,
    NETWORKS,
    QUANTILE_SHARES,
    GenreSummary,
    Manifest,
    ModelBundle,
    NetworkSummary,
    Place,
    canonical_json,
)
from models.features import FEATURE_COUNT
from models.predictors import HIDDEN_ACTIVATION, OUTPUT_ACTIVATIONS, Dense, DenseNetwork, NearestCentroid

MAX_BUNDLE_BYTES = 64 * 2**20
DEFAULT_BUNDLE = Path(__file__).parent / "artifacts" / "bundle.npz"

Arrays = Mapping[str, NDArray[Any]]


class BundleError(Exception):
    """A bundle that cannot be loaded. The message is one sentence that names the file and says what is wrong."""


def save_bundle(bundle: ModelBundle, path: Path) -> None:
    """Writes the bundle to `path`, whole or not at all."""
    description = dataclasses.asdict(bundle.manifest) | {"fingerprint": bundle.fingerprint}
    manifest = np.frombuffer(canonical_json(description), dtype=np.uint8)
    with replaced_whole(path) as temporary:
        np.savez(temporary, allow_pickle=False, manifest=manifest, **dict(sorted(bundle.arrays.items())))


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, and moves what was written to `path` at the end.

    A crash at any instant leaves the old file or the new one, whole; an exception leaves the old one and nothing else.
    """
    temporary = path.with_stem(f"{path.stem}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_bundle(path: Path) -> ModelBundle:
    """Reads a bundle and checks it whole: format, shapes and fingerprint. Raises BundleError for anything else."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): train the models or restore the file") from error
    try:
        if max(len(content), _unpacked_size(content)) > MAX_BUNDLE_BYTES:
            raise BundleError(f"{path} is larger than {MAX_BUNDLE_BYTES // 2**20} MiB: is it a model bundle?")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive)
        description = json.loads(arrays.pop("manifest").tobytes())
        if description["format_version"] != FORMAT_VERSION:
            raise BundleError(
                f"{path} has bundle format {description['format_version']!r}, and this release reads "
                f"{FORMAT_VERSION}: train the models again with this release"
            )
        stored_fingerprint = description.pop("fingerprint")
        bundle = _assemble(arrays, _manifest(description))
    except BundleError:
        raise
    except Exception as error:  # damaged bytes make zip, NumPy and JSON readers fail in more ways than can be listed
        raise BundleError(f"{path} is not a complete model bundle: restore the file or train again") from error
    if bundle.fingerprint != stored_fingerprint:
        raise BundleError(f"{path} was altered after training (its fingerprint differs): restore it or train again")
    return bundle


def _unpacked_size(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sum(member.file_size for member in archive.infolist())


def _manifest(description: dict[str, Any]) -> Manifest:
    genres = tuple(_genre_summary(genre) for genre in description["genres"])
    networks = {
        name: NetworkSummary(**(network | {"activations": tuple(network["activations"])}))
        for name, network in description["networks"].items()
    }
    places = tuple(Place(**place) for place in description["places"])
    usual_distances = tuple(description["usual_distances"])
    parts = {"places": places, "genres": genres, "usual_distances": usual_distances, "networks": networks}
    return Manifest(**(description | parts))


def _genre_summary(genre: dict[str, Any]) -> GenreSummary:
    places = tuple(Place(**place) for place in genre["places"])
    return GenreSummary(**(genre | {"places": places, "distance_quantiles": tuple(genre["distance_quantiles"])}))


def _assemble(arrays: Arrays, manifest: Manifest) -> ModelBundle:
    """Puts the predictors together; raises LookupError or ValueError where arrays and manifest do not match."""
    if manifest.networks.keys() != set(NETWORKS):
        raise ValueError(f"the networks must be {NETWORKS}")
    networks = {name: _network(arrays, name, summary.activations) for name, summary in manifest.networks.items()}
    for name, network in networks.items():
        classes = len(manifest.places) if name == "places" else CLASS_COUNT
        if network.classes != classes:
            raise ValueError(f"{name} must end in {classes} classes")
    bundle = ModelBundle(NearestCentroid(arrays["centroids"]), networks, manifest)
    if bundle.genres.centroids.shape != (len(manifest.genres), FEATURE_COUNT):
        raise ValueError("centroids and genres do not match")
    if bundle.arrays.keys() != arrays.keys():
        raise ValueError("unknown arrays")
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("arrays must be finite numbers")
    _check_distances_and_temperatures(manifest)
    return bundle


def _check_distances_and_temperatures(manifest: Manifest) -> None:
    """Raises TypeError or ValueError for numbers that predictions would fail on or be wrong by."""
    _check_ascending(manifest.usual_distances, 2)
    for genre in manifest.genres:
        _check_ascending(genre.distance_quantiles, len(QUANTILE_SHARES))
    for network in manifest.networks.values():
        if not 0 < network.temperature < math.inf:
            raise ValueError("temperatures must be positive and finite")


def _check_ascending(values: tuple[float, ...], count: int) -> None:
    numbers = np.array(values)
    if numbers.shape != (count,) or not np.isfinite(numbers).all() or (np.diff(numbers) < 0).any():
        raise ValueError(f"distances must be {count} finite numbers in ascending order")


def _network(arrays: Arrays, name: str, activations: tuple[str, ...]) -> DenseNetwork:
    *hidden_activations, output_activation = activations
    if set(hidden_activations) - {HIDDEN_ACTIVATION} or output_activation not in OUTPUT_ACTIVATIONS:
        raise ValueError(f"{name} has activations that are not known")
    layers = []
    units, members = FEATURE_COUNT, arrays[f"{name}/0/bias"].shape[:-1]
    if len(members) > 1 or 0 in members:
        raise ValueError(f"{name} must have members side by side")
    for index, activation in enumerate(activations):
        layer = Dense(arrays[f"{name}/{index}/kernel"], arrays[f"{name}/{index}/bias"], activation)
        if layer.bias.shape[:-1] != members or layer.kernel.shape != (*members, units, layer.bias.shape[-1]):
            raise ValueError(f"layer {index} of {name} has wrong shapes")
        units = layer.bias.shape[-1]
        layers.append(layer)
    return DenseNetwork(layers)
