"""The one file on disk that holds a bundle. Only this module knows its form.

It is a NumPy .npz archive without pickles. Its arrays are those of the bundle, by their names; its entry `manifest` is
UTF-8 JSON, as bytes, that ends in a fingerprint over all the rest. One archive has one form, to the byte: in any other
form it was altered.
"""

import dataclasses
import io
import json
import math
import os
import re
import struct
import sys
import zipfile
import zlib
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
    arrays = {"manifest": manifest, **dict(sorted(bundle.arrays.items()))}
    archive = _archive({f"{name}.npy": _npy(array) for name, array in arrays.items()})
    with replaced_whole(path) as temporary:
        temporary.write_bytes(archive)


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
    try:
        return _read(content)
    except BundleError as error:
        raise BundleError(f"{path} {error}") from error
    except Exception as error:  # damaged bytes make zip, NumPy and JSON readers fail in more ways than can be listed
        raise BundleError(f"{path} is not a complete model bundle: restore the file or train again") from error


def _read(content: bytes) -> ModelBundle:
    """The bundle of a file with this content. The messages of its errors lack the file's name."""
    members = _members(content)
    arrays = {name.removesuffix(".npy"): _array(member) for name, member in members.items()}
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
    if _archive(members) != content:
        raise BundleError("was altered after training (not in its models): restore it or train again")
    return bundle


def _members(content: bytes) -> dict[str, bytes]:
    """The files in a zip archive. They must be stored as they are, for a few compressed bytes may hold any number."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if max(len(content), sum(member.file_size for member in members)) > MAX_BUNDLE_BYTES:
            raise BundleError(f"is larger than {MAX_BUNDLE_BYTES // 2**20} MiB: is it a model bundle?")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise _mismatch("its members are compressed")
        return {member.filename: archive.read(member) for member in members}


def _archive(members: Mapping[str, bytes]) -> bytes:
    """A zip archive that stores these files: the very bytes of np.savez.

    It is written here since zipfile's own bytes are not the same in all releases of Python, as in 3.11.2 and 3.11.7.
    """
    files: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, member in members.items():
        stored = (0, zipfile.ZIP_STORED, 0, 0x21, zlib.crc32(member))  # the date is 1 January 1980
        size = len(member)
        local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, *stored, 2**32 - 1, 2**32 - 1, len(name), 20)
        file = [local, name.encode("ascii"), struct.pack("<2H2Q", 1, 16, size, size), member]
        entry = (45, 3, 45, 0, *stored, size, size, len(name), 0, 0, 0, 0, 0o600 << 16, offset)
        directory += [struct.pack("<4s4B4H3L5H2L", b"PK\1\2", *entry), name.encode("ascii")]
        files += file
        offset += sum(map(len, file))
    end = (len(members), len(members), sum(map(len, directory)), offset, 0)
    return b"".join([*files, *directory, struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *end)])


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def _array(member: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(member), allow_pickle=False)
    return array


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
    places = tuple(Place(**place) for place in genre["places"])
    return GenreSummary(**(genre | {"places": places, "distance_quantiles": tuple(genre["distance_quantiles"])}))


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
    _check_distances_and_temperatures(manifest)
    return bundle


def _check_distances_and_temperatures(manifest: Manifest) -> None:
    """Raises BundleError or TypeError for numbers that predictions would fail on or be wrong by."""
    _check_ascending(manifest.usual_distances, 2)
    for genre in manifest.genres:
        _check_ascending(genre.distance_quantiles, len(QUANTILE_SHARES))
    for network in manifest.networks.values():
        if not 0 < network.temperature < math.inf:
            raise _mismatch("a temperature is not positive and finite")


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
