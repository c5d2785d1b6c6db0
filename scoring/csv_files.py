"""Catalogues in CSV, a row a line."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, ClassVar

import numpy as np
import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.utils import infer_compression, read_block, seek_delimiter
from pyarrow import csv as arrow_csv

from models.features import FEATURE_COUNT
from scoring.columns import matrix
from scoring.errors import ScoringError
from scoring.files import Partition, Rows

BLOCK_BYTES = 2**25  # are read at a time: some 60,000 rows
PARTITION_BYTES = 4 * BLOCK_BYTES
DELIMITERS = ",;\t"
HEAD_BYTES = 2**20
TYPICAL_LINES = 1000  # tell which columns hold numbers
WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class CsvFiles:
    """Files of lines, whose cells are parted by the delimiter, all with a header or all without.

    Those that are compressed make one partition each, since they can only be read from the start. What is no feature is
    text, so that nothing of it is lost.
    """

    typed: ClassVar[bool] = False
    delimiter: str
    names: tuple[str, ...]
    has_header: bool

    def describe(self, source: AbstractFileSystem, file: str) -> tuple[pa.Schema, list[Partition]]:
        """The columns of a file, and runs of its bytes."""
        block = _head(source, file)
        if self.has_header:
            names = tuple(_first_cells(block, self.delimiter))
            block = _without_first_line(block)
        else:
            names = self.names
        size = source.size(file)
        step = max(size, 1) if infer_compression(file) else PARTITION_BYTES
        partitions = [
            Partition(file, start, min(start + step, size), min(step, size - start))
            for start in range(0, max(size, 1), step)
        ]
        return self._schema(block, names), partitions

    def read(
        self, source: AbstractFileSystem, partition: Partition, features: tuple[str, ...], others: pa.Schema
    ) -> Iterator[Rows]:
        """The rows of some lines."""
        types = {name: pa.float64() for name in features} | {field.name: field.type for field in others}
        for block in self._blocks(source, partition):
            batch = self._batch(block, types)
            if batch is None:
                yield self._read_lines(block, features, others, partition.file)
            else:
                values, reasons = matrix(batch, features)
                yield Rows(values, batch.select(others.names), reasons)

    def position(self, source: AbstractFileSystem, partition: Partition, row: int) -> str:
        """The line."""
        with _open(source, partition.file) as opened:
            before = 0
            if partition.start:
                opened.seek(partition.start)
                seek_delimiter(opened, b"\n", 2**16)
                begin = opened.tell()
                opened.seek(0)
                before = sum(
                    opened.read(min(BLOCK_BYTES, begin - at)).count(b"\n") for at in range(0, begin, BLOCK_BYTES)
                )
            row += self.has_header and not partition.start
            filled = (number for number, line in enumerate(opened, before + 1) if line.strip(b"\r\n"))
            return f"line {next(number for index, number in enumerate(filled) if index == row)}"

    def _schema(self, block: bytes, names: Sequence[str]) -> pa.Schema:
        """The columns, of the types that most of their first cells have: a few may be wrong."""
        lines = [line for line in block.decode(errors="replace").split("\n")[:TYPICAL_LINES] if line.strip("\r")]
        rows = [_cells(line, self.delimiter) for line in lines]
        columns: list[tuple[str, ...]] = [*zip(*(cells for cells in rows if len(cells) == len(names)), strict=True)]
        return pa.schema(
            [(name, _type(cells)) for name, cells in zip(names, columns or [()] * len(names), strict=True)]
        )

    def _blocks(self, source: AbstractFileSystem, partition: Partition) -> Iterator[bytes]:
        """The lines of a partition, without the header, a block at a time."""
        with _open(source, partition.file) as opened:
            compressed = infer_compression(partition.file)
            blocks = _chunks(opened) if compressed else _between(opened, partition.start, partition.stop)
            for index, block in enumerate(blocks):
                if index == 0 and partition.start == 0:
                    block = block.removeprefix(BYTE_ORDER_MARK)
                    block = _without_first_line(block) if self.has_header else block
                if block.strip():
                    yield block

    def _batch(self, block: bytes, types: dict[str, pa.DataType]) -> pa.RecordBatch | None:
        """The rows of a block, or None if anything is wrong with one: then they are to be looked at one by one."""
        if _has_open_quotes(block):
            return None
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(block),
                arrow_csv.ReadOptions(column_names=self.names, use_threads=False, block_size=len(block)),
                arrow_csv.ParseOptions(delimiter=self.delimiter),
                arrow_csv.ConvertOptions(column_types=types),
            )
        except pa.ArrowInvalid:
            return None
        return table.combine_chunks().to_batches()[0]

    def _read_lines(self, block: bytes, features: tuple[str, ...], others: pa.Schema, file: str) -> Rows:
        """The rows of a block in which something is wrong; of a line of another length nothing is known."""
        try:
            lines = [line for line in block.decode().replace("\r\n", "\n").split("\n") if line]
        except UnicodeDecodeError as error:
            raise ScoringError(f"{file} is not in UTF-8: convert it") from error
        values = np.full((len(lines), FEATURE_COUNT), np.nan)
        kept: list[dict[str, str]] = []
        reasons = {}
        for row, line in enumerate(lines):
            if line.count('"') % 2:
                kept.append({})
                reasons[row] = "has a quote that does not end on its line"
                continue
            cells = _cells(line, self.delimiter)
            known = dict(zip(self.names, cells, strict=True)) if len(cells) == len(self.names) else {}
            kept.append({name: known[name] for name in others.names} if known else {})
            numbers = [_number(known[name]) for name in features] if known else []
            if not known:
                reasons[row] = f"has {len(cells)} columns, and not {len(self.names)}"
            elif None in numbers:
                feature = numbers.index(None)
                reasons[row] = f"has {known[features[feature]]!r} as feature {feature + 1}, which is no number"
            else:
                values[row] = numbers
        columns = [pa.array([cells.get(field.name) for cells in kept], field.type) for field in others]
        return Rows(values, pa.record_batch(columns, schema=others), reasons)


def csv_files(source: AbstractFileSystem, file: str, delimiter: str | None, header: str) -> CsvFiles:
    """How such a file is to be read, with a `header` that is present, absent, or to be told (auto).

    A delimiter that is not given is the commonest of the first line. Raises ScoringError where a header cannot be told.
    """
    head = _head(source, file)
    delimiter = delimiter or max(DELIMITERS, key=head.partition(b"\n")[0].decode(errors="replace").count)
    cells = _first_cells(head, delimiter)
    has_header = _is_header(cells, file) if header == "auto" else header == "present"
    return CsvFiles(delimiter, tuple(cells if has_header else map(str, range(1, len(cells) + 1))), has_header)


def _is_header(cells: Sequence[str], file: str) -> bool:
    numbers = [number for number in map(_number, filter(str.strip, cells)) if number is not None]
    if not numbers or np.array_equal(np.diff(numbers), np.ones(len(numbers) - 1)):
        return True  # the names of columns may be their numbers
    if len(numbers) >= FEATURE_COUNT:
        return False
    raise ScoringError(f"{file}: it cannot be told whether the first line is a header: say so with --header")


def _type(cells: Sequence[str]) -> pa.DataType:
    filled = [cell for cell in cells if cell.strip()]
    numbers = [cell for cell in filled if _number(cell) is not None]
    if not cells:
        return pa.null()
    if 2 * len(numbers) <= len(filled):
        return pa.string()
    return pa.int64() if all(map(WHOLE_NUMBER.fullmatch, numbers)) else pa.float64()


def _number(cell: str) -> float | None:
    """The number that a cell is, NaN where it is empty, or None."""
    try:
        return float(cell if cell.isascii() and "_" not in cell else "none") if cell.strip() else np.nan
    except ValueError:
        return None


def _has_open_quotes(block: bytes) -> bool:
    """Whether a quote does not end on its line: where a block ends must not decide what becomes of that line."""
    if b'"' not in block:
        return False
    characters = np.frombuffer(block, np.uint8)
    within = np.logical_xor.accumulate(characters == ord('"'))
    return bool(within[characters == ord("\n")].any() or within[-1])


def _open(source: AbstractFileSystem, file: str) -> IO[bytes]:
    opened: IO[bytes] = source.open(file, "rb", compression="infer")
    return opened


def _head(source: AbstractFileSystem, file: str) -> bytes:
    """The first lines of a file."""
    with _open(source, file) as opened:
        block = opened.read(HEAD_BYTES).removeprefix(BYTE_ORDER_MARK)
    return block if len(block) < HEAD_BYTES else block[: block.rfind(b"\n") + 1] or block


def _first_cells(block: bytes, delimiter: str) -> list[str]:
    first, _, _ = block.partition(b"\n")
    return _cells(first.decode(errors="replace"), delimiter)


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])


def _without_first_line(block: bytes) -> bytes:
    return block.partition(b"\n")[2]


def _between(opened: IO[bytes], start: int, stop: int) -> Iterator[bytes]:
    """The lines that begin after `start`, or there if it is 0, up to the first that begins after `stop`."""
    for at in range(start, stop, BLOCK_BYTES):
        yield read_block(opened, at, min(BLOCK_BYTES, stop - at), b"\n")


def _chunks(opened: IO[bytes]) -> Iterator[bytes]:
    """All lines."""
    rest = b""
    while chunk := opened.read(BLOCK_BYTES):
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield lines + newline
    yield rest
