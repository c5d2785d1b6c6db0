"""Arrow's stream format, by pyarrow, which is an extra: this module is only imported where Arrow is asked for."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.features import Floats

LIST_COLUMN = "features"
MAX_COLUMNS = 100  # some more than are taken, so that their number can be told
FILE_MARKS = (b"ARROW1", b"FEA1", b"PAR1")


class TableError(ValueError):
    """A stream that holds no table of numbers. The message says what it must be."""


class TooManyRowsError(ValueError):
    """A stream of more rows than are taken."""


def read(body: bytes, max_rows: int) -> Floats:
    """The table (n, columns) in a stream of number columns, or of one list column `features`."""
    if body.startswith(FILE_MARKS):
        raise TableError("an Arrow stream, and not a file of Arrow, Feather or Parquet")
    try:
        _refuse_compressed(body)
        with pa.ipc.open_stream(body) as reader:
            _check_types(reader.schema)
            batches, rows = [], 0
            for batch in reader:
                rows += batch.num_rows
                if rows > max_rows:
                    raise TooManyRowsError
                batch.validate(full=True)
                batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
        return _matrix(table)
    except (TableError, TooManyRowsError):
        raise
    except Exception as error:  # damaged bytes make pyarrow fail in more ways than can be listed
        raise TableError("an Arrow stream of 68 columns of numbers") from error


def write(columns: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """A stream of the columns, with the metadata in its schema."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata(dict(metadata))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _check_types(schema: pa.Schema) -> None:
    def is_number(kind: pa.DataType) -> bool:
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))

    def is_list(kind: pa.DataType) -> bool:
        return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))

    one_list = schema.names == [LIST_COLUMN] and is_list(schema.types[0]) and is_number(schema.types[0].value_type)
    # Many columns may share one buffer: they are counted before anything is made of them.
    if not one_list and not (len(schema.types) <= MAX_COLUMNS and all(map(is_number, schema.types))):
        raise TableError(f"an Arrow stream of number columns, or of one column `{LIST_COLUMN}` of lists of numbers")


def _matrix(table: pa.Table) -> Floats:
    """The numbers; what is null becomes NaN."""
    if not table.num_rows:
        return np.empty((0, 0))
    if table.schema.names == [LIST_COLUMN]:
        lists = table.column(0).combine_chunks()
        lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        if (lengths != lengths[0]).any():
            raise TableError("lists of one length")
        return _floats(lists.flatten()).reshape(len(lists), -1)
    return np.stack([_floats(column) for column in table.columns], axis=1)


def _floats(values: pa.Array | pa.ChunkedArray) -> Floats:
    kind = np.float32 if values.type == pa.float32() else np.float64
    numbers: Floats = values.cast(pa.from_numpy_dtype(kind)).to_numpy(zero_copy_only=False).astype(kind, copy=False)
    return numbers


def _refuse_compressed(body: bytes) -> None:
    """A few bytes may be compressed out of any number, and pyarrow has no limit: so what is compressed is not read."""
    for message in pa.ipc.MessageReader.open_stream(body):
        metadata = message.metadata.to_pybytes()
        root = _unsigned(metadata, 0)
        header = _field(metadata, root, 2)
        is_rows = message.type == "record batch"
        compressed = is_rows and header is not None and _field(metadata, header + _unsigned(metadata, header), 3)
        if compressed or message.type == "dictionary" or _field(metadata, root, 4):
            raise TableError("an Arrow stream without compression and without dictionaries")


def _field(buffer: bytes, table: int, index: int) -> int | None:
    """Where a field of a table is in a flatbuffer, if it is there at all."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    entry = 4 + 2 * index
    if entry >= struct.unpack_from("<H", buffer, vtable)[0]:
        return None
    offset: int = struct.unpack_from("<H", buffer, vtable + entry)[0]
    return table + offset if offset else None


def _unsigned(buffer: bytes, position: int) -> int:
    value: int = struct.unpack_from("<I", buffer, position)[0]
    return value
