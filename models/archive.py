"""The one file on disk that holds a bundle. Only this module knows its form.

It is a NumPy .npz archive without pickles. Its arrays are those of the bundle, by their names; its entry `manifest` is
UTF-8 JSON, as bytes, that ends in a fingerprint over all the rest. The comment of the archive, its last bytes, is the
SHA-256 of all bytes before it.
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import (
    CLASS_COUNT,
    EVALUATED,
    FORMAT_VERSION,
    NETWORKS,
    QUANTILE_SHARES,
    DistinctiveFeature,
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
DIGEST_BYTES = hashlib.sha256().digest_size
DEFAULT_BUNDLE = Path(__file__).parent / "artifacts" / "bundle.npz"

Arrays = Mapping[str, NDArray[Any]]


class BundleError(Exception):
    """A bundle that cannot be loaded. The message is one sentence that names the file and says what is wrong."""


def save_bundle(bundle: ModelBundle, path: Path) -> None:
    """Writes the bundle to `path`, whole or not at all."""
    description = dataclasses.asdict(bundle.manifest) | {"fingerprint": bundle.fingerprint}
    manifest = np.frombuffer(canonical_json(description), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, manifest=manifest, **dict(sorted(bundle.arrays.items())))
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = bytes(DIGEST_BYTES)
    content = file.getvalue()[:-DIGEST_BYTES]
    with replaced_whole(path) as temporary:
        temporary.write_bytes(content + hashlib.sha256(content).digest())


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, and moves what was written to `path` at the end.

    A crash at any instant leaves the old file or the new one, whole; an exception leaves the old one and nothing else.
    What a process that was killed left beside `path` is removed.
    """
    temporary = path.with_stem(f"{path.stem}.{os.getpid()}.tmp")
    try:
        _remove_left_overs(path)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_left_overs(path: Path) -> None:
    """Removes the temporary files of `path`, and theirs, that no running process writes to."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    for file in path.parent.iterdir():
        temporary = re.fullmatch(rf"{stem}(?:\.\d+\.tmp)*\.(\d{{1,9}})\.tmp{suffix}", file.name)
        if temporary and not _is_running(int(temporary[1])):
            file.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":  # no signal but asks there; some end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def load_bundle(path: Path) -> ModelBundle:
    """Reads a bundle and checks it whole: format, shapes, fingerprint and every byte. Raises BundleError otherwise."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): train the models or restore the file") from error
    return parse_bundle(content, str(path))


def parse_bundle(content: bytes, name: str) -> ModelBundle:
    """The bundle of a file with this content, checked whole; BundleError calls it by the name."""
    try:
        return _read(content)
    except BundleError as error:
        raise BundleError(f"{name} {error}") from error
    except Exception as error:  # damaged bytes make zip, NumPy and JSON readers fail in more ways than can be listed
        raise BundleError(f"{name} is not a complete model bundle: restore the file or train again") from error


