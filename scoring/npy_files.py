"""Catalogues in NumPy's .npy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from fsspec import AbstractFileSystem
from numpy.lib import format as npy
from numpy.typing import NDArray

from scoring.columns import precision, side_by_side
from scoring.errors import ScoringError
from scoring.files import BATCH_ROWS, PARTITION_ROWS, Partition, Rows

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Matrix(NamedTuple):
    """What the head of a file says, and where what it speaks of begins."""

    rows: int
    columns: int
    columns_first: bool
    dtype: np.dtype[Any]
    begin: int


@dataclass(frozen=True)
class NpyFiles:
    """Files of one matrix (n, columns), in C's or in Fortran's order. The columns are named by their numbers."""

    typed: ClassVar[bool] = True

    def describe(self, source: AbstractFileSystem, file: str) -> tuple[pa.Schema, list[Partition]]:
        """The columns of a file, and runs of its rows."""
        with source.open(file, "rb") as opened:
            head = _head(opened, file)
        kind = pa.from_numpy_dtype(head.dtype.newbyteorder("="))
        partitions = [
            Partition(file, start, min(start + PARTITION_ROWS, head.rows), min(PARTITION_ROWS, head.rows - start))
            for start in range(0, max(head.rows, 1), PARTITION_ROWS)
        ]
        return pa.schema([(str(column + 1), kind) for column in range(head.columns)]), partitions

    def read(
        self, source: AbstractFileSystem, partition: Partition, features: tuple[str, ...], others: pa.Schema
    ) -> Iterator[Rows]:
        """Some rows."""
        with source.open(partition.file, "rb") as opened:
            head = _head(opened, partition.file)
            for start in range(partition.start, partition.stop, BATCH_ROWS):
                columns = _columns(opened, head, start, min(start + BATCH_ROWS, partition.stop))
                kept = [pa.array(columns[int(name) - 1]) for name in others.names]
                kind = precision(pa.from_numpy_dtype(columns[0].dtype))
                values = side_by_side([columns[int(name) - 1] for name in features], kind)
                yield Rows(values, pa.table(kept, others), {})

    def position(self, source: AbstractFileSystem, partition: Partition, row: int) -> str:  # noqa: ARG002
        """The row."""
        return f"row {partition.start + row}, counted from 0,"


def _head(opened: IO[bytes], file: str) -> Matrix:
    """Raises ScoringError for what is no matrix of numbers. No pickle is ever loaded."""
    version = npy.read_magic(opened)
    if version not in HEADERS:
        raise ScoringError(f"{file} is .npy of version {version}, which only named fields need: save a plain matrix")
    shape, columns_first, dtype = HEADERS[version](opened)
    if len(shape) != 2 or dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise ScoringError(f"{file} holds an array {shape} of {dtype}: it must be a matrix of numbers")
    return Matrix(*shape, columns_first, dtype, opened.tell())


def _columns(opened: IO[bytes], head: Matrix, start: int, stop: int) -> NDArray[Any]:
    """The rows from start to stop, as columns (columns, n)."""
    if head.columns_first:
        parts = [_numbers(opened, head, column * head.rows + start, stop - start) for column in range(head.columns)]
        return np.stack(parts)
    values = _numbers(opened, head, start * head.columns, (stop - start) * head.columns)
    return np.ascontiguousarray(values.reshape(-1, head.columns).T)


def _numbers(opened: IO[bytes], head: Matrix, first: int, count: int) -> NDArray[Any]:
    opened.seek(head.begin + first * head.dtype.itemsize)
    content = opened.read(count * head.dtype.itemsize)
    if len(content) < count * head.dtype.itemsize:
        raise EOFError("it ends before the rows that its head promises: it was not written whole")
    return np.frombuffer(content, head.dtype).astype(head.dtype.newbyteorder("="), copy=False)
