"""The data set: found or downloaded, checked, read, labelled and split.

"Geographical Original of Music", UCI Machine Learning Repository, data set 315; Fang Zhou, Claire Q. and Ross D. King,
"Predicting the Geographical Origin of Music", ICDM 2014.
"""

import hashlib
import io
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import httpx
import numpy as np
import platformdirs
from numpy.typing import NDArray
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from models.archive import replaced_whole
from models.features import FEATURE_COUNT, FeatureError, as_feature_matrix
from models.origin import NORTH_LATITUDE, Places

FILE_NAME = "default_features_1059_tracks.txt"
SHA256 = "8557da3791e17b036763a95a7f16e3f23d20dcd4c5387d4f11aa1ed8c7a0b9ab"
ADDRESSES = (
    "https://archive.ics.uci.edu/static/public/315/geographical+original+of+music.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00315/Geographical%20Original%20of%20Music.zip",
)
COLUMN_COUNT = FEATURE_COUNT + 2
TRAINING_SHARE = 800 / 1059
MIN_ROWS = 3
MAX_FILE_BYTES = 256 * 2**20


class DatasetError(Exception):
    """Data that cannot be had or used. The message is one sentence that says where, and what to do."""


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices to train on and to validate on."""

    training: NDArray[np.intp]
    validation: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Dataset:
    """n pieces: features (n, 68), latitude (n,) in degrees north, longitude (n,) in degrees east; their file's hash."""

    features: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    sha256: str

    def __len__(self) -> int:
        return len(self.features)

    @property
    def north_of_20(self) -> NDArray[np.bool_]:
        """Whether each piece (n,) comes from north of 20° N."""
        return self.latitude > NORTH_LATITUDE

    @cached_property
    def places(self) -> Places:
        """The p distinct places of origin, from south to north."""
        return Places(*self._places[0].T)

    @property
    def place(self) -> NDArray[np.intp]:
        """The index (n,) of each piece's place."""
        return self._places[1]

    @cached_property
    def _places(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        coordinates = np.stack([self.latitude, self.longitude], axis=1)
        return np.unique(coordinates, axis=0, return_inverse=True)

    def split(self, seed: int) -> Split:
        """Shuffles and divides the rows: of 1,059, 800 to train on and 259 to validate on; of others in that ratio."""
        order = np.random.default_rng(seed).permutation(len(self))
        boundary = round(len(self) * TRAINING_SHARE)
        return Split(order[:boundary], order[boundary:])


def load_dataset(path: Path | None = None, *, verify: bool = True) -> Dataset:
    """Reads the data from `path`, else from $MUSIC_ORIGIN_DATA, else from the cache, else from the internet.

    `path` is the text file, or a zip archive that holds it. With `verify` its SHA-256 must be the published one.
    Raises DatasetError.
    """
    if path is None and (variable := os.environ.get("MUSIC_ORIGIN_DATA")):
        path = Path(variable)
    if path is None:
        path = cached_file()
        if not path.exists():
            download(path)
    content = read_file(path)
    digest = hashlib.sha256(content).hexdigest()
    if verify and digest != SHA256:
        raise DatasetError(
            f"{path} is not the published data set (its SHA-256 is {digest[:12]}…, not {SHA256[:12]}…): "
            "replace it, or pass --no-verify for a file of your own"
        )
    return parse(content, name=str(path))


def cached_file() -> Path:
    """Where a downloaded data set is kept: in the user's cache folder, outside the project."""
    return platformdirs.user_cache_path("music-origin") / FILE_NAME


def download(destination: Path, addresses: tuple[str, ...] = ADDRESSES) -> None:
    """Downloads the archive from the first address that answers and puts the checked text file at `destination`."""
    failures = []
    for address in addresses:
        try:
            content = _extract(_fetch(address), name=address)
        except (httpx.HTTPError, DatasetError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            failures.append(f"{httpx.URL(address).host}: {reason}")
            continue
        if hashlib.sha256(content).hexdigest() == SHA256:
            break
        failures.append(f"{httpx.URL(address).host}: the file has another SHA-256 than the published one")
    else:
        raise DatasetError(
            f"the data set could not be downloaded ({'; '.join(failures)}): check the network, "
            f"or fetch {addresses[0]} yourself and name it with --data or MUSIC_ORIGIN_DATA"
        )
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with replaced_whole(destination) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise DatasetError(
            f"{destination} cannot be written ({error.strerror}): free it, or fetch {addresses[0]} yourself "
            "and name it with --data or MUSIC_ORIGIN_DATA"
        ) from error


def read_file(path: Path) -> bytes:
    """The bytes of the text file at `path`, taken out of a zip archive where it is one."""
    if path.is_dir():
        path = path / FILE_NAME
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}): check the path") from error
    if len(content) > MAX_FILE_BYTES:
        raise DatasetError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB: is it the right file?")
    if content.startswith(b"PK"):
        content = _extract(content, name=str(path))
    if not content.strip():
        raise DatasetError(f"{path} is empty: it should have {COLUMN_COUNT} comma-separated numbers a line")
    return content


