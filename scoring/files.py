"""The files of a catalogue, wherever fsspec finds them, and what each form of them can do."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, ClassVar, NamedTuple, Protocol

import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from models.features import Floats
from scoring.errors import ScoringError, explained

GLOB = re.compile(r"[*?\[]")
BATCH_ROWS = 65_536  # are read, predicted and written at a time: of all columns some 100 MB
PARTITION_ROWS = 4 * BATCH_ROWS  # are the least of a task and of a file that it writes, where they can be told


class Partition(NamedTuple):
    """A part of a file that is scored by one task: from where to where, and its size for progress.

    These are row groups and rows in Parquet, bytes in CSV, and rows in .npy.
    """

    file: str
    start: int
    stop: int
    size: int


class Rows(NamedTuple):
    """Some rows: their features (n, 68), their other columns, and what is wrong with those that cannot be read."""

    features: Floats
    others: pa.RecordBatch
    reasons: Mapping[int, str]


class Form(Protocol):
    """A form of files."""

    typed: ClassVar[bool]  # or else the columns that are passed through are text

    def describe(self, source: AbstractFileSystem, file: str) -> tuple[pa.Schema, list[Partition]]:
        """The columns of a file, and its parts, of which there is at least one."""

    def read(
        self, source: AbstractFileSystem, partition: Partition, features: tuple[str, ...], others: pa.Schema
    ) -> Iterator[Rows]:
        """The rows of a partition, in batches."""

    def position(self, source: AbstractFileSystem, partition: Partition, row: int) -> str:
        """Where in the file a row of the partition is, in words."""


def locate(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and its path there, without detours."""
    source, path = url_to_fs(address)
    return source, os.path.normpath(path) if isinstance(source, LocalFileSystem) else path.rstrip("/")


def find(address: str) -> tuple[AbstractFileSystem, str, list[str]]:
    """The file system of an address, its path there, and the files: one, all of a folder, or those of a glob.

    Of a folder, names that begin with a dot or an underscore are left aside, as by other readers. Raises ScoringError.
    """
    with explained(f"{address} cannot be read"):
        source, path = locate(address)
        if source.isdir(path):
            files = [file for file in source.find(path) if not _is_hidden(file.removeprefix(path))]
        elif source.exists(path):
            files = [path]
        else:
            files = [file for file in source.glob(path) if source.isfile(file)] if GLOB.search(path) else []
    if not files:
        raise ScoringError(f"{address}: there is no such file, nor a file within it")
    return source, path, sorted(files)


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


def open_native(source: AbstractFileSystem, file: str) -> pa.NativeFile | IO[bytes]:
    """A file for pyarrow, which reads those of this machine twice as fast by itself."""
    return pa.OSFile(file) if isinstance(source, LocalFileSystem) else source.open(file, "rb")