def _read(content: bytes) -> ModelBundle:
    """The bundle of a file with this content. The messages of its errors lack the file's name."""
    _check_members(content)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = dict(archive)
    description = json.loads(arrays.pop("manifest").tobytes())
    if description["format_version"] != FORMAT_VERSION:
        raise BundleError(
            f"has bundle format {description['format_version']!r}, and this release reads "
            f"{FORMAT_VERSION}: train the models again with this release"
        )
    stored_fingerprint = description.pop("fingerprint")
    bundle = _assemble(arrays, _manifest(description))
    if bundle.fingerprint != stored_fingerprint:
        raise BundleError("was altered after training (its fingerprint differs): restore it or train again")
    if hashlib.sha256(content[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
        raise BundleError("was altered after training (not in its models): restore it or train again")
    return bundle


def _check_members(content: bytes) -> None:
    """Raises BundleError unless all is stored as it is, for a few compressed bytes may hold any number."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if max(len(content), sum(member.file_size for member in members)) > MAX_BUNDLE_BYTES:
        raise BundleError(f"is larger than {MAX_BUNDLE_BYTES // 2**20} MiB: is it a model bundle?")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise _mismatch("its members are compressed")


def _mismatch(reason: str) -> BundleError:
    return BundleError(f"is not a complete model bundle ({reason}): restore the file or train again")


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
    parts = {
        "places": tuple(Place(**place) for place in genre["places"]),
        "distinctive_features": tuple(DistinctiveFeature(**each) for each in genre["distinctive_features"]),
        "distance_quantiles": tuple(genre["distance_quantiles"]),
    }
    return GenreSummary(**(genre | parts))


def _assemble(arrays: Arrays, manifest: Manifest) -> ModelBundle:
    """Puts the predictors together; raises BundleError or LookupError where arrays and manifest do not match."""
    if manifest.networks.keys() != set(NETWORKS):
        raise _mismatch(f"its networks are not {', '.join(NETWORKS)}")
    networks = {name: _network(arrays, name, summary.activations) for name, summary in manifest.networks.items()}
    for name, network in networks.items():
        classes = len(manifest.places) if name == "places" else CLASS_COUNT
        if network.classes != classes:
            raise _mismatch(f"network {name} does not end in {classes} classes")
    bundle = ModelBundle(NearestCentroid(arrays["centroids"]), networks, manifest)
    if bundle.genres.centroids.shape != (len(manifest.genres), FEATURE_COUNT):
        raise _mismatch("its centroids and genres do not match")
    if bundle.arrays.keys() != arrays.keys():
        raise _mismatch("it has arrays that belong to no model")
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise _mismatch(f"{name} holds what is no finite number")
    _check_manifest(manifest)
    return bundle


def _check_manifest(manifest: Manifest) -> None:
    """Raises BundleError or TypeError for what predictions would fail on or be wrong by, or replies could not have."""
    _check_ascending(manifest.usual_distances, 2)
    _check_places(manifest.places)
    for genre in manifest.genres:
        _check_genre(genre, manifest.rows)
    for network in manifest.networks.values():
        if not 0 < network.temperature < math.inf:
            raise _mismatch("a temperature is not positive and finite")
    for accuracies in (manifest.accuracy_known_places, manifest.accuracy_unseen_places):
        if accuracies and accuracies.keys() != set(EVALUATED):
            raise _mismatch(f"its accuracies are not those of {', '.join(EVALUATED)}")
        _check_shares(accuracies.values())


def _check_genre(genre: GenreSummary, rows: int) -> None:
    _check_ascending(genre.distance_quantiles, len(QUANTILE_SHARES))
    _check_places(genre.places)
    _check_shares([genre.share_north_of_20])
    if genre.size not in range(rows + 1):
        raise _mismatch(f"a genre's size is not one of 0 to {rows}")
    for each in genre.distinctive_features:
        if each.feature not in range(1, FEATURE_COUNT + 1) or not math.isfinite(each.z_score):
            raise _mismatch("a distinctive feature or its z-score is none")


def _check_places(places: tuple[Place, ...]) -> None:
    _check_shares(place.share for place in places)
    for place in places:
        if not (abs(place.latitude) <= 90 and abs(place.longitude) <= 180 and isinstance(place.country, str | None)):
            raise _mismatch("a place is not on Earth or has no name")


def _check_shares(shares: Iterable[float]) -> None:
    if not all(isinstance(share, float) and 0 <= share <= 1 for share in shares):
        raise _mismatch("a share or an accuracy is not between 0 and 1")


def _check_ascending(values: tuple[float, ...], count: int) -> None:
    numbers = np.array(values)
    if numbers.shape != (count,) or not np.isfinite(numbers).all() or (np.diff(numbers) < 0).any():
        raise _mismatch(f"distances are not {count} finite numbers in ascending order")


def _network(arrays: Arrays, name: str, activations: tuple[str, ...]) -> DenseNetwork:
    *hidden_activations, output_activation = activations
    if set(hidden_activations) - {HIDDEN_ACTIVATION} or output_activation not in OUTPUT_ACTIVATIONS:
        raise _mismatch(f"network {name} has activations that are not known")
    layers = []
    units, members = FEATURE_COUNT, arrays[f"{name}/0/bias"].shape[:-1]
    if len(members) > 1 or 0 in members:
        raise _mismatch(f"network {name} has members in no single row")
    for index, activation in enumerate(activations):
        layer = Dense(arrays[f"{name}/{index}/kernel"], arrays[f"{name}/{index}/bias"], activation)
        if layer.bias.shape[:-1] != members or layer.kernel.shape != (*members, units, layer.bias.shape[-1]):
            raise _mismatch(f"layer {index} of network {name} has wrong shapes")
        units = layer.bias.shape[-1]
        layers.append(layer)
    return DenseNetwork(layers)
