"""Catalogues in Parquet."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from scoring.columns import matrix
from scoring.files import BATCH_ROWS, PARTITION_ROWS, Partition, Rows, open_native

BUFFER_BYTES = 2**20  # of each column are read at a time, so that memory does not grow with the row groups


@dataclass(frozen=True)
class ParquetFiles:
    """Files of row groups, several of which, or one that is large, make a partition."""

    typed: ClassVar[bool] = True

    def describe(self, source: AbstractFileSystem, file: str) -> tuple[pa.Schema, list[Partition]]:
        """The columns of a file, without what their writer noted beside them, and runs of its row groups."""
        with _open(source, file) as parquet:
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
            return parquet.schema_arrow.remove_metadata(), [*_partitions(file, sizes)]

    def read(
        self, source: AbstractFileSystem, partition: Partition, features: tuple[str, ...], others: pa.Schema
    ) -> Iterator[Rows]:
        """The rows of some row groups."""
        groups = range(partition.start, partition.stop)
        with _open(source, partition.file) as parquet:
            for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, use_threads=False):
                values, reasons = matrix(batch, features)
                yield Rows(values, batch.select(others.names), reasons)

    def position(self, source: AbstractFileSystem, partition: Partition, row: int) -> str:
        """The row group and the row in it."""
        with _open(source, partition.file) as parquet:
            groups = range(partition.start, partition.stop)
            ends = [*accumulate(parquet.metadata.row_group(group).num_rows for group in groups)]
        index = bisect_right(ends, row)
        within = row - (ends[index - 1] if index else 0)
        return f"row {within} of row group {groups[index]}, both counted from 0,"


def _partitions(file: str, sizes: list[int]) -> Iterator[Partition]:
    """Runs of row groups of PARTITION_ROWS or a little more."""
    start = rows = 0
    for stop, size in enumerate(sizes, 1):
        rows += size
        if rows >= PARTITION_ROWS or stop == len(sizes):
            yield Partition(file, start, stop, rows)
            start, rows = stop, 0
    if not sizes:
        yield Partition(file, 0, 0, 0)


@contextmanager
def _open(source: AbstractFileSystem, file: str) -> Iterator[pq.ParquetFile]:
    with (
        open_native(source, file) as opened,
        pq.ParquetFile(opened, buffer_size=BUFFER_BYTES, pre_buffer=False) as parquet,
    ):
        yield parquet
