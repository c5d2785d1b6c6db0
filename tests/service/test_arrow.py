from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.features import Floats
from service import arrow

ROWS = np.random.default_rng(9).normal(size=(5, 68))


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=3 if len(table) < 10 else None)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def as_arrow(rows: Floats) -> bytes:
    return stream(pa.table({f"feature {number + 1}": column for number, column in enumerate(rows.T)}))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_number_columns_are_read(kind: type[np.floating[Any]]) -> None:
    rows = ROWS.astype(kind)
    read = arrow.read(as_arrow(rows), 5)
    assert read.dtype == kind
    np.testing.assert_array_equal(read, rows)


def test_lists_are_read() -> None:
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(ROWS.ravel()), 68)
    for column in (fixed, pa.array(ROWS.tolist()), pa.array(ROWS.tolist(), pa.large_list(pa.float64()))):
        np.testing.assert_array_equal(arrow.read(stream(pa.table({"features": column})), 5), ROWS)


def test_whole_numbers_are_read_and_what_is_null_is_nan() -> None:
    table = pa.table({"first": [1, None, 3], "second": [0.5, 1.5, None]})
    np.testing.assert_array_equal(arrow.read(stream(table), 3), [[1, 0.5], [np.nan, 1.5], [3, np.nan]])


def test_more_rows_than_wanted_are_refused() -> None:
    with pytest.raises(arrow.TooManyRowsError):
        arrow.read(as_arrow(ROWS), 4)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_what_is_compressed_is_not_read(compression: str) -> None:
    zeros = pa.table({"zeros": np.zeros(1_000_000)})
    with pytest.raises(arrow.TableError, match="without compression"):
        arrow.read(stream(zeros, compression=compression), 1_000_000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Arrow stream"),
        (b"not arrow at all", "Arrow stream"),
        (b"ARROW1\0\0", "not a file"),
        (as_arrow(ROWS)[:3000], "Arrow stream"),
        (as_arrow(ROWS)[:-600], "Arrow stream"),
        (stream(pa.table({"name": ["text"]})), "number columns"),
        (stream(pa.table({"flag": [True]})), "number columns"),
        (stream(pa.table({"name": pa.array(["text"]).dictionary_encode()})), "dictionaries"),
        (stream(pa.table({"features": [[1.0], [1.0, 2.0]]})), "one length"),
        (stream(pa.table({"features": [[1.0], None]})), "one length"),
    ],
)
def test_other_streams_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(arrow.TableError, match=message):
        arrow.read(content, 10)


def test_damaged_streams_are_read_or_refused() -> None:
    """Nothing but the two errors ever comes out, whichever bytes are changed."""
    generator = np.random.default_rng(2)
    whole = as_arrow(ROWS)
    refused = 0
    for _ in range(1000):
        content = bytearray(whole)
        for position in generator.integers(len(whole), size=3):
            content[position] = generator.integers(256)
        try:
            arrow.read(bytes(content), 5)
        except (arrow.TableError, arrow.TooManyRowsError):
            refused += 1
    assert refused > 100


def test_columns_are_written_with_what_holds_for_all() -> None:
    table = pa.ipc.open_stream(arrow.write({"genre": np.array([1, 2])}, {"model_version": "x"})).read_all()
    assert table.to_pydict() == {"genre": [1, 2]}
    assert table.schema.metadata == {b"model_version": b"x"}


def test_many_columns_of_one_buffer_are_not_made_into_a_table() -> None:
    content = stream(pa.table({f"{number}": np.zeros(1000, np.int8) for number in range(101)}))
    with pytest.raises(arrow.TableError, match="number columns"):
        arrow.read(content, 10_000)


def test_lists_that_end_outside_of_their_numbers_are_refused() -> None:
    content = stream(pa.table({"features": [[0.5] * 68] * 2}))
    offsets = np.array([0, 68, 136], np.int32).tobytes()
    assert content.count(offsets) == 1
    with pytest.raises(arrow.TableError, match="Arrow stream"):
        arrow.read(content.replace(offsets, np.array([68, 136, 204], np.int32).tobytes()), 10)