def parse(content: bytes, name: str) -> Dataset:
    """Reads lines of 68 features, latitude and longitude. Raises DatasetError that names the first wrong line."""
    try:
        lines = content.decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{name} is not a text file: it should have {COLUMN_COUNT} numbers a line") from error
    if len(lines) < MIN_ROWS:
        raise DatasetError(f"{name} has {len(lines)} rows: at least {MIN_ROWS} are needed to train and to validate")
    rows = np.array([_parse_line(line, f"{name}, line {number}") for number, line in enumerate(lines, start=1)])
    try:
        features = as_feature_matrix(np.ascontiguousarray(rows[:, :FEATURE_COUNT]))
    except FeatureError as error:
        raise DatasetError(f"{name}, line {(error.row or 0) + 1}: {error}") from error
    latitude, longitude = rows[:, FEATURE_COUNT], rows[:, FEATURE_COUNT + 1]
    for values, bound, noun in ((latitude, 90, "latitude"), (longitude, 180, "longitude")):
        outside = np.flatnonzero(np.abs(values) > bound)
        if outside.size:
            raise DatasetError(
                f"{name}, line {outside[0] + 1}: the {noun} must be between -{bound} and {bound} degrees"
            )
    return Dataset(features.astype(np.float64), latitude, longitude, hashlib.sha256(content).hexdigest())


def _parse_line(line: str, where: str) -> list[float]:
    fields = line.split(",")
    if len(fields) != COLUMN_COUNT:
        raise DatasetError(f"{where}: {len(fields)} comma-separated values in place of {COLUMN_COUNT}")
    values = []
    for column, field in enumerate(fields, start=1):
        try:
            value = float(field.replace("_", "?"))  # an underscore is Python's, not a number's
        except ValueError as error:
            raise DatasetError(f"{where}, column {column}: not a number") from error
        if not math.isfinite(value):
            raise DatasetError(f"{where}, column {column}: not a finite number")
        values.append(value)
    return values


def _extract(archive: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            for member in members.infolist():
                if PurePosixPath(member.filename).name == FILE_NAME and member.file_size <= MAX_FILE_BYTES:
                    return members.read(member)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:
        raise DatasetError(f"{name} is not a whole zip archive: get it again") from error
    raise DatasetError(f"{name} has no {FILE_NAME} in it: get the archive of the data set")


def _fetch(address: str) -> bytes:
    columns = ("[progress.description]{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with (
        httpx.stream("GET", address, follow_redirects=True, timeout=30) as response,
        Progress(*columns, transient=True) as progress,
    ):
        response.raise_for_status()
        task = progress.add_task("Downloading", total=_content_length(response.headers))
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            progress.update(task, completed=response.num_bytes_downloaded)
            if len(content) > MAX_FILE_BYTES:
                raise DatasetError("the archive is larger than it can be")
    return bytes(content)


def _content_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdigit() else None
